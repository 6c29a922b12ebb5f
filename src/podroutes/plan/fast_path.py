"""What can be done about one route at once, from what the last whole plan knew: a few microseconds where a plan takes milliseconds.

It only ever adds, which the kernel refuses where something stands already, and only what a whole plan would add too. Whatever
is not quite as simple as that is left to the plan, which follows in any case.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib
from podroutes.model.plan import Change
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import Claim, Claims, examine
from podroutes.plan.dependencies import Needs
from podroutes.plan.desired import desired
from podroutes.plan.metric import metrics_of_new
from podroutes.plan.onlink import OnLink
from podroutes.plan.planning import Planned


class ClaimIndex:
    """What the verdict on a cluster makes easy to look up, made once and kept while the nodes are the same."""

    def __init__(self, cluster: Cluster, claims: Claims) -> None:
        self.cluster = cluster
        self.claims = claims
        self._ids = set(map(id, cluster.nodes))
        self._names = {node.name for node in cluster.nodes}
        self._addresses = sorted({address for node in cluster.nodes for address in node.internal_ips})
        self._starts: list[tuple[int, int]] = []  # where every claim begins, in order,
        self._reaches: list[tuple[int, int]] = []  # and how far it and all before it reach
        furthest = (0, 0)
        for claim in (
            sorted((*claims.honoured, *claims.contested), key=_by_destination) if claims.contested else claims.honoured
        ):
            furthest = max(furthest, (claim.dst.version, claim.dst.last))
            self._starts.append(claim.dst[:2])
            self._reaches.append(furthest)

    def arrivals(self, cluster: Cluster) -> Claims:
        """Return the verdict on what is in CLUSTER and was not before, as far as it concerns nobody who was."""
        nothing = Claims((), (), ())
        if cluster[1:4] != self.cluster[1:4]:  # the limits
            return nothing
        # A source hands out the same value for a node that is the same.
        new = tuple(node for node in cluster.nodes if id(node) not in self._ids)
        if not new or any(node.name in self._names or not all(map(self._is_new, node.internal_ips)) for node in new):
            return nothing
        claims = examine(cluster._replace(nodes=new))
        return nothing._replace(honoured=tuple(claim for claim in claims.honoured if self._apart(claim.dst)))

    def _is_new(self, address: Address) -> bool:
        """Whether no node has ADDRESS, and no claim covers it."""
        return self._apart(Prefix(address.version, address.value, BITS[address.version]))

    def _apart(self, dst: Prefix) -> bool:
        """Whether no claim overlaps DST and no node has an address in it."""
        before = bisect_right(self._starts, (dst.version, dst.last))
        if before and self._reaches[before - 1] >= (dst.version, dst.value):
            return False
        first = bisect_left(self._addresses, (dst.version, dst.value))
        return first == len(self._addresses) or not dst.covers(self._addresses[first])


def _by_destination(claim: Claim) -> tuple[Prefix, str]:
    return claim.dst, claim.node.name


class FastPath:
    """The knowledge of one whole plan of machine OWN, to act on until the next one."""

    def __init__(
        self, known: ClaimIndex, own: Node, fib: Fib, planned: Planned, dependencies: Dependencies = ()
    ) -> None:
        wanted = planned.desired
        self._known = known
        self._kept = [each.route.dst for each in planned.plan.kept]
        self._dependencies = dependencies
        self._own = own
        self._fib = fib
        self._desired = wanted

    def healed(self, route: Route) -> Change | None:
        """Return what puts ROUTE back, which stood when the plan was made; None where it is not just what is wanted."""
        position = self._positions.get(route.dst)
        if position is None or not route.plain or route.dst in self._foreign:
            return None
        rows = self._desired.wanted[route.dst.version]
        if (rows.vias[position], rows.routes.dev[position]) != (route.via, route.dev):
            return None
        return Change("add", route, rows.claims[position].node.name)

    def wants(self, dst: Prefix) -> bool:
        """Whether a route to DST is wanted here, or would be if everything was well."""
        return dst in self._positions or dst in self._desired.incumbents or dst in self._desired.out_of_reach

    def arrived(self, cluster: Cluster) -> Iterator[Change]:
        """Yield the routes to nodes that are in CLUSTER and were not before, and that have nothing to do with any other."""
        here = desired(self._known.arrivals(cluster), self._own, self._resolver)
        for version, (routes, claims, vias) in here.wanted.items():
            beside = len(self._desired.wanted[version].vias)
            metrics = metrics_of_new(version, routes, range(len(vias)), beside)
            for claim, via, dev, metric in zip(claims, vias, routes.dev, metrics, strict=True):
                beside_us = any(cidr.overlaps(claim.dst) for cidr in (*self._own.pod_cidrs, *self._kept))
                if claim.dst not in self._foreign and not beside_us and not self._needs.taken(claim, in_place=False):
                    yield Change("add", Route(claim.dst, (NextHop(via, dev or None),), metric), claim.node.name)

    @cached_property
    def _needs(self) -> Needs:
        return Needs(self._fib, self._own, self._known.cluster, self._dependencies)

    @cached_property
    def _resolver(self) -> OnLink:
        return OnLink(self._fib)

    @cached_property
    def _positions(self) -> dict[Prefix, int]:
        """The row of every wanted destination."""
        return {claim.dst: row for wanted in self._desired.wanted.values() for row, claim in enumerate(wanted.claims)}

    @cached_property
    def _foreign(self) -> set[Prefix]:
        return {route.dst for route in self._fib.others}
