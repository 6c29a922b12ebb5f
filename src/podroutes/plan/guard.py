"""The mass-delete guard of ``apply``, ``push``, the agent and the files of ``--persist``.

The prefixes of one node may always be deleted. Beyond that, at most a third of the prefixes may be deleted within ten minutes;
other deletions are held: shown, and not made. The deletions of the last ten minutes are saved, so that repeated runs do not
delete a third each.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.problem import Problem
from podroutes.model.text import counted, listing, printable
from podroutes.plan.vanishing import Leaving, vanishing

WINDOW = (
    600.0  # seconds; longer than the replacement of one node takes, short enough for a person to remember the command
)
SHARE = 3  # at most one in so many of the prefixes may be deleted
EVERYTHING = 1 << 62  # an allowance without a limit


class Deleted(NamedTuple):
    """A deleted prefix, the node that it served, and the time in seconds of the caller's clock."""

    dst: Prefix
    node: str
    at: float


class Verdict(NamedTuple):
    """The guard's decision about a plan: prefixes, each with the node that it served."""

    held: Mapping[Prefix, str] = {}  # deletions that are held
    passed: Mapping[Prefix, str] = {}  # deletions that are allowed and counted from now on
    problem: Problem | None = None  # if deletions are held: how many, of which nodes, and what to do


HeldDeletions = Callable[[Leaving], Verdict]


def no_guard(_: Leaving) -> Verdict:
    """Allow all deletions without counting them."""
    return Verdict()


class Run(NamedTuple):
    """The guard of one run of a command. ``at`` is the current time, ``allowed`` the number of prefixes that a person allows to delete."""

    cluster: Cluster
    former: Mapping[Prefix, str]  # the node that each prefix served before
    earlier: tuple[Deleted, ...]
    at: float
    allowed: int = 0
    agreed: frozenset[Prefix] = frozenset()  # deletions that a person has seen and confirmed
    advice: str = "correct {source}, or let them go: podroutes apply --allow-mass-delete={count}"

    def __call__(self, leaving: Leaving) -> Verdict:
        """Decide about the prefixes that a plan leaves without a route."""
        gone = {
            dst: node for dst, node in vanishing(leaving, self.cluster, self.former).items() if dst not in self.agreed
        }
        if not gone or len(gone) <= self.allowed:
            return Verdict()
        earlier = recent(self.earlier, leaving.standing, self.at)
        if not too_many(gone, len(leaving.standing), earlier, nobody=not claims_anything(self.cluster)):
            return Verdict(passed=gone)
        return Verdict(gone, {}, held_problem(gone, len(leaving.standing), earlier, self.cluster.source, self.advice))


def recent(earlier: Iterable[Deleted], standing: AbstractSet[tuple[int, int, int]], now: float) -> tuple[Deleted, ...]:
    """Return the deletions in EARLIER that count at NOW: of the last ten minutes, and whose prefixes are not STANDING again.

    A time in the future comes from another clock, and counts.
    """
    return tuple(deletion for deletion in earlier if now - deletion.at < WINDOW and deletion.dst not in standing)


def too_many(gone: Mapping[Prefix, str], standing: int, earlier: Iterable[Deleted], *, nobody: bool) -> bool:
    """Return whether GONE of STANDING prefixes are too many to delete, after EARLIER deletions. NOBODY: no node claims any prefix."""
    before = {deletion.dst: deletion.node for deletion in earlier}
    if nobody:
        return True
    if len({*gone.values(), *before.values()}) < 2:
        return False
    return (len(gone) + len(before)) * SHARE > standing + len(before)


def claims_anything(cluster: Cluster) -> bool:
    """Return whether any node of CLUSTER has a podCIDR."""
    return any(node.pod_cidrs for node in cluster.nodes)


def digest(dsts: Iterable[Prefix]) -> str:
    """Return an identifier of a set of prefixes, by which exactly this set is confirmed."""
    import hashlib  # noqa: PLC0415, few runs hold anything

    return hashlib.sha256("\n".join(map(str, sorted(dsts))).encode()).hexdigest()[:12]


def held_problem(
    held: Mapping[Prefix, str], standing: int, earlier: Iterable[Deleted], source: str, advice: str
) -> Problem:
    """Return the problem that HELD of STANDING prefixes are held: their number and nodes, and what SOURCE lacks. ADVICE may contain {source} and {count}."""
    nodes = tuple(sorted(set(held.values())))
    already = len(tuple(earlier))
    after = f", {already} more went in the last {WINDOW / 60:.0f} minutes" if already else ""
    message = (
        f"{counted(len(held), 'route')} of {standing} would go at once{after}: {source} lists no podCIDR for "
        f"{listing([printable(name) for name in nodes])}"
    )
    fix = advice.format(source=source, count=len(held), digest=digest(held))
    return Problem("error", "mass-delete", message, nodes, None, fix)
