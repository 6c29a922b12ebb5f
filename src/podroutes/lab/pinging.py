"""Sends an echo request from each machine or pod of a lab to each pod, and waits for the answers."""

import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from podroutes.errors import LabError
from podroutes.lab import icmp
from podroutes.lab.inside import allow_open_files, join_network
from podroutes.lab.topology import pod_address, pod_name
from podroutes.model.address import Address
from podroutes.model.cluster import Cluster

SILENCE = "no answer"
_WAIT = 0.5  # seconds after the last request; in one machine an answer takes microseconds
_ATTEMPTS = 2  # a second attempt for packets lost to a full buffer or ICMP rate limiting
_ICMP_FILTER = 1  # the socket option of SOL_RAW, linux/icmp.h, and of IPPROTO_ICMPV6, linux/icmpv6.h
_SOL_RAW = 255  # linux/socket.h
_LEVEL = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}


class Pair(NamedTuple):
    """One pair: a packet from machine ``source`` to ``target``, the pod address of another."""

    source: str
    destination: str
    target: Address


class Pinged(NamedTuple):
    """All results. ``pairs`` has the reason of each failure, empty for success; ``machines`` are in the inventory's order."""

    machines: tuple[str, ...]
    podless: frozenset[str]  # machines without a pod, which are the senders themselves
    pairs: dict[Pair, str]

    @property
    def failures(self) -> dict[Pair, str]:
        """The pairs that did not work."""
        return {pair: why for pair, why in self.pairs.items() if why}


class _Place(NamedTuple):
    """A sender of one IP version: a raw socket in the namespace of a pod or machine."""

    source: str
    version: int
    socket: socket.socket


def ping_all(cluster: Cluster) -> Pinged:
    """Ping each pod address from each other machine of CLUSTER, whose lab this process has entered.

    A machine without pods sends from its own network. Unanswered packets cost half a second for each of two attempts.
        Raises LabError if a socket cannot be opened.
    """
    identifier = os.getpid() & 0xFFFF
    places = _places(cluster)
    pairs: dict[Pair, str] = dict.fromkeys(_pairs(cluster, places), SILENCE)
    try:
        with selectors.DefaultSelector() as selector:
            for place in places.values():
                selector.register(place.socket, selectors.EVENT_READ, place)
            for sequence in range(1, _ATTEMPTS + 1):
                _attempt(selector, places, pairs, identifier, sequence)
    finally:
        for place in places.values():
            place.socket.close()
    podless = frozenset(node.name for node in cluster.nodes if not node.pod_cidrs)
    return Pinged(tuple(node.name for node in cluster.nodes), podless, pairs)


def _attempt(
    selector: selectors.BaseSelector,
    places: dict[tuple[str, int], _Place],
    pairs: dict[Pair, str],
    identifier: int,
    sequence: int,
) -> None:
    """Send one request for each pair without a result. Answers are read in between, so that no buffer fills up."""
    index = {(pair.source, pair.target): pair for pair in pairs}
    open_pairs = {pair for pair, why in pairs.items() if why == SILENCE}

    def read(timeout: float) -> None:
        for key, _ in selector.select(timeout):
            place: _Place = key.data
            for answer in _received(place, identifier):
                pair = index.get((place.source, answer.target))
                if pair in open_pairs:
                    pairs[pair] = answer.error
                    open_pairs.discard(pair)

    for pair in list(open_pairs):
        place = places[pair.source, pair.target.version]
        try:
            place.socket.sendto(icmp.request(place.version, identifier, sequence), (str(pair.target), 0))
        except OSError as error:  # the pod's own table has no route, or refuses
            pairs[pair] = (error.strerror or "cannot be sent").lower()
            open_pairs.discard(pair)
        read(0)
    deadline = time.monotonic() + _WAIT
    while open_pairs and (left := deadline - time.monotonic()) > 0:
        read(left)


def _received(place: _Place, identifier: int) -> Iterator[icmp.Answer]:
    """Yield the pending answers of one socket."""
    with suppress(OSError):  # EAGAIN: none is pending; or an ICMP error, which is also delivered as a packet
        while True:
            packet, source = place.socket.recvfrom(2048)
            answer = icmp.parse(place.version, packet, source[0], identifier)
            if answer:
                yield answer


def _pairs(cluster: Cluster, places: dict[tuple[str, int], _Place]) -> Iterator[Pair]:
    """Yield all pairs in rounds: each sender with its neighbour, then with the next, which spreads the load evenly."""
    count = len(cluster.nodes)
    for distance in range(1, count):
        for index, node in enumerate(cluster.nodes):
            other = cluster.nodes[(index + distance) % count]
            for cidr in other.pod_cidrs:
                if (node.name, cidr.version) in places:
                    yield Pair(node.name, other.name, pod_address(cidr))


def _places(cluster: Cluster) -> dict[tuple[str, int], _Place]:
    """Open the sockets, each in its network namespace; a socket stays there when this process moves on."""
    allow_open_files(2 * len(cluster.nodes) + 64)
    places: dict[tuple[str, int], _Place] = {}
    where = ""
    try:
        for node in cluster.nodes:
            where = pod_name(node.name) if node.pod_cidrs else node.name
            join_network(where)
            for version in sorted({value.version for value in node.pod_cidrs or node.internal_ips}):
                places[node.name, version] = _Place(node.name, version, _raw_socket(version))
    except OSError as error:
        for place in places.values():
            place.socket.close()
        raise LabError(f"cannot send from {where} of the lab: {error.strerror}") from None
    return places


def _raw_socket(version: int) -> socket.socket:
    """Return a raw ICMP socket of the current network namespace that receives only types that can be answers."""
    family, protocol = _LEVEL[version]
    opened = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    blocked = (1 << (32 if version == 4 else 256)) - 1
    for kind in icmp.WANTED[version]:
        blocked &= ~(1 << kind)
    words = [blocked >> shift & 0xFFFFFFFF for shift in range(0, 32 if version == 4 else 256, 32)]
    opened.setsockopt(_SOL_RAW if version == 4 else protocol, _ICMP_FILTER, struct.pack(f"{len(words)}I", *words))
    return opened
