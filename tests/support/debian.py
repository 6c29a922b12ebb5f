"""Debian's packages that tests run programs from: fetched into .cache/, unpacked by the tests, never installed.

`./dev test` runs this before the tests, which leave the machine's network first thing.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"
SETS = {
    "managers": ("dbus", "ifupdown", "iproute2", "netplan.io", "network-manager", "systemd", "udev"),
    "filters": ("iptables", "nftables"),
}
_DONE = "complete"


class UnavailableError(Exception):
    """The packages cannot be had here; why is what the tests are skipped with."""


def packages(name: str) -> list[Path]:
    """Return the packages of the set NAME with what they need and this system lacks."""
    if os.getuid():
        raise UnavailableError(f"the {name} that these tests run take root")
    if not _complete(name):
        raise UnavailableError(
            f"the {name} that these tests run are not in {CACHE.name}/: `./dev test` fetches them from Debian"
        )
    return sorted((CACHE / name).glob("*.deb"))


def _complete(name: str) -> bool:
    done = CACHE / name / _DONE
    return done.is_file() and done.read_text() == " ".join(SETS[name])


def fetch(name: str) -> None:
    """Download the set NAME as the system's own apt would, with lists and archives of our own: nothing of its is touched."""
    if not shutil.which("apt-get"):
        raise UnavailableError("apt-get is missing")
    lists, archives = CACHE / "lists", CACHE / name
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    private = (f"Dir::State::lists={lists}", f"Dir::Cache::archives={archives}", "Debug::NoLocking=1")
    apt = ["apt-get", "-q", "-y", *(word for option in private for word in ("-o", option))]
    if not any(lists.glob("*_Packages*")):
        _run(*apt, "update")
    _run(*apt, "--no-install-recommends", "--download-only", "--reinstall", "install", *SETS[name])
    (archives / _DONE).write_text(" ".join(SETS[name]))


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} does not answer") from None
    if done.returncode:
        raise UnavailableError(done.stderr.strip() or done.stdout.strip())


def main() -> None:
    """Fetch what is not there yet; what cannot be had is said, and the tests that want it are skipped."""
    for name in SETS:
        if os.getuid() or _complete(name):
            continue
        try:
            fetch(name)
        except UnavailableError as why:
            sys.stderr.write(f"dev: the {name} for the tests cannot be fetched: {why}\n")


if __name__ == "__main__":
    main()
