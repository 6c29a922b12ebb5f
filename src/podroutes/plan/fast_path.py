"""The fast path: handles few routes from the state of the last plan, in microseconds where a plan takes milliseconds.

It makes only changes that a plan would make, too: it restores a route that was deleted, adds the routes of new nodes, and where nodes
changed that concern no other, compares their claims with what is known to stand in the kernel. The kernel refuses a change if
something else stands there by now. Other cases are left to the plan, which always follows.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.plan import Change
from podroutes.model.route import NextHop, Route
from podroutes.plan.claim_index import Changed, ClaimIndex
from podroutes.plan.claims import Claims
from podroutes.plan.dependencies import Needs
from podroutes.plan.desired import Desired, desired
from podroutes.plan.difference import in_order
from podroutes.plan.identity import is_named
from podroutes.plan.metric import metrics_of_new
from podroutes.plan.onlink import OnLink
from podroutes.plan.planning import Planned
from podroutes.plan.settle import concerns

__all__ = ["ClaimIndex", "FastPath", "NodeChanges"]


class NodeChanges(NamedTuple):
    """The changes for changed nodes. ``gone`` are the prefixes of their deletions, each with the node that is deleted."""

    changes: tuple[Change, ...] = ()
    gone: Mapping[Prefix, str] = {}

    def without_deletions(self) -> "NodeChanges":
        """Return the changes that take no route away."""
        return NodeChanges(tuple(change for change in self.changes if change.action != "delete"))


class _UnknownError(Exception):
    """Raised where the last plan does not tell what stands in the kernel."""


class FastPath:
    """The state of one plan of machine OWN, used until the next one.

    A change of a node that may be this machine, by one of NAMES or an address of FIB, is left to a plan.
    """

    def __init__(  # noqa: PLR0913, each is of another kind
        self,
        known: ClaimIndex,
        own: Node,
        fib: Fib,
        planned: Planned,
        dependencies: Dependencies = (),
        *,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self._known = known
        self._plan = planned.plan
        self._kept = [kept_route.route.dst for kept_route in planned.plan.kept]
        self._dependencies = dependencies
        self._own = own
        self._fib = fib
        self._desired = planned.desired
        self._names = frozenset({own.name.lower(), *names})
        self._made: dict[Prefix, Change] = {}  # changes of the plan that were made,
        self._since: dict[Prefix, Change] = {}  # and later ones of the fast path

    def carried_out(self, done: Iterable[Change]) -> None:
        """Record the changes of the plan that were made."""
        self._made = {change.route.dst: change for change in done}

    def note(self, done: Iterable[Change]) -> None:
        """Record changes of ``changed`` that were made."""
        for change in done:
            self._since[change.route.dst] = change

    def healed(self, route: Route) -> Change | None:
        """Return the change that restores ROUTE, which existed at the plan; None unless it is a desired route."""
        later = self._since.get(route.dst)
        if later:
            return Change("add", route, later.node) if later.action != "delete" and later.route == route else None
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
                row
                for row, claim in enumerate(claims)
                if claim.dst not in there and claim.dst not in self._foreign and claim.dst not in self._since
            ]
            for row, metric in zip(rows, metrics_of_new(version, routes, rows), strict=True):
                route = Route(claims[row].dst, (NextHop(vias[row], routes.dev[row] or None),), metric)
                yield Change("add", route, claims[row].node.name)

    def wants(self, dst: Prefix) -> bool:
        """Return whether a route to DST is desired here, or would be without problems."""
        return dst in self._positions or dst in self._desired.incumbents or dst in self._desired.out_of_reach

    def arrived(self, cluster: Cluster) -> Iterator[Change]:
        """Yield the routes to nodes that are new in CLUSTER and conflict with no other."""
        if self._plan.held or any(self._is_mine(node) for node in self._known.new(cluster)):
            return
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

    def changed(self, cluster: Cluster) -> NodeChanges:
        """Return the changes for the nodes that changed in CLUSTER; none if they concern other nodes or anything else on this machine."""
        changed_claims = self._known.changed(cluster)
        if (
            changed_claims is None
            or not self._is_simple
            or any(map(self._is_mine, (*changed_claims.former, *changed_claims.new)))
        ):
            return NodeChanges()
        here = desired(Claims(changed_claims.new_claims, (), ()), self._own, self._resolver)
        if here.out_of_reach or any(map(self._is_needed, (claim.dst for claim in changed_claims.new_claims))):
            return NodeChanges()
        try:
            changes = [*self._wanted(changed_claims, here), *self._leaving(changed_claims)]
        except _UnknownError:
            return NodeChanges()
        gone = {change.route.dst: change.node or "" for change in changes if change.action == "delete"}
        plain = (change._replace(node=None) if change.action == "delete" else change for change in changes)
        return NodeChanges(tuple(sorted(plain, key=in_order)), gone)

    def standing(self) -> frozenset[tuple[int, int, int]]:
        """Return all prefixes with a route of ours, as far as known."""
        rows: set[tuple[int, int, int]] = set()
        for version, columns in self._fib.plain.items():
            rows.update(zip([version] * len(columns.dst), columns.dst, columns.length, strict=True))
        rows.update(route.dst for route in self._fib.others if route.ours and route.next_hops)
        for change in (*self._made.values(), *self._since.values()):
            (rows.discard if change.action == "delete" else rows.add)(change.route.dst)
        return frozenset(rows)

    def _wanted(self, changed: Changed, here: Desired) -> Iterator[Change]:
        """Yield what makes the routes HERE, of the nodes CHANGED, stand in the kernel."""
        for version, (routes, claims, vias) in here.wanted.items():
            before = self._desired.wanted[version].routes
            leaving = (claim.dst for claim in changed.former_claims if claim.dst.version == version)
            beside = len(before.dst) - sum(_row(before, dst) is not None for dst in leaving)
            metrics = metrics_of_new(version, routes, range(len(vias)), beside)
            for claim, via, dev, metric in zip(claims, vias, routes.dev, metrics, strict=True):
                there, hop = self._there(claim.dst), NextHop(via, dev or None)
                if there is None:
                    yield Change("add", Route(claim.dst, (hop,), metric), claim.node.name)
                elif (there.via, there.dev) != (hop.via, hop.dev):
                    yield Change("replace", Route(claim.dst, (hop,), there.metric), claim.node.name, there)

    def _leaving(self, changed: Changed) -> Iterator[Change]:
        """Yield the deletion of each route of a deleted Node, with its name. Raises _UnknownError if its prefix or next hop may be somebody's."""
        served = {claim.dst for claim in changed.new_claims}
        claimed = {dst for node in changed.new for dst in node.pod_cidrs} - served
        addresses = {address for node in changed.new for address in node.internal_ips}
        names = {node.name for node in changed.new}
        for claim in changed.former_claims:
            there = None if claim.dst in served else self._there(claim.dst)
            if there is None:
                continue
            later = self._since.get(claim.dst)
            known = there.via in claim.vias or bool(later and later.node == claim.node.name)
            if not known or claim.dst in claimed or there.via in addresses or claim.node.name in names:
                raise _UnknownError  # a deletion that the guard may judge otherwise
            yield Change("delete", there, claim.node.name)

    def _there(self, dst: Prefix) -> Route | None:
        """Return our route to DST in the kernel. Raises _UnknownError if it is not known to be the only one."""
        change = self._since.get(dst) or self._made.get(dst)
        if change:
            return None if change.action == "delete" else change.route
        plain = self._fib.plain[dst.version]
        row = _row(plain, dst)
        if dst in self._unfinished or dst in self._foreign or self._fib.hides(dst):
            raise _UnknownError
        if row is None:
            return None
        if _row(plain, dst, row + 1) is not None:
            raise _UnknownError
        return plain.route(row)

    @cached_property
    def _unfinished(self) -> set[Prefix]:
        """The destinations of changes that the plan did not make."""
        return {change.route.dst for change in self._plan.changes} - self._made.keys()

    @cached_property
    def _is_simple(self) -> bool:
        """Whether this machine honours the claims as they are, and keeps or holds no route."""
        nothing_special = not (self._plan.kept or self._plan.held)
        return nothing_special and not concerns(self._known.claims, self._own, self._fib, self._needs)

    def _is_mine(self, node: Node) -> bool:
        """Whether NODE may be this machine."""
        return is_named(node, self._names) or not self._addresses.isdisjoint(node.internal_ips)

    @cached_property
    def _addresses(self) -> set[Address]:
        return {address.address for address in self._fib.addresses}

    def _is_needed(self, dst: Prefix) -> bool:
        """Return whether this machine depends on an address in DST, or has pods there."""
        own = any(cidr.overlaps(dst) for cidr in self._own.pod_cidrs)
        return own or any(dst.covers(place) for place in self._places)

    @cached_property
    def _places(self) -> tuple[Address, ...]:
        return tuple(self._needs.places)

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


def _row(plain: PlainRoutes, dst: Prefix, first: int = 0) -> int | None:
    """Return the first row of PLAIN, from row FIRST on, whose destination is DST."""
    row = bisect_left(plain.dst, dst.value, first)
    while row < len(plain.dst) and plain.dst[row] == dst.value:
        if plain.length[row] == dst.length:
            return row
        row += 1
    return None
