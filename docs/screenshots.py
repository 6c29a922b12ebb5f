"""Take the pictures of the documentation: `./dev screenshots` makes a lab, breaks it, and has Chromium open the page of `verify --html`."""

import subprocess
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from html.starting import started  # type: ignore[import-not-found]  # noqa: E402, found there

LAB = "example"
PICTURE = HERE / "verify.png"
WIDTH, HEIGHT = 1040, 1350  # the verdict, the map and the matrix
# What goes wrong on the nodes of the picture, after all have their routes.
FAULTS = (
    ("worker-1", "ip route del 10.200.3.0/24"),
    ("worker-3", "ip route replace 10.200.0.0/24 via 192.168.8.22 proto 107"),
)


def podroutes(*words: str, statuses: Sequence[int] = (0,)) -> str:
    """Run podroutes and return what it printed; RuntimeError for another exit status than STATUSES."""
    done = subprocess.run([sys.executable, "-m", "podroutes", *words], capture_output=True, text=True, check=False)
    if done.returncode not in statuses:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def page(path: Path) -> None:
    """Write the page about a lab in which some routes are wrong to PATH."""
    podroutes("lab", "up", "--name", LAB, "--nodes", "4")
    try:
        inventory = path.with_name("lab.yaml")
        inventory.write_text(podroutes("lab", "inventory", "--name", LAB), encoding="utf-8")
        on = ("lab", "exec", "--name", LAB)
        podroutes(*on, "--all", "--", sys.executable, "-m", "podroutes", "apply", "-i", str(inventory))
        for node, command in FAULTS:
            podroutes(*on, node, "--", "sh", "-c", command)
        podroutes("verify", "--lab", LAB, "--html", str(path), statuses=(2,))
    finally:
        podroutes("lab", "down", "--name", LAB)


def main() -> None:
    """Write the pictures."""
    with TemporaryDirectory(prefix="podroutes-screenshots-") as directory:
        path = Path(directory, "page.html")
        page(path)
        with started(Path(directory, "chromium")) as browser:
            browser.open(path, width=WIDTH, height=HEIGHT)
            PICTURE.write_bytes(b64decode(browser.call("Page.captureScreenshot", format="png")["data"]))


if __name__ == "__main__":
    main()
