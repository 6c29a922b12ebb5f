"""Tests with real packets between pods and machines, and their results."""

from typing import Literal, NamedTuple

from podroutes.model.address import Address

Kind = Literal["pod-to-pod", "pod-to-node", "node-to-pod", "pod-to-outside"]


class Check(NamedTuple):
    """One test: a datagram from ``source_address`` of the pod or machine of ``source`` to ``address`` of that of ``destination``.

    It has to arrive from ``hidden_by``, an address of the machine that masquerades it; None: from ``source_address``.
    """

    kind: Kind
    source: str
    destination: str
    address: Address
    source_address: Address
    hidden_by: Address | None = None


class Checked(NamedTuple):
    """The results. ``failures`` has the reason of each failed test; ``pairs`` is the number of pairs, tested or not."""

    checks: tuple[Check, ...]
    failures: dict[Check, str]
    pairs: int
