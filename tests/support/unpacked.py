"""Programs of Debian's packages, with their libraries and files over the system's own and an empty /run: unpacked, and installed nowhere."""

import subprocess
from pathlib import Path

import pytest

from support import debian

_UNREAD = [f"--exclude=./usr/share/{name}" for name in ("doc", "info", "locale", "man")]  # all of it lies in memory
_OVER = """
for name in usr etc; do
    [ ! -d "$0/$name" ] || mount -t overlay -o "lowerdir=$0/$name:/$name" overlay "/$name" || exit
done
mount -t tmpfs tmpfs /run || exit
exec "$@"
"""


def packages_or_skip(name: str) -> list[Path]:
    """Return the packages of the set NAME (debian.SETS); skips the test where they cannot be had."""
    try:
        return debian.packages(name)
    except debian.UnavailableError as error:
        pytest.skip(str(error))


def over(packages: list[Path], tree: Path) -> list[str]:
    """Unpack PACKAGES into TREE; return the words that start a program that sees them."""
    unpack(packages, tree)
    return ["unshare", "--mount", "sh", "-c", _OVER, str(tree)]


def unpack(packages: list[Path], tree: Path) -> None:
    """Unpack PACKAGES into TREE as into a system whose /bin, /lib and /sbin are links into /usr."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (tree / name).exists():
            (tree / name).symlink_to(f"usr/{name}")
    for package in packages:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
            command = ["tar", "-x", "--keep-directory-symlink", *_UNREAD, "-C", str(tree), "-f", "-"]
            subprocess.run(command, stdin=content.stdout, check=True)
    for name in ("etc/network/interfaces", "etc/default/networking"):
        (tree / name).unlink(missing_ok=True)
