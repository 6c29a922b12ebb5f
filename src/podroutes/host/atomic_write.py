"""The one place that writes files: whole or not at all."""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Put TEXT at PATH so that at every moment the old or the new content is there, whole, with MODE.

    A temporary file beside it, fsync, rename(2), then fsync of the directory, as rename's atomicity alone does not survive a
    power cut. The temporary is hidden, locked while its writer lives, and cannot be executed before it is whole: ifupdown2 runs
    whatever lies in its directories. Raises ``OSError``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    sweep((temporary,))  # process numbers come again, after a boot and in containers
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask says
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


def leftovers(name: str) -> str:
    """Return the pattern of the temporary files that writers of NAME leave behind when they are killed."""
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}.{tail}.[0-9]*"


def sweep(temporaries: Iterable[Path]) -> None:
    """Delete those of TEMPORARIES whose writer is gone; with the process went its lock, flock(2)."""
    for path in temporaries:
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
