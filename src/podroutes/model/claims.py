"""Claims: the podCIDRs of nodes, and the decisions about them."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem


class Claim(NamedTuple):
    """One podCIDR of one node, and the addresses of its family that could be the next hop, best first."""

    dst: Prefix
    node: Node
    vias: tuple[Address, ...]


class Loss(NamedTuple):
    """Why a claim is not honoured: one line for a person, and the code of the problem that causes it."""

    reason: str
    code: str


class Disputes(NamedTuple):
    """Disputed claims: another claim, an address or an unreadable field contradicts them.

    Each machine decides them itself, since the route in place there counts.
    """

    cluster: Cluster
    claims: tuple[Claim, ...]  # by destination; without an address if none is usable
    clean: tuple[Claim, ...]  # all other claims, by destination; no two overlap
    addresses: tuple[tuple[Address, Node], ...]  # addresses of nodes inside a disputed claim, in order
    twice: Mapping[str, Loss]  # names that several entries share
    unclear: Mapping[
        str, Loss
    ]  # by name, the nodes whose addresses are not all known: their routes may have another next hop
    unread: tuple[Node, ...]  # nodes whose podCIDRs are not all known
    problems: tuple[Problem, ...]  # without those of the disputes
    outside: Mapping[str, Loss] = {}  # by name, the nodes with a podCIDR that the limits forbid
    lost: Mapping[
        tuple[Prefix, str], Loss
    ] = {}  # by destination and node: claims that are not honoured unless in place


class Claims(NamedTuple):
    """The decisions about an inventory. Both lists are sorted like the FIB, by destination.

    ``contested`` are the claims that are honoured only where they are in place. ``disputes`` is None if there are none.
    """

    honoured: tuple[Claim, ...]
    contested: tuple[Claim, ...]
    problems: tuple[Problem, ...]
    disputes: Disputes | None = None
    cluster: Cluster = Cluster(())
    noted: tuple[Problem, ...] = ()  # the part of ``problems`` that was found when the inventory was read
    nothing: bool = False  # no node has a podCIDR: more likely a mistake than intended
    shared: frozenset[Address] = frozenset()  # addresses that several nodes report
