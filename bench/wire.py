"""The least that a program can do: netlink messages made beforehand, and what the kernel takes to carry them out.

It shares nothing with podroutes' own encoder, so that it can bear witness: it also tells what is in the table afterwards.
"""

import os
import socket
import struct
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from bench.scene import LENGTH
from podroutes.model.route import PROTOCOL

_HEADER = struct.Struct("=IHHII")
_RTMSG = struct.Struct("=BBBBBBBBI")
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE, _DUMP = 0x1, 0x4, 0x100, 0x200, 0x400, 0x300  # linux/netlink.h
_ADD = _REQUEST | _CREATE | _EXCL
_PUT = _REQUEST | _CREATE | _REPLACE
_NEWROUTE, _DELROUTE, _GETROUTE, _NEWNEXTHOP = 24, 25, 26, 104  # linux/rtnetlink.h
_DST, _OIF, _GATEWAY, _PRIORITY, _NH_ID = 1, 4, 5, 6, 30
_NHA_ID, _NHA_OIF, _NHA_GATEWAY = 1, 5, 6  # linux/nexthop.h
_MAIN = 254
_BATCH = 128
_PATIENCE = 30.0  # seconds without an answer after which the kernel has none


class Row(NamedTuple):
    """One route to write: through GATEWAY with METRIC, or through nexthop object NEXTHOP where that is not 0."""

    dst: int
    gateway: int
    metric: int = 0
    nexthop: int = 0
    length: int = LENGTH


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _word(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _address(kind: int, value: int) -> bytes:
    return _attribute(kind, value.to_bytes(4, "big"))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def routes(rows: Iterable[Row], ifindex: int, *, replace: bool = False) -> list[bytes]:
    """Return one message a row."""
    flags = _PUT if replace else _ADD
    return [_message(_NEWROUTE, flags, _route(row, ifindex)) for row in rows]


def deletions(destinations: Iterable[int], length: int = LENGTH) -> list[bytes]:
    """Return one message for each of DESTINATIONS, whatever way its route goes."""
    head = _RTMSG.pack(socket.AF_INET, length, 0, 0, _MAIN, PROTOCOL, 255, 1, 0)  # RT_SCOPE_NOWHERE: any
    return [_message(_DELROUTE, _REQUEST, head + _address(_DST, dst)) for dst in destinations]


def _route(row: Row, ifindex: int) -> bytes:
    body = _RTMSG.pack(socket.AF_INET, row.length, 0, 0, _MAIN, PROTOCOL, 0, 1, 0) + _address(_DST, row.dst)
    if row.nexthop:
        return body + _word(_NH_ID, row.nexthop)
    return body + _address(_GATEWAY, row.gateway) + _word(_OIF, ifindex) + _word(_PRIORITY, row.metric)


def nexthops(gateways: Iterable[tuple[int, int]], ifindex: int, *, replace: bool = False) -> list[bytes]:
    """Return one message for each (id, gateway)."""
    head = struct.pack("=BBBBI", socket.AF_INET, 0, PROTOCOL, 0, 0)
    return [
        _message(
            _NEWNEXTHOP,
            _PUT if replace else _ADD,
            head + _word(_NHA_ID, number) + _address(_NHA_GATEWAY, gateway) + _word(_NHA_OIF, ifindex),
        )
        for number, gateway in gateways
    ]


def batches(messages: list[bytes]) -> list[bytes]:
    """Join MESSAGES into sends whose last message asks for an acknowledgement."""
    joined = []
    for first in range(0, len(messages), _BATCH):
        *most, last = messages[first : first + _BATCH]
        length, kind, flags, _, _ = _HEADER.unpack_from(last)
        joined.append(b"".join(most) + _HEADER.pack(length, kind, flags | _ACK, 1, 0) + last[_HEADER.size :])
    return joined


class Wire:
    """A route socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(_PATIENCE)
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
        self._socket.setsockopt(270, 10, 1)  # SOL_NETLINK, NETLINK_CAP_ACK
        with suppress(OSError):
            self._socket.setsockopt(270, 12, 1)  # NETLINK_GET_STRICT_CHK

    def send(self, joined: Iterable[bytes]) -> None:
        """Send batches; raises OSError for the first refusal."""
        for batch in joined:
            self._socket.send(batch)
            fenced = False
            while not fenced:
                for _, seq, body in _messages(self._socket.recv(1 << 16)):
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(code, os.strerror(code), "route")
                    fenced = seq == 1

    def dump(self, protocol: int = 0) -> Iterator[bytes]:
        """Yield the datagrams that list the main table's IPv4 routes of PROTOCOL (0: any)."""
        body = _RTMSG.pack(socket.AF_INET, 0, 0, 0, _MAIN, protocol, 0, 0, 0)
        self._socket.send(_message(_GETROUTE, _REQUEST | _DUMP, body))
        while True:
            datagram = self._socket.recv(1 << 16)
            *_, (kind, _, body) = _messages(datagram)
            if kind == 2:
                raise OSError(-struct.unpack_from("=i", body)[0], "dump refused")
            yield datagram
            if kind == 3:
                return

    def gateways(self, protocol: int = 0) -> dict[int, int]:
        """Return the gateway of every IPv4 route of PROTOCOL that has one, by destination."""
        found = {}
        for datagram in self.dump(protocol):
            for kind, _, body in _messages(datagram):
                values = _addresses(body) if kind == _NEWROUTE else {}
                if _GATEWAY in values:
                    found[values[_DST]] = values[_GATEWAY]
        return found

    def arrived(self, wanted: frozenset[int], protocol: int) -> int:
        """Return how many routes of PROTOCOL go through a gateway of WANTED (as words of this machine).

        Read by columns, as cheaply as may be, while somebody else is being timed: all its routes look alike.
        """
        count = 0
        for datagram in self.dump(protocol):
            length, kind = struct.unpack_from("=IH", datagram)
            if kind == _NEWROUTE:
                words = array("I", datagram[: len(datagram) // length * length])
                position = datagram.index(struct.pack("=HH", 8, _GATEWAY), _HEADER.size + _RTMSG.size) + 4
                count += sum(map(wanted.__contains__, words[position >> 2 :: length >> 2]))
        return count


def words(addresses: Iterable[int]) -> frozenset[int]:
    """Return IPv4 addresses as the words that this machine reads from a message."""
    column = array("I", b"".join(address.to_bytes(4, "big") for address in addresses))
    return frozenset(column)


def _messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 0
    while position < len(datagram):
        length, kind, _, seq, _ = _HEADER.unpack_from(datagram, position)
        yield kind, seq, datagram[position + _HEADER.size : position + length]
        position += length + (-length & 3)


def _addresses(body: bytes) -> dict[int, int]:
    found = {}
    position = _RTMSG.size
    while position < len(body):
        length, kind = struct.unpack_from("=HH", body, position)
        if length == 8:
            found[kind] = int.from_bytes(body[position + 4 : position + 8], "big")
        position += length + (-length & 3)
    return found
