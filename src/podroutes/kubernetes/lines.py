"""Lines out of blocks of bytes, each byte copied once or twice whatever the size of lines and blocks."""

from collections.abc import Iterable, Iterator

LONGEST = 16 << 20  # bytes; etcd does not store objects of more than 1.5 MiB


def lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines that each block of BLOCKS completes, maybe none, without their ends; what follows the last end is dropped.

    ValueError where there is no end of a line for very long: that is no watch.
    """
    begun: list[bytes] = []  # pieces of a line whose end has not come; joined once, where += would copy it every time
    size = 0
    for block in blocks:
        *whole, rest = block.split(b"\n")
        if whole:
            begun.append(whole[0])
            whole[0] = b"".join(begun)
            begun, size = [], 0
        yield [line for line in whole if line and not line.isspace()]
        begun.append(rest)
        size += len(rest)
        if size > LONGEST:
            raise ValueError(f"a line of more than {LONGEST >> 20} MiB")
