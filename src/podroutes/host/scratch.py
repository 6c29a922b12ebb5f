"""Directories for files that a manager's own tool is to read before they are written where they belong."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "podroutes-files-"  # no other temporary directory of ours begins so: they are not locked


@contextmanager
def scratch() -> Iterator[Path]:
    """Make an empty directory that goes at the end, and take away those that killed runs of this user have left.

    Each is locked while its run lives, flock(2); the lock goes with the process.
    """
    _sweep()
    directory, lock = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    """Return a new directory and its lock. Another run may sweep it before it is locked: then there is another one."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.is_dir():
            return directory, lock
        os.close(lock)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, in use, or gone meanwhile
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid() and _is_scratch(path):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _is_scratch(path: Path) -> bool:
    """Whether the name is one of ours: the prefix and the eight characters of mkdtemp(3)."""
    return len(path.name) == len(_PREFIX) + 8
