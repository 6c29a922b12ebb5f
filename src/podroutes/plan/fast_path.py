"""The fast path: handles one route from the state of the last plan, in microseconds where a plan takes milliseconds.

It only adds routes, which the kernel refuses if a route exists, and only those that a plan would add, too. Other cases are left
to the plan, which always follows.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator
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
    """An index of the claims of a cluster, kept while the nodes are unchanged."""

    def __init__(self, cluster: Cluster, claims: Claims) -> None:
        self.cluster = cluster
        self.claims = claims
        self._ids = set(map(id, cluster.nodes))
        self._names = {node.name for node in cluster.nodes}
        self._addresses = sorted({address for node in cluster.nodes for address in node.internal_ips})
        self._starts: list[tuple[int, int]] = []  # the first address of each claim, sorted
        self._reaches: list[tuple[int, int]] = []  # the highest last address up to each claim
        furthest = (0, 0)
        for claim in (
            sorted((*claims.honoured, *claims.contested), key=_by_destination) if claims.contested else claims.honoured
        ):
            furthest = max(furthest, (claim.dst.version, claim.dst.last))
            self._starts.append(claim.dst[:2])
            self._reaches.append(furthest)

    def arrivals(self, cluster: Cluster) -> Claims:
        """Return the claims of nodes that are new in CLUSTER and do not affect earlier ones."""
        nothing = Claims((), (), ())
        if cluster[1:4] != self.cluster[1:4]:  # the limits
            return nothing
        # A source returns the same object for an unchanged node.
        new = tuple(node for node in cluster.nodes if id(node) not in self._ids)
        if not new or any(node.name in self._names or not all(map(self._is_new, node.internal_ips)) for node in new):
            return nothing
        claims = examine(cluster._replace(nodes=new))
        return nothing._replace(honoured=tuple(claim for claim in claims.honoured if self._apart(claim.dst)))

    def _is_new(self, address: Address) -> bool:
        """Return whether no node has ADDRESS and no claim covers it."""
        return self._apart(Prefix(address.version, address.value, BITS[address.version]))

    def _apart(self, dst: Prefix) -> bool:
        """Return whether no claim overlaps DST and no node has an address in it."""
        before = bisect_right(self._starts, (dst.version, dst.last))
        if before and self._reaches[before - 1] >= (dst.version, dst.value):
            return False
        first = bisect_left(self._addresses, (dst.version, dst.value))
        return first == len(self._addresses) or not dst.covers(self._addresses[first])


def _by_destination(claim: Claim) -> tuple[Prefix, str]:
    return claim.dst, claim.node.name


class FastPath:
    """The state of one plan of machine OWN, used until the next one."""

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
        """Return the change that restores ROUTE, which existed at the plan; None unless it is a desired route."""
        position = self._positions.get(route.dst)
        if position is None or not route.plain or route.dst in self._foreign:
            return None
        rows = self._desired.wanted[route.dst.version]
        if (rows.vias[position], rows.routes.dev[position]) != (route.via, route.dev):
            return None
        return Change("add", route, rows.claims[position].node.name)

    @cached_property
    def devices(self) -> set[str]:
        """The devices that lead to other nodes."""
        return {dev for wanted in self._desired.wanted.values() for dev in wanted.routes.dev}

    def missing(self, there: Container[Prefix]) -> Iterator[Change]:
        """Yield what adds the wanted routes whose destinations are not THERE, those excepted where somebody else's stood."""
        for version, (routes, claims, vias) in self._desired.wanted.items():
            rows = [
                row for row, claim in enumerate(claims) if claim.dst not in there and claim.dst not in self._foreign
            ]
            for row, metric in zip(rows, metrics_of_new(version, routes, rows), strict=True):
                route = Route(claims[row].dst, (NextHop(vias[row], routes.dev[row] or None),), metric)
                yield Change("add", route, claims[row].node.name)

    def wants(self, dst: Prefix) -> bool:
        """Return whether a route to DST is desired here, or would be without problems."""
        return dst in self._positions or dst in self._desired.incumbents or dst in self._desired.out_of_reach

    def arrived(self, cluster: Cluster) -> Iterator[Change]:
        """Yield the routes to nodes that are new in CLUSTER and conflict with no other."""
        here = desired(self._known.arrivals(cluster), self._own, self._resolver)
        for version, (routes, claims, vias) in here.wanted.items():
            beside = len(self._desired.wanted[version].vias)
            metrics = metrics_of_new(version, routes, range(len(vias)), beside)
            for claim, via, dev, metric in zip(claims, vias, routes.dev, metrics, strict=True):
                beside_us = any(cidr.overlaps(claim.dst) for cidr in (*self._own.pod_cidrs, *self._kept))
                if not (
                    claim.dst in self._foreign or self._fib.hides(claim.dst) or beside_us
                ) and not self._needs.taken(claim, in_place=False):
                    yield Change("add", Route(claim.dst, (NextHop(via, dev or None),), metric), claim.node.name)

    @cached_property
    def _needs(self) -> Needs:
        return Needs(self._fib, self._own, self._known.cluster, self._dependencies)

    @cached_property
    def _resolver(self) -> OnLink:
        return OnLink(self._fib)

    @cached_property
    def _positions(self) -> dict[Prefix, int]:
        """Return the row of each desired destination."""
        return {claim.dst: row for wanted in self._desired.wanted.values() for row, claim in enumerate(wanted.claims)}

    @cached_property
    def _foreign(self) -> set[Prefix]:
        return {route.dst for route in self._fib.others}
