"""Alike messages as columns of words."""

import sys
from array import array
from collections.abc import Sequence


def alike(words: "array[int]", rest: "array[int]", most: int) -> int:
    """Return how many of the MOST messages in WORDS equal REST before the first that does not."""
    if words == rest * most:
        return most
    low, high, stride = 0, most, len(rest)
    while high - low > 1:
        middle = (low + high) // 2
        if words[low * stride : middle * stride] == rest * (middle - low):
            low = middle
        else:
            high = middle
    return low


def values(columns: dict[int, "array[int]"], first: int, width: int, rows: int) -> list[int]:
    """Return the addresses of WIDTH words that start at word FIRST of each message."""
    parts = [columns[first + word][:rows] for word in range(width)]
    if sys.byteorder == "little":
        for part in parts:
            part.byteswap()
    if width == 1:
        return parts[0].tolist()
    return [a << 96 | b << 64 | c << 32 | d for a, b, c, d in zip(*parts, strict=True)]


def fill(words: "memoryview[int]", offset: int, size: int, column: "array[int]") -> None:
    """Write COLUMN, one or more words a message, at byte OFFSET of each message of SIZE bytes."""
    each = len(column) * size // (len(words) * 4)
    for word in range(each):
        words[(offset >> 2) + word :: size >> 2] = memoryview(column)[word::each]


def addresses(values: Sequence[int], width: int) -> "array[int]":
    """Return addresses of WIDTH bytes in network byte order as words."""
    if width > 4:
        return array("I", b"".join([value.to_bytes(width, "big") for value in values]))
    column = array("I", values)
    if sys.byteorder == "little":
        column.byteswap()
    return column
