"""An index of the claims of a cluster, by which the fast path sees whether nodes that changed concern any other."""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress
from operator import not_
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.plan.claims import Claim, Claims, examine

_FEW = 64  # changed nodes; more of them are a new list or another file, and a plan is faster


class Changed(NamedTuple):
    """The nodes that are in one of two clusters alone, with their claims. No other node is concerned by them."""

    former: tuple[Node, ...]
    former_claims: tuple[Claim, ...]
    new: tuple[Node, ...]
    new_claims: tuple[Claim, ...]


class ClaimIndex:
    """An index of the claims of a cluster, kept while the nodes are unchanged."""

    def __init__(self, cluster: Cluster, claims: Claims) -> None:
        self.cluster = cluster
        self.claims = claims
        self._ids = set(map(id, cluster.nodes))
        self._names = {node.name for node in cluster.nodes}
        self._addresses = sorted({address for node in cluster.nodes for address in node.internal_ips})
        self._starts: list[tuple[int, int]] = []  # the first address of each claim, sorted
        self._reaches: list[tuple[int, int]] = []  # the highest last address up to each claim
        self._claims = (
            sorted((*claims.honoured, *claims.contested), key=_by_destination) if claims.contested else claims.honoured
        )
        furthest = (0, 0)
        for claim in self._claims:
            furthest = max(furthest, (claim.dst.version, claim.dst.last))
            self._starts.append((claim.dst.version, claim.dst.value))
            self._reaches.append(furthest)

    def arrivals(self, cluster: Cluster) -> Claims:
        """Return the claims of nodes that are new in CLUSTER and do not affect earlier ones; none if others are gone or changed."""
        nothing = Claims((), (), ())
        if cluster.limits != self.cluster.limits:
            return nothing
        new = self.new(cluster)
        if not new or self.former(cluster):
            return nothing
        if any(node.name in self._names or not all(map(self._is_new, node.internal_ips)) for node in new):
            return nothing
        claims = examine(cluster._replace(nodes=new))
        if claims.disputes is not None:  # what stands in the kernel decides
            return nothing
        return nothing._replace(honoured=tuple(claim for claim in claims.honoured if self._apart(claim.dst)))

    def changed(self, cluster: Cluster) -> Changed | None:
        """Return what CLUSTER has instead of the indexed nodes; None if that may concern other nodes, or the claims are disputed."""
        claims = self.claims
        simple = claims.disputes is None and not (claims.contested or claims.shared or claims.nothing)
        if not simple or cluster.limits != self.cluster.limits or len(self._names) < len(self.cluster.nodes):
            return None
        former = self.former(cluster)
        new = self.new(cluster)
        if len(former) + len(new) > _FEW or not self._may_replace(former, new):
            return None
        claims_of_new = examine(cluster._replace(nodes=new))
        former_claims = tuple(claim for node in former for claim in self._of(node))
        leaving = {id(node) for node in former}, {address for node in former for address in node.internal_ips}
        places = [claim.dst for claim in claims_of_new.honoured]
        places += [_alone(address) for node in new for address in node.internal_ips]
        if claims_of_new.disputes is not None or not all(self._apart_from(each, *leaving) for each in places):
            return None
        if len(former_claims) == len(self._claims) and not claims_of_new.honoured:  # nobody has a podCIDR any more
            return None
        return Changed(former, former_claims, new, claims_of_new.honoured)

    def former(self, cluster: Cluster) -> tuple[Node, ...]:
        """Return the indexed nodes that are not in CLUSTER any more, or changed."""
        return _without(self.cluster.nodes, set(map(id, cluster.nodes)))

    def new(self, cluster: Cluster) -> tuple[Node, ...]:
        """Return the nodes that are new in CLUSTER, or changed: a source returns the same object for an unchanged node."""
        return _without(cluster.nodes, self._ids)

    def _may_replace(self, former: Iterable[Node], new: tuple[Node, ...]) -> bool:
        """Return whether the nodes NEW have names and addresses of their own, those of FORMER included."""
        names = {node.name for node in new}
        addresses = [address for node in new for address in node.internal_ips]
        own = len(names) == len(new) and len(set(addresses)) == len(addresses)
        return own and (names & self._names) <= {node.name for node in former}

    def _of(self, node: Node) -> Iterator[Claim]:
        """Yield the claims of NODE."""
        for dst in dict.fromkeys(node.pod_cidrs):
            yield from (claim for claim in self._overlapping(dst) if claim.node is node and claim.dst == dst)

    def _overlapping(self, dst: Prefix) -> Iterator[Claim]:
        """Yield the claims that share addresses with DST."""
        row = bisect_right(self._starts, (dst.version, dst.last))
        while row and self._reaches[row - 1] >= (dst.version, dst.value):
            row -= 1
            if self._claims[row].dst.overlaps(dst):
                yield self._claims[row]

    def _apart_from(self, dst: Prefix, leaving: Container[int], addresses: Container[Address]) -> bool:
        """Return whether no claim overlaps DST and no node has an address in it, besides claims of nodes with the id() LEAVING, and ADDRESSES."""
        if any(id(claim.node) not in leaving for claim in self._overlapping(dst)):
            return False
        row = bisect_left(self._addresses, (dst.version, dst.value))
        while row < len(self._addresses) and dst.covers(self._addresses[row]):
            if self._addresses[row] not in addresses:
                return False
            row += 1
        return True

    def _is_new(self, address: Address) -> bool:
        """Return whether no node has ADDRESS and no claim covers it."""
        return self._apart(_alone(address))

    def _apart(self, dst: Prefix) -> bool:
        """Return whether no claim overlaps DST and no node has an address in it."""
        before = bisect_right(self._starts, (dst.version, dst.last))
        if before and self._reaches[before - 1] >= (dst.version, dst.value):
            return False
        first = bisect_left(self._addresses, (dst.version, dst.value))
        return first == len(self._addresses) or not dst.covers(self._addresses[first])


def _without(nodes: Sequence[Node], ids: AbstractSet[int]) -> tuple[Node, ...]:
    """Return those of NODES whose id() is not in IDS. Thousands of nodes are compared at each event, so that no Python code runs for each."""
    return tuple(compress(nodes, map(not_, map(ids.__contains__, map(id, nodes)))))


def _alone(address: Address) -> Prefix:
    return Prefix(address.version, address.value, BITS[address.version])


def _by_destination(claim: Claim) -> tuple[Prefix, str]:
    return claim.dst, claim.node.name
