"""Where an inventory's bytes come from: a file, standard input, or any binary stream."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from podroutes.errors import InventoryError
from podroutes.model.text import escaped

LIMIT = 4 << 30  # bytes; 100,000 Nodes as kubectl prints them are 2.4 GB, so more than this is the wrong file
WHOLE = 64 << 20  # bytes of a format that is read as one string: 100 to 300 a node, and several times as much memory
CHUNK = 1 << 20  # bytes a read: large enough for few calls, small beside the peak memory
FIFO_PATIENCE = 2.0  # seconds; a program that generates the inventory has opened the FIFO by then
_BOM = b"\xef\xbb\xbf"
STDIN = "standard input"


class Source:
    """A named stream of undecoded text. ``head`` is its beginning, long enough to recognise the format."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = escaped(name)
        self._stream = stream
        self.head = self._read().removeprefix(_BOM)
        if not self.head:
            raise self.error("is empty; wanted nodes (YAML, JSON or machines.txt)")

    def error(self, what: str, line: int | None = None) -> InventoryError:
        """Return an InventoryError that says WHAT is wrong with this source, at LINE if it is known."""
        return InventoryError(f"{self.name}:{line}: {what}" if line else f"{self.name}: {what}")

    def chunks(self) -> Iterator[bytes]:
        """Yield the content once, ``head`` first. Raises InventoryError if it is not text or is too large."""
        size, chunk = 0, self.head
        while chunk:
            size += len(chunk)
            if size > LIMIT:
                raise self.error(_too_large(LIMIT))
            yield chunk
            chunk = self._read()

    def text(self) -> str:
        """Return the content as one string. Raises InventoryError if it is not UTF-8."""
        data = bytearray()  # grows in place; joining chunks would need the memory twice
        for chunk in self.chunks():
            data += chunk
            if len(data) > WHOLE:
                raise self.error(_too_large(WHOLE))
        return self.decode(data)

    def decode(self, data: bytes | bytearray, lines: int = 0) -> str:
        """Return DATA as a string. LINES lines precede it."""
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = lines + data.count(b"\n", 0, error.start) + 1
            raise self.error(f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", line) from None

    def _read(self) -> bytes:
        try:
            chunk = self._stream.read(CHUNK)
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror}") from None
        if chunk is None:  # read(2) would have waited
            raise self.error("has nothing to read yet; give the path of a regular file")
        if b"\0" in chunk:
            raise self.error(
                "holds NUL bytes, so it is binary or UTF-16; wanted UTF-8 text: YAML, JSON or machines.txt"
            )
        return chunk


def _too_large(limit: int) -> str:
    return f"is larger than {limit >> 20:,} MiB, and no inventory is"


@contextmanager
def opened(path: str, stream: BinaryIO | None = None) -> Iterator[Source]:
    """Open PATH (``-``: standard input), or use STREAM in its place. Raises InventoryError if PATH cannot be opened."""
    if stream is not None or path == "-":
        if stream is None and sys.stdin is None:  # the caller closed file descriptor 0
            raise InventoryError(f"{STDIN}: is closed; give a path with --inventory")
        yield Source(STDIN if path == "-" else path, stream or sys.stdin.buffer)
        return
    try:
        file = open(path, "rb", opener=_opener)  # noqa: SIM115 - closed below; pathlib costs 5 ms to import
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise InventoryError(
            f"{escaped(path) or 'the empty path'}: cannot be read: {why}; give the path of the inventory, or - for {STDIN}"
        ) from None
    with file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > LIMIT:
            raise InventoryError(f"{escaped(path)}: {_too_large(LIMIT)}")
        if stat.S_ISFIFO(status.st_mode):
            _wait_for_writer(file.fileno(), path)
        os.set_blocking(file.fileno(), True)
        yield Source(path, file)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a FIFO would block


def _wait_for_writer(descriptor: int, path: str) -> None:
    """Wait until a FIFO has data or a writer. Raises InventoryError if no writer appears."""
    import select  # noqa: PLC0415 - few inventories are a FIFO

    if select.select([descriptor], [], [], FIFO_PATIENCE)[0]:
        return
    with suppress(BlockingIOError):  # a writer has it open
        os.read(descriptor, 1)
        what = "is a FIFO that nobody writes to; give the path of the inventory"
        raise InventoryError(f"{escaped(path)}: {what}, or - for {STDIN}")
