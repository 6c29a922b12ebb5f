"""Writes files atomically, and reads them without waiting for what is no file."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LARGEST = 64 << 20  # bytes: the nodes of the largest cluster take 1


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write TEXT to PATH with MODE. At any time PATH has either the complete old or the complete new content.

    A temporary file in the same directory, fsync, rename(2), then fsync of the directory, since rename alone does not survive a
        power failure. The temporary file is hidden, locked while its writer runs, and not executable before it is complete, since
        ifupdown2 runs all files in its directories. Raises ``OSError``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    sweep((temporary,))  # process ids are reused after a boot and in containers
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)  # regardless of the umask
            os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_whole(path: Path) -> str:
    """Return what ``write_whole`` put at PATH. Whatever stands there instead is not waited for.

    Raises ``OSError`` for what cannot be read, is no regular file or is far too large, and ``UnicodeDecodeError``.
    """
    with open(path, encoding="utf-8", opener=_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        if status.st_size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()


def leftovers(name: str) -> str:
    """Return the glob pattern of temporary files that killed writers of NAME leave behind."""
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}.{tail}.[0-9]*"


def sweep(temporaries: Iterable[Path]) -> None:
    """Delete the TEMPORARIES whose writer is gone; its lock ended with it, flock(2)."""
    for path in temporaries:
        with suppress(OSError), open(path, "rb", opener=_at_once) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _at_once(path: str, flags: int) -> int:
    """Open PATH; a FIFO would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
