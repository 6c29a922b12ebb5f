"""Debian's packages of the network managers: fetched once into .cache/, unpacked for each session, never installed."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "managers"
PACKAGES = ("dbus", "ifupdown", "iproute2", "netplan.io", "network-manager", "systemd", "udev")
_DONE = "complete"


class UnavailableError(Exception):
    """The packages cannot be had here; why is what the tests are skipped with."""


def fetch() -> list[Path]:
    """Return the packages that this system lacks for running the managers, downloaded as its own apt would."""
    if not shutil.which("apt-get"):
        raise UnavailableError("apt-get is missing: the network managers are taken from Debian's packages")
    wanted = " ".join(PACKAGES)
    if not (CACHE / _DONE).is_file() or (CACHE / _DONE).read_text() != wanted:
        (CACHE / "partial").mkdir(parents=True, exist_ok=True)
        (CACHE / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        # Lists and archives of our own: nothing that belongs to the system's apt is touched or locked.
        private = (f"Dir::State::lists={CACHE}/lists", f"Dir::Cache::archives={CACHE}", "Debug::NoLocking=1")
        apt = ["apt-get", "-q", "-y", *(word for option in private for word in ("-o", option))]
        _run(*apt, "update")
        _run(*apt, "--no-install-recommends", "--download-only", "--reinstall", "install", *PACKAGES)
        (CACHE / _DONE).write_text(wanted)
    return sorted(CACHE.glob("*.deb"))


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{' '.join(words[:1])} does not answer") from None
    if done.returncode:
        raise UnavailableError(f"Debian's packages cannot be fetched: {done.stderr.strip() or done.stdout.strip()}")


def unpack(packages: list[Path], tree: Path) -> None:
    """Unpack PACKAGES into TREE as into a system whose /bin, /lib and /sbin are links into /usr."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for package in packages:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
            command = ["tar", "-x", "--keep-directory-symlink", "-C", str(tree), "-f", "-"]
            subprocess.run(command, stdin=content.stdout, check=True)
    for name in ("etc/network/interfaces", "etc/default/networking"):
        (tree / name).unlink(missing_ok=True)


def possible() -> str:
    """Return why the managers cannot run here, "" where they can."""
    if os.getuid():
        return "network managers change to users of their own, which takes root"
    return ""
