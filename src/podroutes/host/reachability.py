"""Finds the machines that answer ICMP echo."""

import select
import time
from collections.abc import Iterable
from contextlib import ExitStack

from podroutes.errors import PersistError
from podroutes.host import ProbeError
from podroutes.host.ping import PingSocket
from podroutes.model.address import Address

MOST = 256  # maximum addresses; more neighbours than gc_thresh2 would overflow the kernel's table, arp(7)
_RETRY = 0.5  # seconds until the silent ones are asked again
_SIZE = 64  # bytes of a packet with all headers: every path takes it


def answering(addresses: Iterable[Address], seconds: float) -> set[Address]:
    """Return the ADDRESSES that answer within SECONDS, or as soon as all have. Raises PersistError where ICMP cannot be sent."""
    missing, answered = set(addresses), set[Address]()
    with ExitStack() as opened:
        sockets = {}
        for version in {address.version for address in missing}:
            try:
                sockets[version] = PingSocket(version, "icmp")
            except ProbeError as error:
                raise PersistError(f"cannot ask whether the other nodes answer: {error}") from error
            opened.callback(sockets[version].socket.close)
        by_socket = {socket.socket: socket for socket in sockets.values()}
        end = time.monotonic() + seconds
        number = 0
        while missing and time.monotonic() < end:
            for address in missing:
                number += 1
                sockets[address.version].ask(
                    address, number, _SIZE
                )  # an address that is unreachable now is asked again
            pause = min(time.monotonic() + _RETRY, end)
            while missing and (rest := pause - time.monotonic()) > 0:
                for ready in select.select(by_socket, (), (), rest)[0]:
                    new = {answer.target for answer in by_socket[ready].heard() if not answer.error} & missing
                    answered |= new
                    missing -= new
    return answered
