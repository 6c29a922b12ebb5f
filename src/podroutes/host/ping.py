"""Sockets that check whether an address answers: ICMP echo, or UDP to a closed port; RFC 792, RFC 4443, icmp(7), ip(7).

ICMP datagram sockets need no privileges if net.ipv4.ping_group_range includes this user, raw sockets need CAP_NET_RAW, and UDP
needs none: a closed port answers with an ICMP error, which IP_RECVERR delivers.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from podroutes.host import ProbeError
from podroutes.model.address import Address, parse_address

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_LEVEL = {4: socket.IPPROTO_IP, 6: socket.IPPROTO_IPV6}
_ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_MTU_DISCOVER = {4: 10, 6: 23}  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: linux/in.h, linux/in6.h
_PROBE = 3  # IP_PMTUDISC_PROBE: do not fragment, and ignore the known path MTU
_RECVERR = {4: 11, 6: 25}  # IP_RECVERR, IPV6_RECVERR
_MTU = {4: 14, 6: 24}  # IP_MTU, IPV6_MTU
HEADERS = {4: 28, 6: 48}  # of IP, and ICMP's or UDP's 8
_CLOSED_PORT = 33434  # traceroute(8)'s first port, which is also expected to be closed
_UNREACHABLE = {  # by (version, type): the meaning of the error codes
    (4, 3): {0: "network unreachable", 1: "host unreachable", 3: "", 4: "too big", 10: "prohibited", 13: "prohibited"},
    (4, 11): {0: "a routing loop (TTL exceeded)"},
    (6, 1): {
        0: "no route",
        1: "prohibited",
        3: "address unreachable",
        4: "",
        5: "source address refused",
        6: "route refused",
    },
    (6, 2): {0: "too big"},
    (6, 3): {0: "a routing loop (hop limit exceeded)"},
}
_MAGIC = b"podroutes"


class Answer(NamedTuple):
    """The answer to packet ``number`` to ``target``. ``error`` is empty if the target itself answered."""

    target: Address
    number: int
    error: str = ""


class PingSocket:
    """A probing socket in the network namespace in which it was made. ``how`` is ``icmp`` or ``udp``."""

    def __init__(self, version: int, how: str, source: Address | None = None) -> None:
        self.version = version
        self.how = how
        self._raw = False
        self._identifier = os.getpid() & 0xFFFF
        self.socket = self._open()
        if source is not None:
            with suppress(OSError):  # an address that is gone: the kernel chooses one
                self.socket.bind((str(source), 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(_LEVEL[version], _MTU_DISCOVER[version], _PROBE)
        self.socket.setsockopt(_LEVEL[version], _RECVERR[version], 1)

    def _open(self) -> socket.socket:
        family = _FAMILY[self.version]
        if self.how == "udp":
            return socket.socket(family, socket.SOCK_DGRAM)
        with suppress(OSError):
            return socket.socket(family, socket.SOCK_DGRAM, _ICMP[self.version])
        try:
            self._raw = True
            return socket.socket(family, socket.SOCK_RAW, _ICMP[self.version])
        except OSError as error:
            raise ProbeError(
                f"cannot send ICMP ({error.strerror}): it needs CAP_NET_RAW, or this user's group in "
                'net.ipv4.ping_group_range (`sysctl -w net.ipv4.ping_group_range="0 2147483647"`)'
            ) from None

    def ask(self, target: Address, number: int, size: int) -> str | None:
        """Send packet NUMBER, SIZE bytes with all headers; return why the kernel refused it, None if it did not."""
        body = _MAGIC + number.to_bytes(4, "big")
        body += bytes(max(0, size - HEADERS[self.version] - len(body)))
        if self.how == "icmp":
            head = struct.pack("!BBHHH", _REQUEST[self.version], 0, 0, self._identifier, number & 0xFFFF)
            if self._raw and self.version == 4:
                head = head[:2] + _checksum(head + body).to_bytes(2, "big") + head[4:]
            body = head + body
        reason = None
        for _ in range(2):  # a pending error of an earlier packet is reported once, by the next send: ip(7)
            try:
                self.socket.sendto(body, (str(target), _CLOSED_PORT if self.how == "udp" else 0))
            except OSError as error:
                reason = (error.strerror or "cannot be sent").lower()
            else:
                return None
        return reason

    def heard(self) -> Iterator[Answer]:
        """Yield the pending answers."""
        with suppress(OSError):
            while True:
                data, source = self.socket.recvfrom(65536)
                if self._raw and self.version == 4:
                    data = data[(data[0] & 15) * 4 :]
                number = _number(data)
                if number is not None and data[:1] == bytes([_REPLY[self.version]]):
                    yield Answer(parse_address(source[0].partition("%")[0]), number)
        with suppress(OSError):
            while True:
                yield from self._error()

    def _error(self) -> Iterator[Answer]:
        """Read one message of the error queue: our packet and a struct sock_extended_err of linux/errqueue.h."""
        data, extra, _, target = self.socket.recvmsg(65536, 512, socket.MSG_ERRQUEUE)
        number = _number(data)
        for level, kind, value in extra:
            if (level, kind) == (_LEVEL[self.version], _RECVERR[self.version]) and number is not None:
                errno, origin, icmp, code = struct.unpack_from("=IBBB", value)
                known = _UNREACHABLE.get((self.version, icmp), {}) if origin > 1 else {}
                why = known.get(code, os.strerror(errno).lower())
                if why or self.how == "udp":  # a closed port, the expected answer to UDP
                    yield Answer(parse_address(target[0].partition("%")[0]), number, why)

    def largest(self, target: Address) -> int:
        """Return the MTU of the route to TARGET."""
        with socket.socket(_FAMILY[self.version], socket.SOCK_DGRAM) as asking:
            try:
                asking.setsockopt(_LEVEL[self.version], _MTU_DISCOVER[self.version], _PROBE)
                asking.connect((str(target), 9))
                return int(asking.getsockopt(_LEVEL[self.version], _MTU[self.version]))
            except OSError:
                return 1280  # the minimum of IPv6, RFC 8200 section 5


def _number(data: bytes) -> int | None:
    """Return the number in a packet of ours, None if it is another packet."""
    place = data.find(_MAGIC, 0, 64)
    return int.from_bytes(data[place + len(_MAGIC) : place + len(_MAGIC) + 4], "big") if place >= 0 else None


def _checksum(data: bytes) -> int:
    """Return the Internet checksum, RFC 1071."""
    data += bytes(len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
