"""Decodes notifications: routes, links, addresses and nexthop objects that were added, changed or deleted."""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.route import MAIN, PROTOCOL, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import read_route
from podroutes.rtnl.encode import RTMSG
from podroutes.rtnl.message import HEADER, Message, attributes, messages

# Links and addresses too: when a link or its last address goes, the kernel deletes IPv4 routes without notifications.
GROUPS = (
    nl.RTNLGRP_LINK,
    nl.RTNLGRP_IPV4_IFADDR,
    nl.RTNLGRP_IPV6_IFADDR,
    nl.RTNLGRP_IPV4_ROUTE,
    nl.RTNLGRP_IPV6_ROUTE,
    nl.RTNLGRP_NEXTHOP,
    nl.RTNLGRP_IPV4_RULE,
    nl.RTNLGRP_IPV6_RULE,
)
_SURROUNDINGS = {
    nl.RTM_NEWLINK: False,
    nl.RTM_DELLINK: True,
    nl.RTM_NEWADDR: False,
    nl.RTM_DELADDR: True,
    nl.RTM_NEWNEXTHOP: False,
    nl.RTM_DELNEXTHOP: True,
    nl.RTM_NEWRULE: False,
    nl.RTM_DELRULE: True,
}
_INDEX = struct.Struct("=I")
_ROUTES = {nl.RTM_NEWROUTE: False, nl.RTM_DELROUTE: True}


class Notification(NamedTuple):
    """One notification. ``port`` is the netlink port that requested the change, 0 for the kernel.

    ``dst`` is set for a route of the main table, ``route`` also if the route has our protocol. ``ifindex`` is set for a link and for
    an address.
    """

    kind: Literal["route", "surroundings"]
    gone: bool
    port: int
    dst: Prefix | None = None
    route: Route | None = None
    ifindex: int = 0


def notifications(datagram: bytes, names: dict[int, str]) -> Iterator[Notification]:
    """Yield the notifications in DATAGRAM that podroutes uses. NAMES maps interface indexes to device names."""
    for message in messages(datagram):
        port = HEADER.unpack_from(datagram, message.start - HEADER.size)[4]
        if message.type in _SURROUNDINGS:
            yield Notification("surroundings", _SURROUNDINGS[message.type], port, ifindex=_ifindex(datagram, message))
        elif message.type in _ROUTES and message.end - message.start >= RTMSG.size:
            destination = _destination(datagram, message)
            if destination:
                dst, ours = destination
                route = read_route(datagram, message, names) if ours else None
                yield Notification("route", _ROUTES[message.type], port, dst, route)


def _ifindex(datagram: bytes, message: Message) -> int:
    """Return the interface index, which struct ifinfomsg and struct ifaddrmsg have in one place; 0 for nexthop objects."""
    if message.type in (nl.RTM_NEWNEXTHOP, nl.RTM_DELNEXTHOP) or message.end - message.start < 2 * _INDEX.size:
        return 0
    return int(_INDEX.unpack_from(datagram, message.start + _INDEX.size)[0])


def _destination(datagram: bytes, message: Message) -> tuple[Prefix, bool] | None:
    """Return the destination of a route of the main table and whether it is ours; None for other tables and for cached routes."""
    family, length, _, _, table, protocol, _, _, flags = RTMSG.unpack_from(datagram, message.start)
    if table != MAIN or family not in nl.VERSION or flags & nl.RTM_F_CLONED:
        return None
    for kind, start, end in attributes(datagram, message.start + RTMSG.size, message.end):
        if kind == nl.RTA_DST:
            return Prefix(nl.VERSION[family], int.from_bytes(datagram[start:end], "big"), length), protocol == PROTOCOL
    return Prefix(nl.VERSION[family], 0, 0), protocol == PROTOCOL
