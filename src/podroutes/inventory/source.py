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
WHOLE = (
    64 << 20
)  # bytes that are read into one string: the other formats need 100 to 300 a node, and several times as much memory
CHUNK = 1 << 20  # bytes a read: large enough that reads cost nothing, small enough not to show in the peak
FIFO_PATIENCE = 2.0  # seconds; whoever makes the inventory on the fly has opened its end by then
_BOM = b"\xef\xbb\xbf"
STDIN = "standard input"


class Source:
    """A named stream of text that is still bytes. ``head`` is its beginning, enough to recognise the format by."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = escaped(name)
        self._stream = stream
        self.head = self._read().removeprefix(_BOM)
        if not self.head:
            raise self.error("is empty; wanted nodes (YAML, JSON or machines.txt)")

    def error(self, what: str, line: int | None = None) -> InventoryError:
        """Return the error that says WHAT is wrong with this source, at LINE where it is known."""
        return InventoryError(f"{self.name}:{line}: {what}" if line else f"{self.name}: {what}")

    def chunks(self) -> Iterator[bytes]:
        """Yield everything once, ``head`` first; raise InventoryError when it is not text or does not end."""
        size, chunk = 0, self.head
        while chunk:
            size += len(chunk)
            if size > LIMIT:
                raise self.error(_too_large(LIMIT))
            yield chunk
            chunk = self._read()

    def text(self) -> str:
        """Return everything as one string; raise InventoryError when it is not UTF-8."""
        data = bytearray()  # grows in place, where joining chunks would hold everything twice
        for chunk in self.chunks():
            data += chunk
            if len(data) > WHOLE:
                raise self.error(_too_large(WHOLE))
        return self.decode(data)

    def decode(self, data: bytes | bytearray, lines: int = 0) -> str:
        """Return DATA, in front of which LINES lines were read, as a string."""
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
        if b"\0" in chunk:
            raise self.error(
                "holds NUL bytes, so it is binary or UTF-16; wanted UTF-8 text: YAML, JSON or machines.txt"
            )
        return chunk


def _too_large(limit: int) -> str:
    return f"is larger than {limit >> 20:,} MiB, and no inventory is"


@contextmanager
def opened(path: str, stream: BinaryIO | None = None) -> Iterator[Source]:
    """Open PATH (``-``: standard input), or take STREAM in its place; raise InventoryError when that is impossible."""
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
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would be waited for


def _wait_for_writer(descriptor: int, path: str) -> None:
    """Return once a FIFO has something to read, or somebody who may write; InventoryError where nobody comes."""
    import select  # noqa: PLC0415 - few inventories are a FIFO

    if select.select([descriptor], [], [], FIFO_PATIENCE)[0]:
        return
    with suppress(BlockingIOError):  # somebody has it open for writing
        os.read(descriptor, 1)
        what = "is a FIFO that nobody writes to; give the path of the inventory"
        raise InventoryError(f"{escaped(path)}: {what}, or - for {STDIN}")
