"""Turns: every round each contestant once, so that what disturbs the machine disturbs them all; medians and paired ratios."""

import gc
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Result = dict[str, Any]
_BUDGET = 15.0  # seconds: who has used them up in one contest does not start again


class Contestant(NamedTuple):
    """``run`` returns the seconds that count; ``prepare`` and ``verify`` are on nobody's clock, and verify raises.

    ``needs`` names an operation that ``prepare`` does: who would take too long for that one does not take part either.
    """

    name: str
    run: Callable[[], float]
    prepare: Callable[[], object] = lambda: None
    verify: Callable[[], object] = lambda: None
    needs: str | None = None


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds WORK takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


class Pairing:
    """Contests of one session. LIMIT: seconds; who is expected to take longer for one run is left out."""

    def __init__(self, rounds: int, limit: float) -> None:
        self.rounds = rounds
        self.limit = limit
        self._history: defaultdict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)

    def compete(self, operation: str, routes: int, contestants: Sequence[Contestant]) -> Result:
        """Return the medians of CONTESTANTS, and their ratio to the first one where that takes part."""
        expected = {
            each.name: max(self._expected(needed, each.name, routes) for needed in (operation, each.needs or operation))
            for each in contestants
        }
        able = [each for each in contestants if expected[each.name] <= self.limit]
        runs: dict[str, list[float]] = {each.name: [] for each in able}
        for _ in range(self.rounds):
            for each in able:
                if sum(runs[each.name]) <= _BUDGET:
                    each.prepare()
                    gc.collect()
                    runs[each.name].append(each.run())
                    each.verify()
        for name, seconds in runs.items():
            self._history[operation, name].append((routes, statistics.median(seconds)))
        ours = runs.get(contestants[0].name, [])
        entries = [_entry(each.name, runs.get(each.name, []), ours, expected[each.name]) for each in contestants]
        return {"operation": operation, "routes": routes, "contestants": entries}

    def _expected(self, operation: str, name: str, routes: int) -> float:
        """Extend the curve that the last two sizes are on; after one size alone, a square."""
        known = self._history[operation, name]
        if not known:
            return 0.0
        count, seconds = known[-1]
        exponent = 2.0
        if len(known) > 1:
            before, earlier = known[-2]
            exponent = math.log(seconds / earlier) / math.log(count / before)
        return float(seconds * (routes / count) ** exponent)


def _entry(name: str, runs: list[float], ours: list[float], expected: float) -> Result:
    if not runs:
        return {"name": name, "median_ms": None, "expected_s": round(expected)}
    ratios = [their / our for their, our in zip(runs, ours, strict=False)]
    return {
        "name": name,
        "median_ms": round(statistics.median(runs) * 1e3, 3),
        "runs_ms": [round(seconds * 1e3, 3) for seconds in runs],
        "spread_ms": [round(min(runs) * 1e3, 3), round(max(runs) * 1e3, 3)],
        "ratio": round(statistics.median(ratios), 3) if ratios else None,
    }
