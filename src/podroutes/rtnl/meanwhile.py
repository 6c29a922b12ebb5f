"""Determines from notifications what others did to a destination between our snapshot and our write.

A replace ignores the protocol of the present route, and its notification shows only the new route. But all changes, ours
included, are notified in the order in which the kernel made them. So our replace displaced the route of the last foreign
notification before ours.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.linux import NextHopFlag
from podroutes.model.route import MAIN, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import read_route
from podroutes.rtnl.encode import RTMSG
from podroutes.rtnl.message import HEADER, Message, attribute, attributes, message, messages

# Attributes that a request may have. The kernel adds others to notifications, and refuses some of these in requests.
_TELLING = frozenset(
    {
        nl.RTA_DST,
        nl.RTA_OIF,
        nl.RTA_GATEWAY,
        nl.RTA_PRIORITY,
        nl.RTA_PREFSRC,
        nl.RTA_METRICS,
        nl.RTA_MULTIPATH,
        nl.RTA_FLOW,
        nl.RTA_TABLE,
        nl.RTA_VIA,
        nl.RTA_PREF,
        nl.RTA_ENCAP_TYPE,
        nl.RTA_ENCAP,
        nl.RTA_NH_ID,
    }
)
# For a route with a nexthop id the kernel also sends the next hops, and refuses a request with both.
_BY_ID = frozenset({nl.RTA_OIF, nl.RTA_GATEWAY, nl.RTA_MULTIPATH, nl.RTA_VIA, nl.RTA_ENCAP_TYPE, nl.RTA_ENCAP})

Key = tuple[Prefix, int, int]  # destination, TOS, metric: the key of a replace in the main table


class Event(NamedTuple):
    """One notified change. ``port`` is the netlink port that requested it, ``datagram`` and ``said`` are the message."""

    port: int
    gone: bool
    datagram: bytes
    said: Message

    def route(self, names: dict[int, str]) -> Route:
        """Return the route. NAMES maps interface indexes to device names."""
        return read_route(self.datagram, self.said, names)


def key(route: Route) -> Key:
    """Return the key of a replace of ROUTE."""
    return route.dst, route.tos, route.metric


def events(datagram: bytes, keys: Collection[Key]) -> Iterator[tuple[Key, Event]]:
    """Yield the changes in DATAGRAM to routes of the main table with one of KEYS."""
    for header in messages(datagram):
        if header.type not in (nl.RTM_NEWROUTE, nl.RTM_DELROUTE) or header.end - header.start < RTMSG.size:
            continue
        family, _, _, _, table, _, _, _, flags = RTMSG.unpack_from(datagram, header.start)
        if table != MAIN or family not in nl.VERSION or flags & nl.RTM_F_CLONED:
            continue
        route_key = key(read_route(datagram, header, {}))
        if route_key in keys:
            port = HEADER.unpack_from(datagram, header.start - HEADER.size)[4]
            yield route_key, Event(port, header.type == nl.RTM_DELROUTE, datagram, header)


class Outcome(NamedTuple):
    """``displaced`` is the foreign route that our last replace displaced, ``standing`` the foreign route that is present now."""

    displaced: Event | None = None
    standing: Event | None = None


def outcome(seen: Sequence[Event], own_port: int) -> Outcome:
    """Evaluate the events SEEN of one key, from a time at which our own route was present."""
    displaced = standing = None
    for event in seen:
        if event.port == own_port:
            if not event.gone:
                displaced, standing = standing, None
        elif event.gone:
            if standing and _ways(standing) == _ways(event):
                standing = None
        elif _comes_first(event):
            standing = event
    return Outcome(displaced, standing)


def _comes_first(event: Event) -> bool:
    """Return whether a replace would hit the route of EVENT: it replaced another or was prepended. In IPv6 others become siblings."""
    family = RTMSG.unpack_from(event.datagram, event.said.start)[0]
    return family == nl.AF_INET6 or not event.said.flags & nl.NLM_F_APPEND


def _ways(event: Event) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """Return protocol and next hops."""
    protocol = RTMSG.unpack_from(event.datagram, event.said.start)[5]
    return protocol, tuple((kind, data) for kind, data in _telling(event) if kind in _BY_ID or kind == nl.RTA_NH_ID)


def _telling(event: Event) -> list[tuple[int, bytes]]:
    datagram, header = event.datagram, event.said
    parts = attributes(datagram, header.start + RTMSG.size, header.end)
    return [(kind, datagram[start:end]) for kind, start, end in parts if kind in _TELLING]


def replacement(event: Event, seq: int) -> bytes:
    """Return the request that replaces the present route by that of EVENT, with an acknowledgement."""
    telling = _telling(event)
    by_id = any(kind == nl.RTA_NH_ID for kind, _ in telling)
    *head, flags = RTMSG.unpack_from(event.datagram, event.said.start)
    body = RTMSG.pack(*head, flags & NextHopFlag.ONLINK)
    body += b"".join(attribute(kind, data) for kind, data in telling if not (by_id and kind in _BY_ID))
    return message(nl.RTM_NEWROUTE, nl.NLM_F_REQUEST | nl.NLM_F_REPLACE | nl.NLM_F_ACK, seq, body)
