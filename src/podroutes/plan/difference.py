"""The difference between the desired routes and the FIB, which all commands show.

Ownership decides what may change: a route with our protocol number may be replaced or deleted. Any other route is foreign, and
is at most taken over unchanged if requested (``adopt``).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.changes import ADD, DELETE, REPLACE, ChangeColumns, ordered
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.plan import Change
from podroutes.model.problem import Problem
from podroutes.model.route import NextHop, Route, protocol_name
from podroutes.model.text import listing, printable
from podroutes.plan.columns import common_rows, differing_rows, picked, rows_of
from podroutes.plan.desired import Desired, Wanted
from podroutes.plan.metric import metrics_of_new
from podroutes.views import iproute


class Difference(NamedTuple):
    """``changes`` are in an order that loses no packet: additions before deletions."""

    changes: Sequence[Change]
    unchanged: int
    problems: tuple[Problem, ...]


def difference(desired: Desired, fib: Fib, *, adopt: bool = False) -> Difference:
    """Return the changes that make FIB agree with DESIRED. With ADOPT identical foreign routes become ours."""
    rows = _others_by_destination(fib)
    parts = [_Family(desired, version, fib.plain[version], rows, adopt=adopt) for version in (4, 6)]
    for part in parts:
        part.compare()
    values = sorted(chain.from_iterable(part.changes for part in parts), key=in_order)
    return Difference(
        ordered(chain.from_iterable(part.columns for part in parts), values),
        sum(part.unchanged for part in parts),
        tuple(chain.from_iterable(part.problems for part in parts)),
    )


def in_order(change: Change) -> tuple[bool, Prefix]:
    """Sort key of changes: additions before deletions."""
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
        self.changes: list[Change] = []  # those that are not in ``columns``
        self.columns: list[ChangeColumns] = []
        self.problems: list[Problem] = []
        self.unchanged = 0

    def compare(self) -> None:
        """Find the changes and problems."""
        if self._others_matter():
            self._compare_rows(0, len(self.wanted.vias), len(self.plain.dst))
        else:
            self._compare_columns()

    def _others_matter(self) -> bool:
        """Return whether a route that is not in our form is ours, or stands on a desired destination."""
        wanted = self.wanted.routes
        return any(
            _stands_on(dst, wanted) or any(route.ours for route in routes) for dst, routes in self.others.items()
        )

    def _compare_columns(self) -> None:
        """Compare whole columns, and rows only between the first and the last one that differ.

        Both are in order of destination, so that what is equal in front and behind needs no look at single rows.
        """
        wanted, plain = self.wanted.routes, self.plain
        first = common_rows(wanted, plain)
        behind = common_rows(wanted, plain, behind=first)
        while first and _same_destination(
            plain, first - 1
        ):  # which of several routes stays is decided among all of them
            first -= 1
        while behind and _same_destination(plain, len(plain.dst) - behind - 1):
            behind -= 1
        last, there = len(wanted.dst) - behind, len(plain.dst) - behind
        self.unchanged = first + behind
        if there == first:
            self._write(range(first, last), [])
            return
        if (
            last != there
            or wanted.dst[first:last] != plain.dst[first:there]
            or wanted.length[first:last] != plain.length[first:there]
        ):
            self._compare_rows(first, last, there)
            return
        moved = differing_rows(wanted, plain, first, last)
        self.unchanged += last - first - len(moved)
        self._write((), [(row, row) for row in moved])

    def _compare_rows(self, first: int, last: int, there: int) -> None:
        """Match rows by destination: those from FIRST up to LAST of the desired ones with those up to THERE of the present ones.

        A destination with one plain route and no other needs no objects.
        """
        plain = self.plain
        ours: dict[tuple[int, int], int | None] = {}
        several: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        keys = zip(plain.dst[first:there], plain.length[first:there], strict=True)
        for position, key in enumerate(keys, first):
            if ours.setdefault(key, position) != position:
                several[key].append(position)
        others = {(dst.value, dst.length): routes for dst, routes in self.others.items()}
        wanted, claims, _ = self.wanted
        missing: list[int] = []
        moved: list[tuple[int, int]] = []
        for index, key in enumerate(zip(wanted.dst[first:last], wanted.length[first:last], strict=True), first):
            row = ours.pop(key, None)
            if key in others or key in several:
                found = self._found(row, several.get(key, []), others.pop(key, []))
                new = self._new([index], metrics_of_new(self.version, wanted, [index]))
                self._settle(new[0], claims[index].node.name, found)
            elif row is None:
                missing.append(index)
            elif plain.via[row] == wanted.via[index] and plain.dev[row] == wanted.dev[index]:
                self.unchanged += 1
            else:
                moved.append((index, row))
        self._write(missing, moved)
        alone = []
        for key in dict.fromkeys(chain(ours, others)):
            row = ours.get(key)
            if row is None or key in several or key in others or (self.version, *key) in self.incumbents:
                self._retire(self._found(row, several.get(key, []), others.get(key, [])))
            else:
                alone.append(row)
        if alone:
            alone.sort(key=lambda row: (plain.dst[row], plain.length[row]))
            self.columns.append(ChangeColumns(bytes([DELETE]) * len(alone), rows_of(plain, alone)))

    def _write(self, missing: Sequence[int], moved: list[tuple[int, int]]) -> None:
        """Add the desired rows MISSING, and replace the present rows in MOVED, which has (desired, present), at their metrics."""
        wanted, claims, _ = self.wanted
        metrics: Sequence[int] = metrics_of_new(self.version, wanted, missing)
        rows, actions, was = missing, bytes([ADD]) * len(missing), None
        if moved:
            new = dict(zip(missing, metrics, strict=True))
            pairs = sorted([*((row, -1) for row in missing), *moved]) if missing else moved
            rows = [row for row, _ in pairs]
            actions = bytes(ADD if present < 0 else REPLACE for _, present in pairs)
            plain = self.plain
            metrics = [new[row] if present < 0 else plain.metric[present] for row, present in pairs]
            was = [plain.via[present] for _, present in pairs], [plain.dev[present] for _, present in pairs]
        if rows:
            routes = rows_of(wanted, rows)._replace(metric=list(metrics))
            self.columns.append(ChangeColumns(actions, routes, picked(claims, rows), was))

    def _new(self, rows: list[int], metrics: list[int]) -> list[Route]:
        """Return new routes for ROWS of the desired ones; by columns, since a first run needs thousands."""
        wanted, claims, vias = self.wanted
        hops = map(NextHop, [vias[row] for row in rows], [wanted.dev[row] or None for row in rows])
        return list(map(Route, [claims[row].dst for row in rows], zip(hops), metrics))

    def _found(self, row: int | None, more: list[int], others: list[Route]) -> list[Route]:
        """Return all routes to one destination, the one that the kernel uses first."""
        rows = [] if row is None else [row, *more]
        return sorted([*map(self.plain.route, rows), *others], key=lambda route: route.metric)

    def _settle(self, new: Route, node: str, routes: list[Route]) -> None:
        """Decide about one desired destination whose routes are not exactly one plain route of ours."""
        foreign = [route for route in routes if not route.ours]
        ours = [route for route in routes if route.ours]
        if self.adopt and len(foreign) == 1 and _identical(foreign[0], new) and _metric_is_alone(foreign[0], ours):
            self.changes.append(Change("replace", new._replace(metric=foreign[0].metric), node, foreign[0]))
            self._delete(ours)
            return
        if foreign:
            self._report_foreign(new, node, routes)
        right = next((route for route in ours if _identical(route, new)), None)
        if right:
            self.unchanged += 1
        elif ours and not ours[0].tos and _metric_is_alone(ours[0], foreign):
            right = ours[0]
            self.changes.append(Change("replace", new._replace(metric=right.metric), node, right))
        elif not foreign:
            self.changes.append(Change("add", new, node))
        self._delete([route for route in ours if route is not right])

    def _retire(self, routes: list[Route]) -> None:
        """Delete routes that no node claims, except those of an undecided or unreachable claim."""
        ours = [route for route in routes if route.ours]
        keep = [route for route in ours if route.via in self.incumbents.get(route.dst, {})]
        self.unchanged += len(keep)
        self._delete([route for route in ours if route not in keep])

    def _delete(self, routes: list[Route]) -> None:
        self.changes += [Change("delete", route) for route in routes]

    def _report_foreign(self, new: Route, node: str, routes: list[Route]) -> None:
        """Report a foreign route to a desired prefix: a warning if it sends packets to the desired next hop.

        Among routes of equal metric their order decides, which the columns of a snapshot do not preserve: all must be right.
        """
        first = [route for route in routes if route.metric == routes[0].metric and not route.tos]
        wrong = [route for route in first if not route.ours and not _same_way(route, new)]
        foreign = wrong[0] if wrong else next(route for route in routes if not route.ours)
        works = bool(first) and all(_same_way(route, new) for route in first)
        made = f"{new.dst} is already routed {_described(foreign)} by protocol {protocol_name(foreign.protocol)}"
        differs = [*_traits(foreign), *([f"nexthop object {foreign.nhid}"] if foreign.nhid else [])]
        message = f"node {printable(node)}: {made}"
        if works and not differs:
            message += ", as wanted but not by us"
        elif works:
            message += f": the wanted way, and not the wanted route, as it has {listing(differs)}"
        if works and _identical(foreign, new):
            fix = "`podroutes apply --adopt` makes it ours"
        elif works and _same_way(foreign, new):
            fix = "nothing has to be done: it leads to the node; podroutes takes over only what is identical to a route of its own"
        elif works:
            fix = "it decides nothing while the other route stands; its owner may remove it"
        elif iproute.deletable(foreign):
            fix = f"where it is not needed: `{iproute.deletion(foreign)}`, then `podroutes apply`"
        elif len(foreign.next_hops) > 1 or foreign.nhid:
            fix = f"have protocol {protocol_name(foreign.protocol)} lead to {new.via} alone, or leave the podCIDR out there"
        else:  # a network of this machine
            fix = "move what it is for out of the pod network, or give the node another podCIDR"
        self.problems.append(Problem("warning" if works else "error", "foreign-route", message, (node,), new.dst, fix))


def _described(route: Route) -> str:
    """Describe ROUTE with the attributes that distinguish it from our routes."""
    if not route.next_hops:
        return f"by nexthop object {route.nhid}" if route.nhid and route.kind == "unicast" else route.kind
    ways = [
        " ".join(filter(None, (f"via {hop.via}" if hop.via else "directly", f"dev {hop.dev}" if hop.dev else "")))
        for hop in route.next_hops
    ]
    return " ".join([" and ".join(ways), *_traits(route)])


def _traits(route: Route) -> list[str]:
    """Return what ROUTE has besides its way that a route of ours has not, in the words of ip-route(8)."""
    source = [f"src {route.prefsrc}"] if route.prefsrc else []
    return [*source, *(f"{key} {value}" for key, value in route.metrics if key != "lock")]


def _same_way(route: Route, wanted: Route) -> bool:
    """Whether ROUTE sends its packets just where WANTED would."""
    return (route.via, route.dev, route.kind, route.tos) == (wanted.via, wanted.dev, wanted.kind, 0)


def _identical(route: Route, wanted: Route) -> bool:
    """Whether ROUTE is WANTED, whoever made it."""
    return _same_way(route, wanted) and not route.nhid and not _traits(route)


def _metric_is_alone(route: Route, others: list[Route]) -> bool:
    """Return whether a replace by destination and metric can only hit ROUTE."""
    return all(other.metric != route.metric for other in others)


def _same_destination(plain: PlainRoutes, row: int) -> bool:
    """Return whether ROW and the row behind it have one destination."""
    rows = slice(row, row + 2)
    dsts, lengths = plain.dst[rows], plain.length[rows]
    return row >= 0 and len(dsts) > 1 and dsts[0] == dsts[1] and lengths[0] == lengths[1]


def _stands_on(dst: Prefix, wanted: PlainRoutes) -> bool:
    """Return whether DST is a desired destination."""
    row = bisect_left(wanted.dst, dst.value)
    while row < len(wanted.dst) and wanted.dst[row] == dst.value:
        if wanted.length[row] == dst.length:
            return True
        row += 1
    return False
