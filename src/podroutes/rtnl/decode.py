"""Decodes a dump of routes.

Our own routes have the same layout, so a run of them is read by columns: one comparison of bytes checks the constant part.
Other routes are decoded message by message.
"""

import struct
from array import array
from collections.abc import Iterator

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.fib import PlainRoutes
from podroutes.model.route import MAIN, PROTOCOL, NextHop, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.columns import alike, values
from podroutes.rtnl.encode import RTMSG
from podroutes.rtnl.foreign import ForeignRoutes
from podroutes.rtnl.image import DST_LENGTH, Image, Layout
from podroutes.rtnl.message import HEADER, Answer, Message, answer, attributes

_RTNEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, interface index
_WORD = struct.Struct("=I")
_ATTRIBUTES = HEADER.size + RTMSG.size
_NEEDED = {nl.RTA_DST, nl.RTA_GATEWAY, nl.RTA_OIF}
_EXPECTED = {
    4: _NEEDED | {nl.RTA_TABLE, nl.RTA_PRIORITY},
    6: _NEEDED | {nl.RTA_TABLE, nl.RTA_PRIORITY, nl.RTA_CACHEINFO, nl.RTA_PREF},
}
_WINDOW = 16  # messages tried first; doubled while all have the layout, so that a mixed table costs little


class RouteDump:
    """Collects the answer to one ``routes_request`` of one IP version. Pass each datagram to ``feed``.

    What FOREIGN passes over is left out. IMAGE is of the routes that are probably there.
    """

    def __init__(
        self, version: int, names: dict[int, str], foreign: ForeignRoutes | None = None, image: Image | None = None
    ) -> None:
        self.plain = PlainRoutes.empty(version)
        self.others: list[Route] = []
        self.interrupted = False  # the table changed during the dump: routes may be missing (NLM_F_DUMP_INTR)
        self.foreign = foreign
        self._image = image
        self._version = version
        self._names = names
        self._layouts: dict[int, Layout] = {}
        self._window = _WINDOW

    def fresh(self) -> "RouteDump":
        """Return an empty collector with the same parameters."""
        return RouteDump(self._version, self._names, self.foreign and self.foreign.fresh(), self._image)

    def feed(self, datagram: bytes) -> Answer | None:
        """Decode one datagram; return the message that ends the dump, or None if more datagrams follow."""
        position = 0
        while position + HEADER.size <= len(datagram):
            length, kind, flags, seq, _ = HEADER.unpack_from(datagram, position)
            if length < HEADER.size or position + length > len(datagram):
                break
            if flags & nl.NLM_F_DUMP_INTR:
                self.interrupted = True
            if kind in (nl.NLMSG_DONE, nl.NLMSG_ERROR):
                return answer(datagram, Message(kind, flags, seq, position + HEADER.size, position + length))
            if self.foreign and kind == nl.RTM_NEWROUTE:
                passed = self.foreign.passed(datagram, position, length)
                position += passed * length
                if passed:
                    continue
            rows = self._run(datagram, position, length) if kind == nl.RTM_NEWROUTE else 0
            position += rows * length or length + (-length & 3)
        return None

    def _run(self, datagram: bytes, position: int, length: int) -> int:
        """Decode a run of plain routes, or one route of any kind; return the number of plain ones."""
        layout = self._layouts.get(length)
        if layout is None or not self._columns(datagram, position, length, layout, 1):
            said = Message(nl.RTM_NEWROUTE, 0, 0, position + HEADER.size, position + length)
            layout = _learn(datagram, position, length, self._version)
            if layout is None:
                self._other(datagram, said)
                return 0
            self._layouts[length] = layout
            self._columns(datagram, position, length, layout, 1)
        rows = 1
        if self._image:
            rows += self._expected(datagram, position + length, length, layout, self._image)
        while most := min(self._window, (len(datagram) - position) // length - rows):
            got = self._columns(datagram, position + rows * length, length, layout, most)
            rows += got
            self._window = min(self._window * 2, 1024) if got == most else _WINDOW
            if got < most:
                break
        return rows

    def _expected(self, datagram: bytes, position: int, length: int, layout: Layout, image: Image) -> int:
        """Append the messages from POSITION on that are as expected; return their number."""
        same = image.equal(datagram, position, length, layout) if position + length <= len(datagram) else None
        if same is None:
            return 0
        plain, expected, rows = self.plain, image.expected, slice(same.first, same.last)
        plain.dst.extend(expected.dst[rows])
        plain.via.extend(expected.via[rows])
        plain.length.extend(expected.length[rows])
        plain.dev.extend(_devices(same.indexes, self._names))
        plain.metric.extend(same.metrics)
        return same.last - same.first

    def _other(self, datagram: bytes, said: Message) -> None:
        family, _, _, _, _, _, _, _, flags = RTMSG.unpack_from(datagram, said.start)
        # If IPv6 is disabled, the kernel answers with the routes of other families (rtnl_dump_all()).
        if family == nl.FAMILY[self._version] and not flags & nl.RTM_F_CLONED:
            self.others.append(read_route(datagram, said, self._names))

    def _columns(self, datagram: bytes, position: int, length: int, layout: Layout, most: int) -> int:
        """Append up to MOST routes that match LAYOUT; return their number."""
        region = bytearray(datagram[position : position + most * length])
        lengths = list(region[DST_LENGTH::length])
        region[DST_LENGTH::length] = bytes(most)
        words = array("I", bytes(region))
        stride = length >> 2
        zeros = array("I", bytes(4 * most))
        width = BITS[self._version] >> 5
        columns = {}
        for offset, size in ((layout.dst, width), (layout.via, width), (layout.oif, 1), (layout.metric, 1)):
            for word in range(offset >> 2, (offset >> 2) + size) if offset else ():
                columns[word] = words[word::stride]
                words[word::stride] = zeros
        rows = alike(words, layout.rest, most)
        if rows:
            plain, names = self.plain, self._names
            plain.dst.extend(values(columns, layout.dst >> 2, width, rows))
            plain.via.extend(values(columns, layout.via >> 2, width, rows))
            plain.length.extend(lengths[:rows])
            plain.dev.extend(_devices(columns[layout.oif >> 2][:rows], names))
            plain.metric.extend(columns[layout.metric >> 2][:rows] if layout.metric else zeros[:rows])
        return rows


def _devices(indexes: "array[int]", names: dict[int, str]) -> list[str]:
    """Return the device of each interface index; usually all are equal."""
    first = indexes[0]
    if indexes == array("I", [first]) * len(indexes):
        return [names.get(first, f"if{first}")] * len(indexes)
    return [names.get(index, f"if{index}") for index in indexes]


def _learn(datagram: bytes, position: int, length: int, version: int) -> Layout | None:
    """Return the layout of a plain route of ours, or None if the message is another kind of route."""
    family, dst_length, src_length, tos, table, protocol, scope, kind, flags = RTMSG.unpack_from(
        datagram, position + HEADER.size
    )
    ours = family == nl.FAMILY[version] and (table, protocol, kind) == (MAIN, PROTOCOL, nl.RTN_UNICAST)
    if not ours or src_length or tos or scope or flags or length & 3 or not dst_length:
        return None
    offsets = {
        kind: start - position for kind, start, _ in attributes(datagram, position + _ATTRIBUTES, position + length)
    }
    if not _NEEDED <= offsets.keys() <= _EXPECTED[version]:
        return None
    if nl.RTA_CACHEINFO in offsets and _expires(datagram, position + offsets[nl.RTA_CACHEINFO]):
        return None
    layout = Layout(
        offsets[nl.RTA_DST],
        offsets[nl.RTA_GATEWAY],
        offsets[nl.RTA_OIF],
        offsets.get(nl.RTA_PRIORITY, 0),
        array("I"),
    )
    rest = bytearray(datagram[position : position + length])
    rest[DST_LENGTH] = 0
    width = BITS[version] >> 3
    for offset, size in ((layout.dst, width), (layout.via, width), (layout.oif, 4), (layout.metric, 4)):
        if offset:
            rest[offset : offset + size] = bytes(size)
    return layout._replace(rest=array("I", bytes(rest)))


def _expires(datagram: bytes, start: int) -> bool:
    """Return whether the rta_cacheinfo at START gives the route a lifetime (its third word)."""
    return bool(_WORD.unpack_from(datagram, start + 8)[0])


def read_route(datagram: bytes, said: Message, names: dict[int, str]) -> Route:
    """Decode any RTM_NEWROUTE message. NAMES maps interface indexes to device names."""
    family, length, _, tos, table, protocol, scope, kind, flags = RTMSG.unpack_from(datagram, said.start)
    version = nl.VERSION[family]
    found = {number: (start, end) for number, start, end in attributes(datagram, said.start + RTMSG.size, said.end)}

    def word(number: int, default: int) -> int:
        return int(_WORD.unpack_from(datagram, found[number][0])[0]) if number in found else default

    def value(number: int) -> int:
        start, end = found[number]
        return int.from_bytes(datagram[start:end], "big")

    if nl.RTA_MULTIPATH in found:
        hops = tuple(_multipath(datagram, *found[nl.RTA_MULTIPATH], names))
    else:
        hops = _hop(datagram, found, word(nl.RTA_OIF, 0), flags & 0xFF, names)
    return Route(
        Prefix(version, value(nl.RTA_DST) if nl.RTA_DST in found else 0, length),
        hops,
        word(nl.RTA_PRIORITY, 0),
        protocol,
        word(nl.RTA_TABLE, table),
        nl.KINDS.get(kind, str(kind)),
        scope,
        tos,
        Address(version, value(nl.RTA_PREFSRC)) if nl.RTA_PREFSRC in found else None,
        tuple(_metrics(datagram, *found[nl.RTA_METRICS])) if nl.RTA_METRICS in found else (),
        word(nl.RTA_NH_ID, 0),
    )


def _metrics(datagram: bytes, start: int, end: int) -> Iterator[tuple[str, int]]:
    """Yield what RTA_METRICS sets; the congestion control is a name, and the only one that is no number."""
    for kind, first, last in attributes(datagram, start, end):
        if last - first == _WORD.size and kind in nl.METRICS and (value := _WORD.unpack_from(datagram, first)[0]):
            yield nl.METRICS[kind], int(value)


def _hop(
    datagram: bytes, found: dict[int, tuple[int, int]], index: int, flags: int, names: dict[int, str]
) -> tuple[NextHop, ...]:
    via = None
    if nl.RTA_GATEWAY in found:
        start, end = found[nl.RTA_GATEWAY]
        via = Address(4 if end - start == 4 else 6, int.from_bytes(datagram[start:end], "big"))
    elif nl.RTA_VIA in found:  # an IPv4 route through an IPv6 next hop: struct rtvia
        start, end = found[nl.RTA_VIA]
        family = struct.unpack_from("=H", datagram, start)[0]
        via = Address(nl.VERSION.get(family, 6), int.from_bytes(datagram[start + 2 : end], "big"))
    if via is None and not index:
        return ()
    return (NextHop(via, names.get(index, f"if{index}") if index else None, flags),)


def _multipath(datagram: bytes, start: int, end: int, names: dict[int, str]) -> list[NextHop]:
    hops: list[NextHop] = []
    while start + _RTNEXTHOP.size <= end:
        length, flags, _, index = _RTNEXTHOP.unpack_from(datagram, start)
        if length < _RTNEXTHOP.size or start + length > end:
            break
        found = {
            kind: (first, last) for kind, first, last in attributes(datagram, start + _RTNEXTHOP.size, start + length)
        }
        hops += _hop(datagram, found, index, flags, names)
        start += length + (-length & 3)
    return hops
