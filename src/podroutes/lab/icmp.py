"""Encodes echo requests and decodes the answers: RFC 792, RFC 4443."""

import struct
from typing import NamedTuple

from podroutes.model.address import Address, parse_address

ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
# The error types, each with the meaning of its codes.
_ERRORS: dict[int, dict[int, dict[int, str]]] = {
    4: {
        3: {0: "network unreachable", 1: "host unreachable", 10: "host prohibited", 13: "prohibited"},
        11: {0: "TTL exceeded: a routing loop"},
    },
    6: {
        1: {
            0: "no route",
            1: "prohibited",
            3: "address unreachable",
            5: "source address rejected",
            6: "route rejected",
        },
        3: {0: "hop limit exceeded: a routing loop"},
    },
}
WANTED = {version: (ECHO_REPLY[version], *kinds) for version, kinds in _ERRORS.items()}  # a redirect is not an answer


class Answer(NamedTuple):
    """A received answer to one request. ``error`` is empty if TARGET itself answered."""

    target: Address
    error: str = ""


def request(version: int, identifier: int, sequence: int) -> bytes:
    """Return an echo request; the kernel fills in the checksum of ICMPv6, RFC 3542 section 3.1."""
    head = struct.pack("!BBHHH", ECHO_REQUEST[version], 0, 0, identifier, sequence & 0xFFFF)
    return head if version == 6 else head[:2] + struct.pack("!H", checksum(head)) + head[4:]


def checksum(data: bytes) -> int:
    """Return the Internet checksum of DATA, which has an even length, RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def parse(version: int, packet: bytes, source: str, identifier: int) -> Answer | None:
    """Return the answer in PACKET, received from SOURCE on a raw socket, None if it is not one to our request.

    IPv4 raw sockets include the IP header, raw(7); IPv6 ones do not, RFC 3542 section 3.
    """
    message = packet[(packet[0] & 15) * 4 :] if version == 4 and packet else packet
    if len(message) < 8:
        return None
    kind, code = message[0], message[1]
    if kind == ECHO_REPLY[version]:
        ours = message[4:6] == identifier.to_bytes(2, "big")
        return Answer(parse_address(source.partition("%")[0])) if ours else None
    meanings = _ERRORS[version].get(kind)
    if meanings is None:
        return None
    target = _quoted_target(version, message[8:], identifier)
    return Answer(target, f"{meanings.get(code, f'ICMP type {kind} code {code}')} (from {source})") if target else None


def _quoted_target(version: int, quoted: bytes, identifier: int) -> Address | None:
    """Return the destination of the packet quoted by an error, if it was our echo request."""
    if not quoted:
        return None
    start, end, inner = (16, 20, (quoted[0] & 15) * 4) if version == 4 else (24, 40, 40)
    echo = quoted[inner : inner + 8]
    if len(echo) < 8 or echo[0] != ECHO_REQUEST[version] or echo[4:6] != identifier.to_bytes(2, "big"):
        return None
    return Address(version, int.from_bytes(quoted[start:end], "big"))
