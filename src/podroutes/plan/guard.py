"""The mass-delete guard: one for ``apply``, ``push``, the agent and the files of ``--persist``.

The prefixes of one node may always go. Beyond that, what goes within ten minutes may be a third of what there was, and the rest
is held: shown, and not deleted. The ten minutes are remembered, so that a third of what is left is not a third anew.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.problem import Problem
from podroutes.model.text import listing, printable
from podroutes.plan.vanishing import Leaving, vanishing

WINDOW = (
    600.0  # seconds; longer than a rolling replacement of one node takes, shorter than a person forgets what was typed
)
SHARE = 3  # more than one in so many of the prefixes that there were is too many
EVERYTHING = 1 << 62  # an allowance without a limit


class Deleted(NamedTuple):
    """A prefix that went, the node that it served, and when: seconds of the clock that the caller goes by."""

    dst: Prefix
    node: str
    at: float


class Verdict(NamedTuple):
    """What the guard says about a plan: prefixes, each with the node that it served."""

    held: Mapping[Prefix, str] = {}  # stay for now
    passed: Mapping[Prefix, str] = {}  # may go, and count from now on
    problem: Problem | None = None  # where something is held: how much, whose, and what to do


HeldDeletions = Callable[[Leaving], Verdict]


def no_guard(_: Leaving) -> Verdict:
    """Let everything go, and count nothing."""
    return Verdict()


class Run(NamedTuple):
    """The guard of one run of a command. ``at`` is the time now, ``allowed`` how many prefixes a person lets go at once."""

    cluster: Cluster
    former: Mapping[Prefix, str]  # the node that each prefix served before
    earlier: tuple[Deleted, ...]
    at: float
    allowed: int = 0
    agreed: frozenset[Prefix] = frozenset()  # what a person was shown and lets go
    advice: str = "correct {source}, or let them go: podroutes apply --allow-mass-delete={count}"

    def __call__(self, found: Leaving) -> Verdict:
        """Judge what a plan leaves without a route."""
        gone = {
            dst: node for dst, node in vanishing(found, self.cluster, self.former).items() if dst not in self.agreed
        }
        if not gone or len(gone) <= self.allowed:
            return Verdict()
        earlier = recent(self.earlier, found.standing, self.at)
        if not too_many(gone, len(found.standing), earlier, nobody=not claims_anything(self.cluster)):
            return Verdict(passed=gone)
        return Verdict(gone, {}, held_problem(gone, len(found.standing), earlier, self.cluster.source, self.advice))


def recent(earlier: Iterable[Deleted], standing: AbstractSet[tuple[int, int, int]], now: float) -> tuple[Deleted, ...]:
    """Return those of EARLIER that still count NOW: of the last ten minutes, and not STANDING again.

    One from the future was written under another clock, and counts.
    """
    return tuple(each for each in earlier if now - each.at < WINDOW and each.dst not in standing)


def too_many(gone: Mapping[Prefix, str], standing: int, earlier: Iterable[Deleted], *, nobody: bool) -> bool:
    """Whether GONE of STANDING prefixes are too many to go at once, after EARLIER. NOBODY: no node claims anything any more."""
    before = {each.dst: each.node for each in earlier}
    if nobody:
        return True
    if len({*gone.values(), *before.values()}) < 2:
        return False
    return (len(gone) + len(before)) * SHARE > standing + len(before)


def claims_anything(cluster: Cluster) -> bool:
    """Whether any node of CLUSTER claims any podCIDR."""
    return any(node.pod_cidrs for node in cluster.nodes)


def digest(dsts: Iterable[Prefix]) -> str:
    """Return the name of a set of prefixes: what is confirmed by it is this set and no other."""
    import hashlib  # noqa: PLC0415, few runs hold anything

    return hashlib.sha256("\n".join(map(str, sorted(dsts))).encode()).hexdigest()[:12]


def held_problem(
    held: Mapping[Prefix, str], standing: int, earlier: Iterable[Deleted], source: str, advice: str
) -> Problem:
    """Return the problem that HELD of STANDING prefixes are: how many, whose, what SOURCE lacks. ADVICE may name {source}, {count}."""
    nodes = tuple(sorted(set(held.values())))
    already = len(tuple(earlier))
    after = f", {already} more went in the last {WINDOW / 60:.0f} minutes" if already else ""
    message = (
        f"{plural(len(held), 'route')} of {standing} would go at once{after}: {source} lists no podCIDR for "
        f"{listing([printable(name) for name in nodes])}"
    )
    fix = advice.format(source=source, count=len(held), digest=digest(held))
    return Problem("error", "mass-delete", message, nodes, None, fix)


def plural(count: int, word: str) -> str:
    """Return "1 route" or "2 routes"."""
    return f"{count} {word}{'s' * (count != 1)}"
