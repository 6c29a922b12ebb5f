"""Changes of the kernel as columns: a change becomes a value when somebody looks at it.

Ten thousand values take more time than the kernel takes for the routes themselves.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, overload

from podroutes.model.address import Address
from podroutes.model.claims import Claim
from podroutes.model.fib import PlainRoutes
from podroutes.model.plan import Action, Change
from podroutes.model.route import NextHop, Route

ACTIONS: tuple[Action, ...] = ("add", "replace", "delete")
ADD, REPLACE, DELETE = range(3)


class ChangeColumns(NamedTuple):
    """Changes of routes in our form, of one IP version: row i of all columns is one change.

    ``routes`` are the new routes, or for deletes the present ones. ``claims`` and ``was`` are None where no row has any. What a
    replace replaces has the same destination and metric.
    """

    actions: bytes  # indexes into ACTIONS
    routes: PlainRoutes
    claims: Sequence[Claim] | None = None
    was: tuple[Sequence[int], Sequence[str]] | None = None  # gateways and devices; only those of replaces count

    def part(self, rows: slice) -> "ChangeColumns":
        """Return some rows."""
        routes = self.routes
        columns = (routes.dst[rows], routes.length[rows], routes.via[rows], routes.dev[rows], routes.metric[rows])
        claims = self.claims[rows] if self.claims is not None else None
        was = (self.was[0][rows], self.was[1][rows]) if self.was else None
        return ChangeColumns(self.actions[rows], PlainRoutes(routes.version, *columns), claims, was)

    def change(self, row: int) -> Change:
        """Return row ROW as a value."""
        route, was = self.routes.route(row), None
        if self.was and self.actions[row] == REPLACE:
            via, dev = Address(self.routes.version, self.was[0][row]), self.was[1][row] or None
            was = Route(route.dst, (NextHop(via, dev),), route.metric)
        return Change(ACTIONS[self.actions[row]], route, self.claims[row].node.name if self.claims else None, was)

    def changes(self) -> Iterator[Change]:
        """Yield each row as a value."""
        return map(self.change, range(len(self.actions)))


Part = ChangeColumns | tuple[Change, ...]


class Changes(Sequence[Change]):
    """A sequence of changes, equal to the tuple of them. ``parts`` are its columns and values, in order."""

    __slots__ = ("_starts", "parts")

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(part for part in parts if _size(part))
        self._starts = [0]
        for part in self.parts:
            self._starts.append(self._starts[-1] + _size(part))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Change]:
        return chain.from_iterable(part.changes() if isinstance(part, ChangeColumns) else part for part in self.parts)

    @overload
    def __getitem__(self, at: int) -> Change: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Change]: ...
    def __getitem__(self, at: int | slice) -> Change | Sequence[Change]:
        if isinstance(at, slice):
            return tuple(map(self.__getitem__, range(len(self))[at]))
        position = range(len(self))[at]
        number = bisect_left(self._starts, position + 1) - 1
        part, row = self.parts[number], position - self._starts[number]
        return part.change(row) if isinstance(part, ChangeColumns) else part[row]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Changes | tuple):
            return len(self) == len(other) and all(map(_same, self, other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _same(one: object, other: object) -> bool:
    return one == other


def _size(part: Part) -> int:
    return len(part.actions) if isinstance(part, ChangeColumns) else len(part)


def ordered(columns: Iterable[ChangeColumns], others: Sequence[Change]) -> Sequence[Change]:
    """Return COLUMNS, each in order of destination and of one IP version, and OTHERS, in order, as one sequence.

    Changes but deletes come first, in order of destination, then deletes.
    """
    classes: dict[tuple[bool, int], list[ChangeColumns | Change]] = {
        (gone, version): [] for gone in (False, True) for version in (4, 6)
    }
    parts: list[Part] = []
    mixed: dict[tuple[bool, int], list[Change]] = {each: [] for each in classes}
    for change in others:
        mixed[change.action == "delete", change.route.dst.version].append(change)
    whole = {(part.actions[0] == DELETE, part.routes.version): part for part in columns if part.actions}
    for each in classes:
        parts += _merged(whole.get(each), mixed[each])
    if not any(isinstance(part, ChangeColumns) for part in parts):
        return tuple(others)
    return Changes(parts)


def _merged(columns: ChangeColumns | None, others: Sequence[Change]) -> Iterator[Part]:
    """Yield COLUMNS in pieces, with OTHERS between them in order of destination."""
    if columns is None:
        yield tuple(others)
        return
    routes, start, between = columns.routes, 0, list[Change]()
    for change in others:
        dst = change.route.dst
        at = bisect_left(
            range(len(routes.dst)),
            (dst.value, dst.length),
            lo=start,
            key=lambda row: (routes.dst[row], routes.length[row]),
        )
        if at > start:
            yield tuple(between)
            yield columns.part(slice(start, at))
            start, between = at, []
        between.append(change)
    yield tuple(between)
    yield columns.part(slice(start, None)) if start else columns


def counts(changes: Sequence[Change]) -> dict[Action, int]:
    """Return how many of CHANGES there are of each action."""
    found: dict[Action, int] = dict.fromkeys(ACTIONS, 0)
    for part in changes.parts if isinstance(changes, Changes) else (tuple(changes),):
        for number, action in enumerate(ACTIONS):
            if isinstance(part, ChangeColumns):
                found[action] += part.actions.count(number)
            else:
                found[action] += sum(change.action == action for change in part)
    return found


def replaces(changes: Sequence[Change]) -> bool:
    """Return whether any of CHANGES replaces a known route."""
    return any(
        part.was is not None and REPLACE in part.actions
        if isinstance(part, ChangeColumns)
        else any(change.action == "replace" and change.was for change in part)
        for part in (changes.parts if isinstance(changes, Changes) else (tuple(changes),))
    )
