"""Wanted routes minus the routes that are there: the one difference that every command is a view of.

Whose a route is, decides what may happen to it: ours carries our protocol number and may be replaced or deleted; anything
else is somebody else's, and is at most taken over unchanged when that is asked for (``adopt``).
"""

from bisect import bisect_left
from collections import defaultdict
from itertools import chain
from typing import NamedTuple

from podroutes.core.claims import Claim
from podroutes.core.desired import Desired, Wanted
from podroutes.core.metric import metric_for
from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.plan import Change
from podroutes.model.problem import Problem
from podroutes.model.route import NextHop, Route, protocol_name
from podroutes.model.text import printable


class Difference(NamedTuple):
    """``changes`` are ordered so that carrying them out loses no packet: everything that adds comes before what deletes."""

    changes: tuple[Change, ...]
    unchanged: int
    problems: tuple[Problem, ...]


def difference(desired: Desired, fib: Fib, *, adopt: bool = False) -> Difference:
    """Return what makes FIB agree with DESIRED; with ADOPT also identical routes of others become ours."""
    rows = _others_by_destination(fib)
    parts = [_Family(desired, version, fib.plain[version], rows, adopt=adopt).difference() for version in (4, 6)]
    changes = sorted(chain.from_iterable(part.changes for part in parts), key=_in_order)
    return Difference(
        tuple(changes),
        sum(part.unchanged for part in parts),
        tuple(chain.from_iterable(part.problems for part in parts)),
    )


def _in_order(change: Change) -> tuple[bool, Prefix]:
    return change.action == "delete", change.route.dst


def _others_by_destination(fib: Fib) -> dict[Prefix, list[Route]]:
    rows: defaultdict[Prefix, list[Route]] = defaultdict(list)
    for route in fib.others:
        rows[route.dst].append(route)
    return rows


class _Family:
    """The difference in one IP version."""

    def __init__(
        self, desired: Desired, version: int, plain: PlainRoutes, others: dict[Prefix, list[Route]], *, adopt: bool
    ) -> None:
        self.version = version
        self.wanted: Wanted = desired.wanted[version]
        self.plain = plain
        self.others = {dst: routes for dst, routes in others.items() if dst.version == version}
        self.incumbents = desired.incumbents
        self.adopt = adopt
        self.changes: list[Change] = []
        self.problems: list[Problem] = []
        self.unchanged = 0

    def difference(self) -> Difference:
        if self._columns_agree():
            self.unchanged = len(self.plain.dst)
        else:
            self._compare_rows()
        return Difference(tuple(self.changes), self.unchanged, tuple(self.problems))

    def _columns_agree(self) -> bool:
        """Whether the kernel has just what is wanted: whole columns compared at once, for the run that changes nothing."""
        wanted, plain = self.wanted.routes, self.plain
        return (
            wanted.dst == plain.dst
            and wanted.via == plain.via
            and wanted.length == plain.length
            and wanted.dev == plain.dev
            and not any(_stands_on(dst, wanted) or any(route.ours for route in self.others[dst]) for dst in self.others)
        )

    def _compare_rows(self) -> None:
        """Match row by row through the destination; what has one plain route and no rival never becomes an object."""
        plain = self.plain
        ours: dict[tuple[int, int], int | None] = {}
        several: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for row, key in enumerate(zip(plain.dst, plain.length, strict=True)):
            if ours.setdefault(key, row) != row:
                several[key].append(row)
        others = {(dst.value, dst.length): routes for dst, routes in self.others.items()}
        wanted = self.wanted.routes
        columns = zip(
            wanted.dst, wanted.length, wanted.via, wanted.dev, self.wanted.claims, self.wanted.vias, strict=True
        )
        for dst, length, via, dev, claim, hop in columns:
            key = dst, length
            row = ours.pop(key, None)
            if key in others or key in several:
                found = self._found(row, several.get(key, []), others.pop(key, []))
                self._settle(self._new(claim, hop, dev), claim.node.name, found)
            elif row is None:
                self.changes.append(Change("add", self._new(claim, hop, dev), claim.node.name))
            elif plain.via[row] == via and plain.dev[row] == dev:
                self.unchanged += 1
            else:
                new = self._new(claim, hop, dev)._replace(metric=plain.metric[row])
                self.changes.append(Change("replace", new, claim.node.name, plain.route(row)))
        for key in dict.fromkeys(chain(ours, others)):
            self._retire(self._found(ours.get(key), several.get(key, []), others.get(key, [])))

    def _new(self, claim: Claim, via: Address, dev: str) -> Route:
        dst = claim.dst
        metric = metric_for(self.version, dst.value, BITS[self.version] - dst.length, routes=len(self.wanted.claims))
        return Route(dst, (NextHop(via, dev or None),), metric)

    def _found(self, row: int | None, more: list[int], others: list[Route]) -> list[Route]:
        """Every route to one destination, the one that the kernel uses first."""
        rows = [] if row is None else [row, *more]
        return sorted([*map(self.plain.route, rows), *others], key=lambda route: route.metric)

    def _settle(self, new: Route, node: str, found: list[Route]) -> None:
        """Decide on one wanted destination where the table holds more than one plain route of ours."""
        foreign = [route for route in found if not route.ours]
        ours = [route for route in found if route.ours]
        if self.adopt and len(foreign) == 1 and _same_way(foreign[0], new) and _metric_is_alone(foreign[0], ours):
            self.changes.append(Change("replace", new._replace(metric=foreign[0].metric), node, foreign[0]))
            self._delete(ours)
            return
        if foreign:
            self._report_foreign(new, node, foreign[0], works=_same_way(found[0], new))
        right = next((route for route in ours if _same_way(route, new)), None)
        if right:
            self.unchanged += 1
        elif not foreign and ours and not ours[0].tos:
            right = ours[0]
            self.changes.append(Change("replace", new._replace(metric=right.metric), node, right))
        elif not foreign:
            self.changes.append(Change("add", new, node))
        self._delete([route for route in ours if route is not right])

    def _retire(self, found: list[Route]) -> None:
        """Delete what no node claims, except where a claim is undecided or out of reach and this is what it had."""
        ours = [route for route in found if route.ours]
        keep = [route for route in ours if route.via in self.incumbents.get(route.dst, {})]
        self.unchanged += len(keep)
        self._delete([route for route in ours if route not in keep])

    def _delete(self, routes: list[Route]) -> None:
        self.changes += [Change("delete", route) for route in routes]

    def _report_foreign(self, new: Route, node: str, foreign: Route, *, works: bool) -> None:
        """Report a prefix that someone else holds: a warning where packets go the wanted way all the same."""
        leads = f"via {foreign.via}" if foreign.via else foreign.kind if foreign.kind != "unicast" else "directly"
        where = f"{leads} dev {foreign.dev}" if foreign.dev else leads
        made = f"{new.dst} is already routed {where} by protocol {protocol_name(foreign.protocol)}"
        message = f"node {printable(node)}: {made}" + (", as wanted but not by us" if works else "")
        fix = "`podroutes apply --adopt` makes it ours" if works else ""
        self.problems.append(Problem("warning" if works else "error", "foreign-route", message, (node,), new.dst, fix))


def _same_way(route: Route, wanted: Route) -> bool:
    """Whether ROUTE sends its packets just where WANTED would."""
    return (
        (route.via, route.dev, route.kind) == (wanted.via, wanted.dev, wanted.kind)
        and not route.tos
        and route.prefsrc is None
    )


def _metric_is_alone(route: Route, others: list[Route]) -> bool:
    """Whether a replace by destination and metric can only hit ROUTE."""
    return all(other.metric != route.metric for other in others)


def _stands_on(dst: Prefix, wanted: PlainRoutes) -> bool:
    """Whether DST is among the wanted destinations."""
    row = bisect_left(wanted.dst, dst.value)
    while row < len(wanted.dst) and wanted.dst[row] == dst.value:
        if wanted.length[row] == dst.length:
            return True
        row += 1
    return False
