"""What others did to a destination between our look at the table and our write: told apart by what the kernel announces.

A replace ignores whose the route is, and its announcement shows the new route alone. But every change is announced in the order in
which the kernel made it, ours among them. So what somebody else's last message before ours put there is what ours displaced.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.route import MAIN, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import read_route
from podroutes.rtnl.encode import RTMSG
from podroutes.rtnl.message import HEADER, Message, attribute, attributes, message, messages

# What a request may say of a route; the rest of an announcement is what the kernel adds, and some of that it refuses.
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
# With the id of a nexthop object the kernel announces where that leads, and takes no request that says both.
_BY_ID = frozenset({nl.RTA_OIF, nl.RTA_GATEWAY, nl.RTA_MULTIPATH, nl.RTA_VIA, nl.RTA_ENCAP_TYPE, nl.RTA_ENCAP})
_RTNH_F_ONLINK = 4

Key = tuple[Prefix, int, int]  # destination, TOS, metric: what a replace in the main table goes by


class Event(NamedTuple):
    """One change that was announced: ``port`` is the netlink port of who asked for it, ``datagram`` and ``said`` the message."""

    port: int
    gone: bool
    datagram: bytes
    said: Message

    def route(self, names: dict[int, str]) -> Route:
        """Return the route. NAMES tells the device of an interface index."""
        return read_route(self.datagram, self.said, names)


def key(route: Route) -> Key:
    """Return what a replace of ROUTE goes by."""
    return route.dst, route.tos, route.metric


def events(datagram: bytes, keys: Collection[Key]) -> Iterator[tuple[Key, Event]]:
    """Yield the changes that DATAGRAM announces to routes of the main table with one of KEYS."""
    for said in messages(datagram):
        if said.type not in (nl.RTM_NEWROUTE, nl.RTM_DELROUTE) or said.end - said.start < RTMSG.size:
            continue
        family, _, _, _, table, _, _, _, flags = RTMSG.unpack_from(datagram, said.start)
        if table != MAIN or family not in nl.VERSION or flags & nl.RTM_F_CLONED:
            continue
        found = key(read_route(datagram, said, {}))
        if found in keys:
            port = HEADER.unpack_from(datagram, said.start - HEADER.size)[4]
            yield found, Event(port, said.type == nl.RTM_DELROUTE, datagram, said)


class Outcome(NamedTuple):
    """``displaced`` is the foreign route that our last replace took the place of, ``standing`` the one that is there now."""

    displaced: Event | None = None
    standing: Event | None = None


def outcome(found: Sequence[Event], own_port: int) -> Outcome:
    """Follow what was announced of one key, FOUND, from a moment on at which our own route stood there."""
    displaced = standing = None
    for event in found:
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
    """Whether what EVENT put there is what a replace hits: it replaced, or was put in front. IPv6 makes siblings of all others."""
    family = RTMSG.unpack_from(event.datagram, event.said.start)[0]
    return family == nl.AF_INET6 or not event.said.flags & nl.NLM_F_APPEND


def _ways(event: Event) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """Return protocol and next hops."""
    protocol = RTMSG.unpack_from(event.datagram, event.said.start)[5]
    return protocol, tuple((kind, data) for kind, data in _telling(event) if kind in _BY_ID or kind == nl.RTA_NH_ID)


def _telling(event: Event) -> list[tuple[int, bytes]]:
    datagram, said = event.datagram, event.said
    found = attributes(datagram, said.start + RTMSG.size, said.end)
    return [(kind, datagram[start:end]) for kind, start, end in found if kind in _TELLING]


def replacement(event: Event, seq: int) -> bytes:
    """Return the request that puts the route of EVENT into the place that another has now; its answer is wanted."""
    telling = _telling(event)
    by_id = any(kind == nl.RTA_NH_ID for kind, _ in telling)
    *head, flags = RTMSG.unpack_from(event.datagram, event.said.start)
    body = RTMSG.pack(*head, flags & _RTNH_F_ONLINK)
    body += b"".join(attribute(kind, data) for kind, data in telling if not (by_id and kind in _BY_ID))
    return message(nl.RTM_NEWROUTE, nl.NLM_F_REQUEST | nl.NLM_F_REPLACE | nl.NLM_F_ACK, seq, body)
