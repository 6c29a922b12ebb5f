"""Passes over the routes of others that no plan depends on, without making objects of them.

Alike messages are read by columns, as our own routes are (``decode``): half a million routes take a fraction of a second.
"""

from array import array
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import BITS
from podroutes.model.linux import RouteProtocol
from podroutes.model.route import PROTOCOL
from podroutes.rtnl import constants as nl
from podroutes.rtnl.columns import alike, values
from podroutes.rtnl.encode import RTMSG
from podroutes.rtnl.message import HEADER, attributes

_DST_LENGTH = HEADER.size + 1  # rtm_dst_len
_PROTOCOL = HEADER.size + 5  # rtm_protocol
_WINDOW, _MOST = 16, 1024  # messages tried first, and at most: doubled while they are all alike
# A file of ours may make static routes ours, and those of the kernel resolve next hops.
_READ = frozenset({PROTOCOL, int(RouteProtocol.STATIC), int(RouteProtocol.KERNEL)})
_VARYING = (nl.RTA_PRIORITY, nl.RTA_OIF, nl.RTA_CACHEINFO)  # attributes that differ and do not matter
_LEADING = frozenset({nl.RTA_GATEWAY, nl.RTA_VIA, nl.RTA_MULTIPATH})


class _Layout(NamedTuple):
    """Where the columns stand that may differ (words from the header), and all the rest."""

    dst: int
    via: int  # 0: there is no gateway of the same IP version
    varying: tuple[int, ...]
    rest: "array[int]"


class ForeignRoutes:
    """Passes over the routes of one IP version whose destinations are not among NETWORKS (``Interest``), asked for at the first.

    Routes of ours, static ones, and those that connect a network are never passed over, nor is the first one through each gateway.
    """

    def __init__(self, version: int, networks: Callable[[], AbstractSet[int]]) -> None:
        self.gateways: set[int] = set()
        self.destinations = bytearray()  # first addresses of what was passed over, in network byte order
        self._version = version
        self._networks = networks
        self._words = BITS[version] >> 5  # of an address
        self._layouts: dict[int, _Layout] = {}
        self._seen: set[bytes] = set()  # layouts of which a route was read
        self._window = _WINDOW

    def fresh(self) -> "ForeignRoutes":
        """Return an empty collector of the same kind."""
        return ForeignRoutes(self._version, self._networks)

    def passed(self, datagram: bytes, position: int, length: int) -> int:
        """Return how many of the messages of LENGTH bytes from POSITION on are passed over."""
        if length & 3 or length <= HEADER.size + RTMSG.size:
            return 0
        total = 0
        while most := min(self._window, (len(datagram) - position) // length):
            layout = self._layouts.get(length)
            rows = self._rows(datagram, position, length, layout, most) if layout else 0
            if not (rows or total):  # else the caller looks at the header of the next message first
                layout = self._learn(datagram, position, length)
                rows = self._rows(datagram, position, length, layout, most) if layout else 0
            self._window = min(self._window * 2, _MOST) if rows == most else _WINDOW
            if not rows:
                break
            total += rows
            position += rows * length
        return total

    def _rows(self, datagram: bytes, position: int, length: int, layout: _Layout, most: int) -> int:
        """Take in up to MOST messages that match LAYOUT and are of no interest; return how many did."""
        region = bytearray(datagram[position : position + most * length])
        protocols = region[_PROTOCOL::length]
        most = _before(protocols, _READ, most)
        del region[most * length :]
        region[_DST_LENGTH::length] = region[_PROTOCOL::length] = bytes(most)
        words, stride, zeros = array("I", bytes(region)), length >> 2, array("I", bytes(4 * most))
        columns = {}
        for offset in (layout.dst, layout.via):
            for word in range(offset, offset + self._words) if offset else ():
                columns[word] = words[word::stride]
                words[word::stride] = zeros
        for word in layout.varying:
            words[word::stride] = zeros
        rows = alike(words, layout.rest, most)
        if rows:
            rows = _before(values(columns, layout.dst, self._words, rows), self._networks(), rows)
        if rows and layout.via:
            vias = values(columns, layout.via, self._words, rows)
            if not self.gateways.issuperset(vias):
                rows = next(row for row, via in enumerate(vias) if via not in self.gateways)
        if rows:
            raw = array("I", bytes(4 * self._words * rows))
            for word in range(self._words):
                raw[word :: self._words] = columns[layout.dst + word][:rows]
            self.destinations += raw.tobytes()
        return rows

    def _learn(self, datagram: bytes, position: int, length: int) -> _Layout | None:
        """Learn the layout of the message at POSITION; None where it has to be read itself."""
        family, dst_length, _, _, _, protocol, _, kind, flags = RTMSG.unpack_from(datagram, position + HEADER.size)
        if family != nl.FAMILY[self._version] or flags & nl.RTM_F_CLONED or protocol in _READ or not dst_length:
            return None
        start = position + HEADER.size + RTMSG.size
        found = {
            kind: (first - position, last - first)
            for kind, first, last in attributes(datagram, start, position + length)
        }
        if nl.RTA_DST not in found or (kind == nl.RTN_UNICAST and _LEADING.isdisjoint(found)):
            return None
        via = found[nl.RTA_GATEWAY][0] if nl.RTA_GATEWAY in found else 0
        rest = bytearray(datagram[position : position + length])
        rest[_DST_LENGTH] = rest[_PROTOCOL] = 0
        blank = [(offset, self._words * 4) for offset in (found[nl.RTA_DST][0], via) if offset]
        varying = [found[attribute] for attribute in _VARYING if attribute in found]
        for offset, size in (*blank, *varying):
            rest[offset : offset + size] = bytes(size)
        words = tuple(word for offset, size in varying for word in range(offset >> 2, (offset + size) >> 2))
        layout = _Layout(found[nl.RTA_DST][0] >> 2, via >> 2, words, array("I", bytes(rest)))
        self._layouts[length] = layout
        if via:
            gateway = datagram[position + via : position + via + self._words * 4]
            if (value := int.from_bytes(gateway, "big")) not in self.gateways:
                self.gateways.add(value)
                return None
        elif (told := bytes(rest)) not in self._seen:
            self._seen.add(told)
            return None
        return layout


def _before(column: "list[int] | bytearray", stops: AbstractSet[int], most: int) -> int:
    """Return how many values of COLUMN come before the first that is among STOPS."""
    if stops.isdisjoint(column):
        return most
    return next(row for row, value in enumerate(column) if value in stops)
