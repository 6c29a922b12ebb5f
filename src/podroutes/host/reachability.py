"""Finds the machines that answer ICMP echo, over raw sockets: RFC 792 and RFC 4443."""

import os
import select
import socket
import struct
import time
from collections.abc import Iterable

from podroutes.errors import PersistError
from podroutes.model.address import Address, parse_address

MOST = 256  # maximum addresses; more neighbours than gc_thresh2 would overflow the kernel's table, arp(7)
_AGAIN = 0.5  # seconds until the silent ones are asked again
_KINDS = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)}


def answering(addresses: Iterable[Address], seconds: float) -> set[Address]:
    """Return the ADDRESSES that answer within SECONDS, or as soon as all have. Raises PersistError without CAP_NET_RAW."""
    missing, found = set(addresses), set()
    try:
        sockets = {
            version: socket.socket(_KINDS[version][0], socket.SOCK_RAW, _KINDS[version][1]) for version in (4, 6)
        }
    except OSError as error:
        raise PersistError(
            f"cannot ask whether the other nodes answer: {error.strerror}; it takes CAP_NET_RAW"
        ) from error
    try:
        end = time.monotonic() + seconds
        while missing and time.monotonic() < end:
            for address in missing:
                _ask(sockets[address.version], address)
            pause = min(time.monotonic() + _AGAIN, end)
            while missing and (rest := pause - time.monotonic()) > 0:
                for ready in select.select(sockets.values(), (), (), rest)[0]:
                    heard = _heard(ready) & missing
                    found |= heard
                    missing -= heard
    finally:
        for each in sockets.values():
            each.close()
    return found


def _ask(asking: socket.socket, address: Address) -> None:
    """Send one request. The kernel fills in the checksum of ICMPv6 (RFC 3542 section 3.1). A refusal counts as no answer."""
    identifier = os.getpid() & 0xFFFF
    checksum = 0 if address.version == 6 else 0xFFFF - (0x0800 + identifier) % 0xFFFF
    packet = struct.pack("!BBHHH", _KINDS[address.version][2], 0, checksum, identifier, 0)
    try:
        asking.sendto(packet, (str(address), 0))
    except OSError:  # unreachable: asked again
        return


def _heard(ready: socket.socket) -> set[Address]:
    """Yield the senders of pending answers to us. IPv4 raw sockets include the IP header, raw(7)."""
    data, source = ready.recvfrom(2048)
    version = 4 if ready.family == socket.AF_INET else 6
    body = data[(data[0] & 15) * 4 :] if version == 4 else data
    if len(body) < 8 or body[0] != _KINDS[version][3] or body[4:6] != (os.getpid() & 0xFFFF).to_bytes(2, "big"):
        return set()
    return {parse_address(source[0].partition("%")[0])}
