"""What podroutes sets out to reach, and whether a set of results shows it."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from bench import agent, engine, process, restart
from bench.pairing import Result

_PYTHON, _START = 10.0, 40.0  # ms: ``plan`` may take this much where bare Python takes that much
_NOTHING_BESIDE, _NOTHING = (
    26.0,
    70.0,
)  # ms: ``apply`` of 10,000 nodes may take this much where the two beside it take that much
_MEMORY = 24  # MB
_MB = 1.048576  # in a MiB
_AGENT = {
    "start to in sync, s": 2.5,
    "CPU until in sync, s": 3.0,
    "memory, MiB": 60 / _MB,
    "node created to route in the kernel, p50, ms": 5,
    "address changed to route replaced, p50, ms": 5,
    "podCIDR given to another node, p50, ms": 5,
    "node deleted to route deleted, p50, ms": 5,
    "route deleted to route back, p50, ms": 5,
}
_RESTART = {
    "node created after /readyz to its route, p50, s": 2,
    "node created after /readyz to its route, max, s": 5,
}


class Goal(NamedTuple):
    """One line of the table; ``measured`` and ``met`` are None when its contest was not part of the run."""

    goal: str
    measured: str | None = None
    met: bool | None = None


class _Contest(NamedTuple):
    """A contest of which a goal speaks, and what is known of it: the runs of everybody by name, in ms."""

    title: str
    runs: dict[str, list[float]]

    def faster(self, ours: str, peer: str, *, at_least: float) -> Goal:
        text = f"{self.title}, {ours}: at least {at_least:g} times as fast as {peer}"
        ratios = self._paired(peer, ours)
        return Goal(text, f"{median(ratios):.1f} times", median(ratios) >= at_least) if ratios else Goal(text)

    def within(self, ours: str, peer: str, *, at_most: float) -> Goal:
        text = f"{self.title}, {ours}: at most {at_most:g} of {peer}"
        ratios = self._paired(ours, peer)
        return Goal(text, f"{median(ratios):.2f}", median(ratios) <= at_most) if ratios else Goal(text)

    def below(self, ours: str, *, ms: float) -> Goal:
        text = f"{self.title}, {ours}: at most {ms:,.0f} ms"
        runs = self.runs.get(ours)
        return Goal(text, f"{median(runs):,.0f} ms", median(runs) <= ms) if runs else Goal(text)

    def _paired(self, above: str, below: str) -> list[float]:
        """Return ABOVE's time divided by BELOW's, round by round."""
        pairs = zip(self.runs.get(above, ()), self.runs.get(below, ()), strict=False)
        return [one / other for one, other in pairs]


def goals(results: Sequence[Result]) -> Iterator[Goal]:
    """Judge RESULTS."""

    def contest(operation: str, routes: int) -> _Contest:
        found = _find(results, operation, routes) or {"contestants": []}
        return _Contest(
            f"{operation}, {routes:,}", {each["name"]: each.get("runs_ms", []) for each in found["contestants"]}
        )

    yield contest(engine.FULL, 10_000).faster(engine.OURS, engine.IP_PLAIN, at_least=15)
    yield contest(engine.FULL, 10_000).within(engine.OURS, engine.IP_SAME, at_most=0.3)
    yield contest(engine.FULL, 10_000).within(engine.OURS, engine.FLOOR, at_most=1.3)
    yield contest(engine.FULL, 100_000).below(engine.OURS, ms=1500)
    for routes in (1_000, 5_000):
        yield contest(engine.FULL, routes).within(engine.PLAIN, engine.IP_PLAIN, at_most=1.0)
    for routes in (10_000, 100_000):
        yield contest(engine.NOTHING, routes).within(engine.OURS, engine.IP_SHOW, at_most=0.5)
        yield contest(engine.ALL, routes).within(engine.OURS, engine.IP_SAME, at_most=0.5)
    yield contest(process.APPLY, 10_000).faster(process.OURS, engine.IP_PLAIN, at_least=4)
    yield _nothing_to_change(contest(process.APPLY_NOTHING, 10_000).runs)
    yield _start(contest(process.START, 2).runs)
    yield _memory(_find(results, process.MEMORY, 10_000))
    yield _flips(_find(results, "flips", 1_000))
    for figure, most in _AGENT.items():
        yield _figure(_find(results, agent.OPERATION, 5_000), "agent, 5,000 nodes", figure, most)
    for figure, most in _RESTART.items():
        yield _figure(_find(results, restart.OPERATION, 0), f"restart, {restart.AGENTS} agents", figure, most)


def _find(results: Sequence[Result], operation: str, routes: int) -> Result | None:
    return next((each for each in results if (each["operation"], each["routes"]) == (operation, routes)), None)


def _nothing_to_change(runs: dict[str, list[float]]) -> Goal:
    text = f"{process.APPLY_NOTHING}, 10,000: at most {_NOTHING:.0f} ms where {engine.IP_SHOW} and {process.BARE} take {_NOTHING_BESIDE:.0f} ms"
    three = (runs.get(name, ()) for name in (process.OURS, engine.IP_SHOW, process.BARE))
    ratios = [ours / (show + bare) for ours, show, bare in zip(*three, strict=False)]
    if not ratios:
        return Goal(text)
    return Goal(text, f"{median(ratios) * _NOTHING_BESIDE:.0f} ms", median(ratios) <= _NOTHING / _NOTHING_BESIDE)


def _start(runs: dict[str, list[float]]) -> Goal:
    text = f"{process.START}: at most {_START:.0f} ms where bare Python takes {_PYTHON:.0f} ms"
    if not runs:
        return Goal(text)
    ours, bare = median(runs[process.PLAN]), median(runs[process.BARE])
    return Goal(text, f"{ours:.0f} ms where it takes {bare:.0f} ms", ours / bare <= _START / _PYTHON)


def _memory(found: Result | None) -> Goal:
    text = f"peak memory, 10,000 routes, one-shot commands: at most {_MEMORY} MB"
    if not found:
        return Goal(text)
    name, peak = max(found["peak_mib"].items(), key=lambda item: item[1])
    return Goal(text, f"{peak * _MB:.1f} MB ({name})", peak * _MB <= _MEMORY)


def _figure(found: Result | None, title: str, figure: str, most: float) -> Goal:
    text = f"{title}, {figure}: at most {most:g}"
    return Goal(text, f"{found[figure]:g}", found[figure] <= most) if found else Goal(text)


def _flips(found: Result | None) -> Goal:
    text = "packets lost while 1,000 next hops move under at least 5,000 packets a second: 0"
    if not found:
        return Goal(text)
    measured = (
        f"{found['lost']} of {found['packets_sent']:,} at {found['packets_a_second']:,}/s, {found['flips']} flips"
    )
    return Goal(text, measured, not found["lost"] and found["packets_a_second"] >= 5000)
