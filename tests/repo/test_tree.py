"""The repository keeps its own promises: what it ships, what it names, what it says of itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from podroutes import __version__

ROOT = Path(__file__).parents[2]

# Each is put together here, so that this file does not contain what it looks for.
TRACES = {
    "a home directory": r"(?<![\w.-])/(?:root|home/\w+)/" + "",
    "the place of a checkout": re.escape(str(ROOT)) + r"(?![\w-])",
    "a registry host": r"(?:files\.)?python" + r"hosted\.org|pypi" + r"\.(?:org|python\.org)|/opt/" + "(?:pypi|wheels)",
}


def tracked() -> list[Path]:
    """Return the files of the checkout that git knows and that are still there."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("what", TRACES)
def test_no_tracked_file_names(what: str) -> None:
    pattern = re.compile(TRACES[what])
    texts = ((path, path.read_text(encoding="utf-8", errors="replace")) for path in tracked())
    assert [f"{path.relative_to(ROOT)}: {found[0]}" for path, text in texts if (found := pattern.search(text))] == []


def test_nobody_is_told_to_get_podroutes_from_an_index_which_has_none() -> None:
    advice = re.compile(r"pip3? install (?:-\S+ )*['\"]?podroutes(?![-\w*])|(?:pipx|uvx?) \S*podroutes")
    texts = ((path, path.read_text(encoding="utf-8", errors="replace")) for path in tracked())
    assert [str(path) for path, text in texts if advice.search(text)] == []


def test_the_traces_would_be_found() -> None:
    host = "https://pypi" + ".org/simple"
    assert re.search(TRACES["a registry host"], f"--index-url {host}")
    assert re.search(TRACES["a home directory"], "in " + "/home/" + "someone/podroutes")
    assert re.search(TRACES["the place of a checkout"], f"{ROOT}/src")


def test_the_changelog_mentions_the_current_version() -> None:
    assert re.search(rf"\b{re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


LONG = {  # modules over 300 lines, each with its reason
    "src/podroutes/kernel/netlink.py": "one socket: what it sends, by columns and by values, and how the answers are read",
    "src/podroutes/model/finding.py": "one table, which the documentation is made of",
    "src/podroutes/plan/conflicting_claims.py": "one decision with all of its cases, read from top to bottom",
    "src/podroutes/views/schemas.py": "one list: the fields of one document after the other",
}


def test_every_module_is_short_enough_to_read() -> None:
    lengths = {
        path: path.read_text(encoding="utf-8").count("\n") for path in tracked() if path.is_relative_to(ROOT / "src")
    }
    long = {str(path.relative_to(ROOT)) for path, length in lengths.items() if length > 300}
    assert long == LONG.keys()


@pytest.mark.parametrize("script", ["dev", ".ci/run"])
def test_bash_can_parse(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    checked = subprocess.run(["bash", "-n", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_dev_lists_every_command_it_has() -> None:
    source = (ROOT / "dev").read_text(encoding="utf-8")
    listed = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^    (\w+) ", listed, re.MULTILINE) == re.findall(r"^dev_(\w+)\(\)", source, re.MULTILINE)


def test_every_pinned_package_has_a_version_and_a_hash() -> None:
    pins = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    loose = [pin for pin in pins if pin.strip() and not pin.lstrip().startswith("#") and "--hash=sha256:" not in pin]
    assert [pin for pin in loose if "==" in pin or not pin.startswith(" ")] == []


def test_starting_needs_the_standard_library_alone() -> None:
    script = (
        "import sys, podroutes.cli.parser as p; p.build_parser(); print(*{m.partition('.')[0] for m in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"msgspec", "yaml", "pyroute2", "asyncio", "subprocess", "json"} & set(loaded.split())
