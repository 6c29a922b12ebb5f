"""Splits blocks of bytes into lines. Each byte is copied at most twice, whatever the size of lines and blocks."""

from collections.abc import Iterable, Iterator

LONGEST = 16 << 20  # bytes; etcd stores no object of more than 1.5 MiB


def lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield, for each block of BLOCKS, the list of lines that it completes, without line ends. An incomplete last line is dropped.

    Raises ValueError for a line that is too long for a watch.
    """
    begun: list[bytes] = []  # pieces of the incomplete line; joined once, since += would copy them each time
    size = 0
    for block in blocks:
        *complete, rest = block.split(b"\n")
        if complete:
            begun.append(complete[0])
            complete[0] = b"".join(begun)
            begun, size = [], 0
        yield [line for line in complete if line and not line.isspace()]
        begun.append(rest)
        size += len(rest)
        if size > LONGEST:
            raise ValueError(f"a line of more than {LONGEST >> 20} MiB")
