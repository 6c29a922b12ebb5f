"""Compares the messages of a dump with those of the routes that are expected: an equal run needs no decoding.

What the kernel chooses, metric and device, is read from each message and does not count.
"""

from array import array
from bisect import bisect_left
from typing import NamedTuple

from podroutes.model.address import BITS
from podroutes.model.fib import PlainRoutes
from podroutes.rtnl.columns import addresses, fill
from podroutes.rtnl.message import HEADER

DST_LENGTH = HEADER.size + 1  # rtm_dst_len


class Layout(NamedTuple):
    """The offsets of the varying columns in a message of ours (bytes from its header), and its constant part."""

    dst: int
    via: int
    oif: int
    metric: int  # 0: no such attribute, the metric is 0
    rest: "array[int]"


class Equal(NamedTuple):
    """A run of messages that are those of the expected rows FIRST to LAST, with their interface indexes and metrics."""

    first: int
    last: int
    indexes: "array[int]"
    metrics: list[int]


class Image:
    """The messages that list EXPECTED routes of one IP version, which are in order of destination."""

    def __init__(self, expected: PlainRoutes) -> None:
        self.expected = expected
        self._width = BITS[expected.version] >> 3
        self._dst = addresses(expected.dst, self._width)
        self._via = addresses(expected.via, self._width)
        self._length = bytes(expected.length)

    def equal(self, datagram: bytes, position: int, length: int, layout: Layout) -> Equal | None:
        """Return the run of messages of LENGTH bytes from POSITION on that are as expected; None if the first is not."""
        start = position + layout.dst
        first = bisect_left(self.expected.dst, int.from_bytes(datagram[start : start + self._width], "big"))
        rows = min((len(datagram) - position) // length, len(self._length) - first)
        if rows < 1:
            return None
        region = bytearray(datagram[position : position + rows * length])
        words, stride, zeros = memoryview(region).cast("I"), length >> 2, memoryview(bytes(4 * rows)).cast("I")
        indexes = array("I", words[layout.oif >> 2 :: stride].tobytes())
        words[layout.oif >> 2 :: stride] = zeros
        metrics = [0] * rows
        if layout.metric:
            metrics = words[layout.metric >> 2 :: stride].tolist()
            words[layout.metric >> 2 :: stride] = zeros
        rows = _equal_rows(region, self._messages(first, rows, length, layout), length)
        return Equal(first, first + rows, indexes[:rows], metrics[:rows]) if rows else None

    def _messages(self, first: int, rows: int, length: int, layout: Layout) -> bytearray:
        """Return the messages of ROWS expected routes from FIRST on, without metric and device."""
        image = bytearray(layout.rest.tobytes() * rows)
        image[DST_LENGTH::length] = self._length[first : first + rows]
        words, each = memoryview(image).cast("I"), self._width >> 2
        fill(words, layout.dst, length, self._dst[first * each : (first + rows) * each])
        fill(words, layout.via, length, self._via[first * each : (first + rows) * each])
        return image


def _equal_rows(one: bytearray, other: bytearray, length: int) -> int:
    """Return how many messages of LENGTH bytes ONE and OTHER, of the same size, have in common at their beginnings."""
    low, high = 0, len(one) // length
    if one == other:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low * length : middle * length] == other[low * length : middle * length]:
            low = middle
        else:
            high = middle
    return low
