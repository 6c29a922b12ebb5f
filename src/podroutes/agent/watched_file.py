"""Reads a file when it has changed and is not being written. It never reads a part of a file, and never blocks.

A read lease, fcntl(2), shows whether a file is open for writing: the kernel refuses it then. If no lease is possible (another user's
file, a network file system), and for a file that was changed in place, two checks must agree.
"""

import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from podroutes.errors import InventoryError
from podroutes.model.text import escaped

_QUIET = 1.0  # seconds without a change after which a file counts as complete if no lease is possible
_HELD = 30.0  # seconds without a change after which a file is read although it is open for writing
_F_SETSIG = 10  # asm-generic/fcntl.h; not in Python's fcntl
_KINDS = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISDIR, "a directory"), (stat.S_ISSOCK, "a socket"))


class _Stamp(NamedTuple):
    """The identity and version of a file, from stat(2)."""

    device: int
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds


class WatchedFile:
    """The file at PATH. ``written`` is whether the last read was postponed because it is being written."""

    def __init__(self, path: str) -> None:
        self.written = False
        self._path = path
        self._read: _Stamp | None = None  # of the last read
        self._seen: _Stamp | None = None  # of the last check
        self._since = 0.0  # monotonic seconds: since when the stamp is unchanged

    @contextmanager
    def look(self, *, again: bool) -> Iterator[BinaryIO | None]:
        """Yield the file if it has changed since it was read, or AGAIN, and is not being written; otherwise None.

        Raises InventoryError if it does not exist, is not a regular file, or changes while it is read.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a path"
            raise InventoryError(f"{escaped(self._path)}: cannot be read: {why}; looking again every second") from None
        try:
            stamp = self._stamp(descriptor)
            self.written = False
            if stamp == self._read and not again:
                yield None
            elif stamp != self._read and not self._is_quiet(descriptor, stamp):
                self.written = True
                yield None
            else:
                try:
                    with open(descriptor, "rb", closefd=False) as file:
                        yield file
                finally:
                    self._read = stamp
                    self._unchanged(descriptor, stamp)
        finally:
            os.close(descriptor)

    def _unchanged(self, descriptor: int, stamp: _Stamp) -> None:
        """Raise InventoryError if the file at DESCRIPTOR has changed since STAMP."""
        if self._stamp(descriptor) != stamp:
            self._read = None
            raise InventoryError(f"{escaped(self._path)}: is being written; reading it again")

    def _stamp(self, descriptor: int) -> _Stamp:
        try:
            status = os.fstat(descriptor)
        except OSError as error:
            raise InventoryError(f"{escaped(self._path)}: cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(status.st_mode):
            kind = next((name for test, name in _KINDS if test(status.st_mode)), "a device")
            raise InventoryError(
                f"{escaped(self._path)}: is {kind}; wanted a regular file, which can be read again and again"
            )
        return _Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _is_quiet(self, descriptor: int, stamp: _Stamp) -> bool:
        """Return whether the file is not being written, as far as known."""
        now, seen = time.monotonic(), self._seen
        if stamp != seen:
            self._seen, self._since = stamp, now
        idle = now - self._since
        writer = _has_writer(descriptor)
        if writer:
            return idle >= _HELD
        replaced = seen is not None and (stamp.device, stamp.inode) != (seen.device, seen.inode)
        first = seen is None and writer is False
        old = abs(time.time_ns() - stamp.changed) > _QUIET * 1e9
        return replaced or first or old or idle >= _QUIET


def _has_writer(descriptor: int) -> bool | None:
    """Return whether the file at DESCRIPTOR is open for writing, None if unknown."""
    try:
        # If the file is opened while we have the lease, the kernel sends this signal, which is ignored by default.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
