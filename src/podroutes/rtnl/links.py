"""Dump requests for links and addresses, and decoding of the answers."""

import struct
import sys

from podroutes.model.address import Address
from podroutes.model.fib import IfAddress, Link, Unusable
from podroutes.rtnl import constants as nl
from podroutes.rtnl.message import Message, attribute, attributes, message

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_U32 = struct.Struct("=I")
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index


def links_request(seq: int) -> bytes:
    """Return a dump request for all links, without counters."""
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0) + attribute(nl.IFLA_EXT_MASK, struct.pack("=I", nl.RTEXT_FILTER_SKIP_STATS))
    return message(nl.RTM_GETLINK, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, seq, body)


def addresses_request(seq: int) -> bytes:
    """Return a dump request for all IPv4 and IPv6 addresses."""
    return message(nl.RTM_GETADDR, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, seq, _IFADDRMSG.pack(0, 0, 0, 0, 0))


def link(datagram: bytes, header: Message) -> Link:
    """Decode an RTM_NEWLINK message."""
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(datagram, header.start)
    name, mtu = "", 0
    for kind, start, end in attributes(datagram, header.start + _IFINFOMSG.size, header.end):
        if kind == nl.IFLA_IFNAME:
            name = datagram[start:end].rstrip(b"\0").decode(errors="surrogateescape")
        elif kind == nl.IFLA_MTU:
            (mtu,) = _U32.unpack_from(datagram, start)
    return Link(index, name, up=bool(flags & nl.IFF_UP), carrier=bool(flags & nl.IFF_LOWER_UP), mtu=mtu)


def address(datagram: bytes, header: Message, names: dict[int, str]) -> IfAddress | Unusable | None:
    """Decode an RTM_NEWADDR message; None if it is neither IPv4 nor IPv6. NAMES maps interface indexes to device names.

    On a point-to-point link IFA_LOCAL is the local address and IFA_ADDRESS the peer's; elsewhere both are equal. IPv6 has only
        IFA_ADDRESS.
    """
    family, length, flags, _, index = _IFADDRMSG.unpack_from(datagram, header.start)
    if family not in nl.VERSION:
        return None
    payloads = {
        kind: datagram[start:end]
        for kind, start, end in attributes(datagram, header.start + _IFADDRMSG.size, header.end)
    }
    value = payloads.get(nl.IFA_LOCAL) or payloads.get(nl.IFA_ADDRESS)
    if not value:
        return None
    version, other = nl.VERSION[family], payloads.get(nl.IFA_ADDRESS, value)
    peer = Address(version, int.from_bytes(other, "big")) if other != value else None
    flags = int.from_bytes(payloads[nl.IFA_FLAGS], sys.byteorder) if nl.IFA_FLAGS in payloads else flags
    here = IfAddress(Address(version, int.from_bytes(value, "big")), length, names.get(index, f"if{index}"), peer)
    if version == 6 and flags & (nl.IFA_F_DADFAILED | nl.IFA_F_TENTATIVE) and not flags & nl.IFA_F_OPTIMISTIC:
        return Unusable(here, failed=bool(flags & nl.IFA_F_DADFAILED))
    return here
