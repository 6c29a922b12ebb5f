"""Nexthop objects, ip-nexthop(8): where routes lead that the kernel tells the object's number of (nexthop_compat_mode=0)."""

import struct
import sys
from typing import NamedTuple

from podroutes.model.address import Address
from podroutes.model.route import NextHop, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.message import Message, attributes, message

_HEADER = struct.Struct("=BBBBI")  # struct nhmsg: family, scope, protocol, -, flags
_MEMBER = struct.Struct("=IBBH")  # struct nexthop_grp: number, weight, -, -


class Object(NamedTuple):
    """One object: a way out, a group of others, or a blackhole, which is neither."""

    hop: NextHop | None
    members: tuple[int, ...] = ()


def nexthops_request(seq: int) -> bytes:
    """Ask for all objects."""
    return message(nl.RTM_GETNEXTHOP, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, seq, _HEADER.pack(0, 0, 0, 0, 0))


def nexthop(datagram: bytes, header: Message, names: dict[int, str]) -> tuple[int, Object]:
    """Read an RTM_NEWNEXTHOP message: the object's number, and the object. NAMES tells the device of an interface index."""
    _, _, _, _, flags = _HEADER.unpack_from(datagram, header.start)
    payloads = {
        kind: datagram[start:end] for kind, start, end in attributes(datagram, header.start + _HEADER.size, header.end)
    }
    number = int.from_bytes(payloads.get(nl.NHA_ID, b""), sys.byteorder)
    if nl.NHA_GROUP in payloads:
        group = payloads[nl.NHA_GROUP]
        complete = len(group) - len(group) % _MEMBER.size
        return number, Object(None, tuple(member for member, *_ in _MEMBER.iter_unpack(group[:complete])))
    if nl.NHA_BLACKHOLE in payloads:
        return number, Object(None)
    via = None
    if gateway := payloads.get(nl.NHA_GATEWAY):
        via = Address(4 if len(gateway) == 4 else 6, int.from_bytes(gateway, "big"))
    index = int.from_bytes(payloads.get(nl.NHA_OIF, b""), sys.byteorder)
    return number, Object(NextHop(via, names.get(index, f"if{index}") if index else None, flags & 0xFF))


def resolved(route: Route, objects: dict[int, Object]) -> Route:
    """Return ROUTE with the ways out of its object; one whose object is not known stays without any."""
    nexthop_object = objects.get(route.nhid)
    if route.next_hops or nexthop_object is None or route.kind != "unicast":
        return route
    if nexthop_object.hop:
        return route._replace(next_hops=(nexthop_object.hop,))
    if not nexthop_object.members:
        return route._replace(kind="blackhole")
    members = [objects.get(member) for member in nexthop_object.members]
    hops = tuple(member.hop for member in members if member and member.hop)
    return route._replace(next_hops=hops) if None not in members else route
