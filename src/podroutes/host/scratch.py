"""Temporary directories for files that a manager's own tool checks before they are written."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "podroutes-files-"  # only these directories are locked


@contextmanager
def scratch() -> Iterator[Path]:
    """Make an empty directory that is deleted at the end, and delete those of killed runs of this user.

    Each is locked while its run lives, flock(2); the lock ends with the process.
    """
    _sweep()
    directory, lock = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    """Return a new directory and its lock. If another run deletes it before it is locked, a new one is made."""
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
        with suppress(OSError):  # another user's, in use, or already gone
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid() and _is_scratch(path):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _is_scratch(path: Path) -> bool:
    """Return whether the name is one of ours: the prefix and the eight characters of mkdtemp(3)."""
    return len(path.name) == len(_PREFIX) + 8
