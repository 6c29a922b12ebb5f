"""Where the columns of two sets of routes differ: by blocks, as to compare two lists costs a few nanoseconds a row."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from podroutes.model.fib import PlainRoutes

_Item = TypeVar("_Item")
_BLOCK = 1024  # rows: small beside 10,000, and large beside what a slice costs


def common_rows(one: PlainRoutes, other: PlainRoutes, *, behind: int | None = None) -> int:
    """Return how many rows ONE and OTHER have in common at their beginnings; or at their ends, not counting the first BEHIND rows.

    The metric does not count.
    """
    columns = _columns(one, other)
    ends = (0, 0) if behind is None else (len(one.dst), len(other.dst))
    most = min(len(one.dst), len(other.dst)) - (behind or 0)
    low, step = 0, min(_BLOCK, max(most, 1))
    while low < most:
        high = min(low + step, most)
        if _equal(columns, *_places(ends, low, high)):
            low = high
        elif high - low == 1:
            return low
        else:
            step = max((high - low) // 2, 1)
    return low


def differing_rows(one: PlainRoutes, other: PlainRoutes, first: int, last: int) -> list[int]:
    """Return the rows from FIRST up to LAST that differ in ONE and OTHER, without the metric."""
    columns = _columns(one, other)
    found: list[int] = []
    for low, high in pairwise([*range(first, last, _BLOCK), last] if first < last else []):
        if _equal(columns, (low, high), (low, high)):
            continue
        differing = set[int]()
        for left, right in columns:
            if left[low:high] != right[low:high]:
                pairs = zip(left[low:high], right[low:high], strict=True)
                differing.update(
                    row for row, (one_value, other_value) in enumerate(pairs, low) if one_value != other_value
                )
        found += sorted(differing)
    return found


_Pairs = tuple[tuple[list[int] | list[str], list[int] | list[str]], ...]


def _columns(one: PlainRoutes, other: PlainRoutes) -> _Pairs:
    return (one.dst, other.dst), (one.via, other.via), (one.length, other.length), (one.dev, other.dev)


def _places(ends: tuple[int, int], low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield for both sides where the rows LOW to HIGH are, counted from the end where that is not 0."""
    for end in ends:
        yield (end - high, end - low) if end else (low, high)


def _equal(columns: _Pairs, left: tuple[int, int], right: tuple[int, int]) -> bool:
    return all(one[left[0] : left[1]] == other[right[0] : right[1]] for one, other in columns)


def picked(column: list[_Item], rows: Sequence[int]) -> list[_Item]:
    """Return the values of COLUMN in ROWS; all of them without a copy."""
    if isinstance(rows, range):
        return column if len(rows) == len(column) else column[rows.start : rows.stop]
    return [column[row] for row in rows]


def rows_of(routes: PlainRoutes, rows: Sequence[int]) -> PlainRoutes:
    """Return ROWS of ROUTES."""
    columns = (picked(routes.dst, rows), picked(routes.length, rows), picked(routes.via, rows))
    return PlainRoutes(routes.version, *columns, picked(routes.dev, rows), picked(routes.metric, rows))
