"""Claims: the podCIDRs of nodes, and what was decided about them."""

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
    """Why a claim is not honoured by itself: one line for a person, and the code of the problem that is the cause."""

    reason: str
    code: str


class Disputes(NamedTuple):
    """The claims that something speaks against: another claim, an address, or a field that could not be read.

    Every machine decides them anew, as what is in place there counts.
    """

    cluster: Cluster
    claims: tuple[Claim, ...]  # by destination; without an address where none is usable
    clean: tuple[Claim, ...]  # all others, by destination: no two overlap
    addresses: tuple[tuple[Address, Node], ...]  # addresses of nodes inside a disputed claim, in order
    twice: Mapping[str, Loss]  # names that stand for different entries
    unclear: Mapping[
        str, Loss
    ]  # nodes by name of which not every address is known: a route of theirs may have another next hop
    unread: tuple[Node, ...]  # nodes of which not every podCIDR is known
    problems: tuple[Problem, ...]  # besides those of the disputes
    lost: Mapping[
        tuple[Prefix, str], Loss
    ] = {}  # by destination and node: what is not honoured where nothing is in place


class Claims(NamedTuple):
    """The verdict on an inventory; both lists are sorted the way the FIB is, by destination.

    ``contested`` are the claims that are honoured only where they are in place. ``disputes`` is None where there are none.
    """

    honoured: tuple[Claim, ...]
    contested: tuple[Claim, ...]
    problems: tuple[Problem, ...]
    disputes: Disputes | None = None
    cluster: Cluster = Cluster(())
    noted: tuple[Problem, ...] = ()  # of ``problems`` those that reading the inventory found
    nothing: bool = False  # no node has a podCIDR, so there is nothing to route: more likely a mistake than intended
