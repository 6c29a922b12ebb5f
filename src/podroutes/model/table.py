"""The routes of one machine among many that have nearly the same: numbers into one list that all share."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from podroutes.model.route import Route


class Table(Sequence[Route]):
    """An immutable sequence of routes. 4 bytes a route instead of 8, which counts with 25 million of them."""

    __slots__ = ("_numbers", "_shared")

    def __init__(self, shared: list[Route], numbers: Iterable[int]) -> None:
        self._shared = shared
        self._numbers = array("I", numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Route]:
        return map(self._shared.__getitem__, self._numbers)

    @overload
    def __getitem__(self, place: int) -> Route: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Route, ...]: ...
    def __getitem__(self, place: int | slice) -> Route | tuple[Route, ...]:
        if isinstance(place, slice):
            return tuple(map(self._shared.__getitem__, self._numbers[place]))
        return self._shared[self._numbers[place]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Table) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
