"""The mass-delete guard of the agent: what is held, on whose word, and what ends it. Times are seconds of a monotonic clock, given.

A held deletion ends when its node returns or a person confirms it. What an API server says can end it, too:

- a watch that went on reported the deletion of the node: a minute in which no held node returns is enough;
- a list lacks the node: another list, a minute later, has to lack it, too, and to claim something at all. Both have to be of one
  history of the server: one that was restored or wiped tells what it has, and knows nothing of what there is.

A file says nothing twice: to read the same bytes again is no second opinion.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.plan.guard import Deleted, Verdict, claims_anything, digest, held_problem, recent, too_many
from podroutes.plan.vanishing import Leaving, vanishing

AGAIN = (
    60.0  # seconds without a return, or between two lists: longer than an API server and its etcd take to come up again
)
ADVICE = "bring the nodes back into {source}, or let the routes go: podroutes confirm {digest}"
Reason = Literal["confirmed", "watched", "listed"]


class Evidence(NamedTuple):
    """What a source says and how it came to say so: ``listed`` is when it told all its nodes last.

    ``history`` changes when the source turns out not to continue what it told before; None is a source that cannot tell.
    """

    cluster: Cluster
    listed: float
    history: int | None = None


class HeldDeletions(NamedTuple):
    """Deletions that wait ``since`` a time: prefixes, each with the node that it served; ``digest`` names the set.

    ``until`` is when the first of them go by themselves, if nothing changes; None: never.
    """

    since: float
    nodes: Mapping[Prefix, str]
    digest: str
    until: float | None


class Release(NamedTuple):
    """Deletions that were too many and went all the same: when, which, and why."""

    at: float
    nodes: Mapping[Prefix, str]
    reason: Reason


class _Absence(NamedTuple):
    """Since when no listed node claims a prefix, and how that was learned."""

    since: float
    watched: bool  # by a watch that went on, else by a list
    sound: bool  # nothing says that the source lost its memory


class MassDeleteGuard:
    """The guard of one agent. ALLOWED prefixes may go within ten minutes whatever the share; EARLIER are those that went before."""

    def __init__(self, *, allowed: int = 0, earlier: tuple[Deleted, ...] = ()) -> None:
        self.hold: HeldDeletions | None = None
        self.holds = 0  # how often a hold began
        self.release: Release | None = None  # the last one
        self.earlier = earlier
        self._allowed = allowed
        self._absent: dict[Prefix, _Absence] = {}
        self._confirmed: frozenset[Prefix] = frozenset()
        self._back: set[Prefix] = set()  # what went or was held, and is claimed again
        self._returned = 0.0  # when something was so last
        self._before: Evidence | None = None

    def judge(self, found: Leaving, evidence: Evidence, former: Mapping[Prefix, str], now: float) -> Verdict:
        """Judge what a plan leaves without a route. FORMER tells the node that each prefix served before."""
        held = self.hold.nodes if self.hold else {}
        gone = vanishing(found, evidence.cluster, {**former, **held})
        self._observe(gone, evidence, now)
        ripe = {dst: reason for dst in gone if (reason := self._ripe(dst, evidence, now))}
        rest = {dst: node for dst, node in gone.items() if dst not in ripe}
        self._confirmed &= gone.keys()
        self.earlier = recent(self.earlier, found.standing, now)
        standing = len(found.standing) - len(ripe)
        if ripe:
            reason = ripe[min(ripe)]
            self.release = Release(now, {dst: gone[dst] for dst in ripe}, reason)
        if not self._beyond(
            rest, standing, evidence.cluster
        ):  # what is held already stays so: a third of it may not slip out
            rest = {dst: node for dst, node in rest.items() if dst in held}
        passed = {dst: node for dst, node in gone.items() if dst not in ripe and dst not in rest}
        self.earlier += tuple(Deleted(dst, node, now) for dst, node in passed.items())
        if not rest:
            self.hold = None
            return Verdict(passed=passed)
        self.holds += self.hold is None
        since = self.hold.since if self.hold else now
        self.hold = HeldDeletions(since, rest, digest(rest), self._until(rest, evidence))
        return Verdict(rest, passed, held_problem(rest, standing, self.earlier, evidence.cluster.source, ADVICE))

    def _beyond(self, gone: Mapping[Prefix, str], standing: int, cluster: Cluster) -> bool:
        """Whether GONE of STANDING prefixes are more than may go unasked."""
        if not gone or len(gone) + len(self.earlier) <= self._allowed:
            return False
        return too_many(gone, standing, self.earlier, nobody=not claims_anything(cluster))

    def note(self, evidence: Evidence) -> None:
        """Take note that the source said the same once more, and nothing was compared with it."""
        self._before = evidence

    def confirm(self, name: str) -> HeldDeletions:
        """Let the held deletions go at the next judgement. NAME is their digest, "" whatever it is; ValueError says why not."""
        hold = self.hold
        if hold is None:
            raise ValueError("nothing is held")
        if name and name != hold.digest:
            raise ValueError(f"what is held is {hold.digest}, and not {name}: look at it anew (`podroutes status`)")
        self._confirmed = frozenset(hold.nodes)
        return hold

    def wake(self, now: float) -> float | None:
        """Return when the held deletions are to be looked at again; None: when something happens."""
        times = [at for absence in self._held() if (at := self._start(absence) + AGAIN) > now]
        return min(times, default=None)

    def asks(self, now: float) -> float | None:
        """Return for which minute, by its end, a second list is missing; None: it is not, or would not help."""
        ends = [self._start(each) + AGAIN for each in self._held() if not each.watched]
        return min((end for end in ends if end <= now), default=None)

    def _held(self) -> list[_Absence]:
        """Return how the held prefixes went, as far as time can end it."""
        return [each for dst in (self.hold.nodes if self.hold else ()) if (each := self._absent[dst]).sound]

    def _observe(self, gone: Mapping[Prefix, str], evidence: Evidence, now: float) -> None:
        """Take note of what is absent now and how that was learned, and of what is back."""
        before, self._before = self._before, evidence
        for dst in self._absent.keys() - gone.keys():
            del self._absent[dst]
        if self.hold:
            claimed = {dst for node in evidence.cluster.nodes for dst in node.pod_cidrs}
            back = claimed & {*self.hold.nodes, *(each.dst for each in self.earlier)}
            if back - self._back:
                self._returned = now
            self._back = back
        one = before is not None and before.history == evidence.history is not None
        if not one:
            self._absent = {dst: absence._replace(sound=False) for dst, absence in self._absent.items()}
        new = gone.keys() - self._absent.keys()
        if new:
            watched = before is not None and one and before.listed == evidence.listed
            claimed = {dst for node in before.cluster.nodes for dst in node.pod_cidrs} if before and watched else set()
            for dst in new:
                self._absent[dst] = _Absence(now, dst in claimed, one)

    def _start(self, absence: _Absence) -> float:
        return max(absence.since, self._returned)

    def _ripe(self, dst: Prefix, evidence: Evidence, now: float) -> Reason | None:
        """Return why the deletion of DST needs no share any more, None where it does."""
        absence = self._absent[dst]
        end = self._start(absence) + AGAIN
        if dst in self._confirmed:
            return "confirmed"
        if not absence.sound:
            return None
        if absence.watched:
            return "watched" if now >= end else None
        return "listed" if evidence.listed >= end and claims_anything(evidence.cluster) else None

    def _until(self, held: Mapping[Prefix, str], evidence: Evidence) -> float | None:
        """Return when the first of HELD go by themselves."""
        some = claims_anything(evidence.cluster)
        absences = [self._absent[dst] for dst in held]
        return min(
            (self._start(each) + AGAIN for each in absences if each.sound and (each.watched or some)), default=None
        )
