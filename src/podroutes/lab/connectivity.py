"""Tests the pods and machines of a lab with UDP datagrams: each must arrive with the sender's own address, and be answered.

Each pod and each machine has one socket for each IP version, in its own network namespace. A receiver sends back a datagram
together with the source address that it saw.
"""

import os
import selectors
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import NamedTuple

from podroutes.errors import LabError
from podroutes.lab.inside import allow_open_files, join_network
from podroutes.lab.pods import Pod
from podroutes.lab.topology import INTERNET, OUTSIDE, pod_address, pod_name
from podroutes.model.address import Address, parse_address
from podroutes.model.cluster import Cluster, Node
from podroutes.model.connectivity import Check, Checked, Kind

MOST = 20_000  # tests of each kind and IP version; of more pairs the same number is tested for each sender
SILENCE = "no answer"
# Seconds after the last datagram of each round. An answer takes microseconds, but a bridge port of a new lab or a full buffer may
# have dropped the first datagram.
_ROUNDS = (0.5, 1.0, 2.0)
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class _End(NamedTuple):
    """A pod, a machine or the outside, its namespace, and its address of one IP version."""

    pod: bool
    node: str
    address: Address
    namespace: str


def check_all(cluster: Cluster, pods: Sequence[Pod] | None = None, outside: Collection[int] = ()) -> Checked:
    """Test pods and machines of CLUSTER, whose lab this process has entered. Raises LabError if a socket cannot be opened.

    PODS are those of a lab whose pods come and go, None: each machine has one. OUTSIDE are the IP versions with which pods have to
    reach the outside of such a lab. While datagrams are unanswered this takes up to four seconds.
    """
    ends = [*_ends(cluster, pods)]
    checks, pairs = _checks(ends)
    if pods is not None:
        beyond = [
            _End(pod=False, node=INTERNET, address=OUTSIDE[lan.version], namespace=INTERNET)
            for lan in cluster.node_cidrs
        ]
        beyond = [end for end in beyond if end.address.version in outside]
        more = [*_to_outside(cluster, ends, beyond)]
        checks, pairs, ends = (*checks, *more), pairs + len(more), [*ends, *beyond]
    with ExitStack() as stack:
        sockets = _open(ends, stack)
        return Checked(checks, _Exchange(sockets, checks).run(), pairs)


def _ends(cluster: Cluster, pods: Sequence[Pod] | None) -> Iterator[_End]:
    for pod in pods or ():
        for address in pod.addresses:
            yield _End(pod=True, node=pod.node, address=address, namespace=pod.namespace)
    for node in cluster.nodes:
        for cidr in node.pod_cidrs if pods is None else ():
            yield _End(pod=True, node=node.name, address=pod_address(cidr), namespace=pod_name(node.name))
        for address in _first_of_each_version(node):
            yield _End(pod=False, node=node.name, address=address, namespace=node.name)


def _to_outside(cluster: Cluster, ends: list[_End], beyond: list[_End]) -> Iterator[Check]:
    """Yield the tests of masquerading: a pod's datagram arrives there with the address of its machine."""
    machines = {
        (node.name, address.version): address for node in cluster.nodes for address in _first_of_each_version(node)
    }
    for end in ends:
        for there in beyond:
            hidden_by = machines.get((end.node, end.address.version))
            if end.pod and end.address.version == there.address.version and hidden_by:
                yield Check("pod-to-outside", end.node, there.node, there.address, end.address, hidden_by)


def _first_of_each_version(node: Node) -> Iterator[Address]:
    """Yield the address that a machine uses as its source, for each IP version."""
    for version in (4, 6):
        yield from [address for address in node.internal_ips if address.version == version][:1]


def _checks(ends: list[_End]) -> tuple[tuple[Check, ...], int]:
    """Return the tests, in rounds so that the load is spread evenly, and the number of all pairs."""
    checks: list[Check] = []
    pairs = 0
    for version in (4, 6):
        pods = [end for end in ends if end.pod and end.address.version == version]
        machines = [end for end in ends if not end.pod and end.address.version == version]
        combinations: tuple[tuple[Kind, list[_End], list[_End]], ...] = (
            ("pod-to-pod", pods, pods),
            ("pod-to-node", pods, machines),
            ("node-to-pod", machines, pods),
        )
        for kind, senders, receivers in combinations:
            pairs += len(senders) * len(receivers) - (len(senders) if senders is receivers else 0)
            checks += islice(_rounds(kind, senders, receivers), MOST)
    return tuple(checks), pairs


def _rounds(kind: Kind, senders: list[_End], receivers: list[_End]) -> Iterator[Check]:
    """Yield all pairs: first each sender with its nearest receiver in the list, then with the next one."""
    for distance in range(len(receivers)):
        for index, sender in enumerate(senders):
            receiver = receivers[(index + distance) % len(receivers)]
            if sender != receiver:
                yield Check(kind, sender.node, receiver.node, receiver.address, sender.address)


def _open(ends: list[_End], stack: ExitStack) -> dict[Address, socket.socket]:
    """Open a socket for each of ENDS, in its network namespace; it stays there when this process moves on.

    The result is by address: in a lab no two ends have the same one.
    """
    allow_open_files(len(ends) + 64)
    sockets = {}
    for end in ends:
        try:
            join_network(end.namespace)
            made = stack.enter_context(socket.socket(_FAMILY[end.address.version], socket.SOCK_DGRAM))
            made.setblocking(False)
            made.bind((str(end.address), 0))
        except OSError as error:
            raise LabError(f"cannot send from {end.namespace} of the lab: {error.strerror}") from None
        sockets[end.address] = made
    return sockets


class _Exchange:
    """Sends the datagrams of CHECKS over SOCKETS, answers them, and collects the answers."""

    def __init__(self, sockets: dict[Address, socket.socket], checks: tuple[Check, ...]) -> None:
        self._sockets = sockets
        self._checks = checks
        self._mark = os.urandom(8)
        self._unanswered = dict(enumerate(checks))
        self._failures: dict[Check, str] = {}

    def run(self) -> dict[Check, str]:
        """Return the reason of each failed test."""
        with selectors.DefaultSelector() as selector:
            for opened in self._sockets.values():
                selector.register(opened, selectors.EVENT_READ)
            for wait in _ROUNDS:
                self._round(selector, wait)
        return dict.fromkeys(self._unanswered.values(), SILENCE) | self._failures

    def _round(self, selector: selectors.BaseSelector, wait: float) -> None:
        for number, check in list(self._unanswered.items()):
            self._send(number, check)
            self._read(selector, 0)
        deadline = time.monotonic() + wait
        while self._unanswered and (left := deadline - time.monotonic()) > 0:
            self._read(selector, left)

    def _send(self, number: int, check: Check) -> None:
        port = self._sockets[check.address].getsockname()[1]
        request = b"?" + self._mark + number.to_bytes(4, "big")
        try:
            self._sockets[check.source_address].sendto(request, (str(check.address), port))
        except OSError as error:  # the sender's own table has no route, or refuses
            self._failures[check] = (error.strerror or "cannot be sent").lower()
            del self._unanswered[number]

    def _read(self, selector: selectors.BaseSelector, timeout: float) -> None:
        for key, _ in selector.select(timeout):
            try:
                data, peer = key.fileobj.recvfrom(256)  # type: ignore[union-attr]
            except OSError:  # an ICMP error to an earlier datagram
                continue
            head, mark, number = data[:1], data[1:9], int.from_bytes(data[9:13], "big")
            if mark != self._mark or number >= len(self._checks):
                continue
            if head == b"?":
                self._answer(key.fileobj, data, peer)
            elif self._unanswered.pop(number, None):
                self._judge(self._checks[number], parse_address(data[13:].decode()))

    @staticmethod
    def _answer(opened: object, data: bytes, peer: tuple[str, int]) -> None:
        try:
            opened.sendto(b"!" + data[1:13] + peer[0].encode(), peer)  # type: ignore[attr-defined]
        except OSError:  # the receiver has no route back: the sender gets no answer
            return

    def _judge(self, check: Check, seen: Address) -> None:
        if seen != (wanted := check.hidden_by or check.source_address):
            self._failures[check] = f"arrived from {seen} instead of {wanted}"
