"""What can be done about one route at once, from what the last whole plan knew: a few microseconds where a plan takes milliseconds.

It only ever adds, which the kernel refuses where something stands already, and only what a whole plan would add too. Whatever
is not quite as simple as that is left to the plan, which follows in any case.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property

from podroutes.core.claims import Claims, examine
from podroutes.core.desired import Desired, desired
from podroutes.core.metric import metrics_of_new
from podroutes.core.onlink import OnLink
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.plan import Change
from podroutes.model.route import NextHop, Route


class Prompt:
    """The knowledge of one whole plan of machine OWN, to act on until the next one."""

    def __init__(self, cluster: Cluster, claims: Claims, own: Node, fib: Fib, wanted: Desired) -> None:
        self._cluster = cluster
        self._claims = claims
        self._own = own
        self._fib = fib
        self._desired = wanted
        self._resolver = OnLink(fib)

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

    def arrived(self, cluster: Cluster) -> list[Change]:
        """Return the routes to nodes that are in CLUSTER and were not before, and that have nothing to do with any other."""
        if cluster[1:4] != self._cluster[1:4]:  # the limits
            return []
        known = set(map(id, self._cluster.nodes))  # a source hands out the same value for a node that is the same
        new = tuple(node for node in cluster.nodes if id(node) not in known)
        if not new or any(node.name in self._names for node in new):
            return []
        return list(self._changes(examine(cluster._replace(nodes=new))))

    def _changes(self, claims: Claims) -> Iterator[Change]:
        simple = tuple(claim for claim in claims.honoured if self._apart(claim.dst, claim.node))
        here = desired(Claims(simple, (), ()), self._own, self._resolver)
        for version, (routes, honoured, vias) in here.wanted.items():
            beside = len(self._desired.wanted[version].vias)
            metrics = metrics_of_new(version, routes, range(len(vias)), beside)
            for claim, via, dev, metric in zip(honoured, vias, routes.dev, metrics, strict=True):
                if claim.dst not in self._foreign and not self._own_cidr(claim.dst):
                    route = Route(claim.dst, (NextHop(via, dev or None),), metric)
                    yield Change("add", route, claim.node.name)

    def _apart(self, dst: Prefix, node: Node) -> bool:
        """Whether nothing that was known before has to do with DST or NODE."""
        starts, reaches = self._extents
        before = bisect_right(starts, (dst.version, dst.last))
        return (
            self._addresses.isdisjoint(node.internal_ips)
            and (before == 0 or reaches[before - 1] < (dst.version, dst.value))
            and not self._holds_address(dst)
        )

    def _holds_address(self, dst: Prefix) -> bool:
        first = bisect_left(self._sorted, (dst.version, dst.value))
        return first < len(self._sorted) and dst.covers(self._sorted[first])

    def _own_cidr(self, dst: Prefix) -> bool:
        return any(cidr.overlaps(dst) for cidr in self._own.pod_cidrs)

    @cached_property
    def _positions(self) -> dict[Prefix, int]:
        """The row of every wanted destination."""
        return {claim.dst: row for wanted in self._desired.wanted.values() for row, claim in enumerate(wanted.claims)}

    @cached_property
    def _foreign(self) -> set[Prefix]:
        return {route.dst for route in self._fib.others}

    @cached_property
    def _names(self) -> set[str]:
        return {node.name for node in self._cluster.nodes}

    @cached_property
    def _addresses(self) -> set[Address]:
        return {address for node in self._cluster.nodes for address in node.internal_ips}

    @cached_property
    def _sorted(self) -> list[Address]:
        return sorted(self._addresses)

    @cached_property
    def _extents(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Where every claim begins, in order, and how far it and all before it reach: what overlaps is found by bisection."""
        starts, reaches = [], []
        furthest = (0, 0)
        for claim in sorted((*self._claims.honoured, *self._claims.contested), key=lambda claim: claim.dst):
            furthest = max(furthest, (claim.dst.version, claim.dst.last))
            starts.append((claim.dst.version, claim.dst.value))
            reaches.append(furthest)
        return starts, reaches
