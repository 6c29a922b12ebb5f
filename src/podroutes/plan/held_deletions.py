"""The mass-delete guard of the agent: which deletions are held, and what ends it. Times are seconds of a monotonic clock.

A held deletion ends when its node returns or a person confirms it. An API server can end it, too:

- an unbroken watch reported the deletion of the node, and no held node returned within a minute;
- two lists, a minute apart, lack the node and contain podCIDRs. Both must belong to one history of the server: a server that was
  restored or wiped does not know the present nodes.

A file does not confirm itself: reading the same bytes again adds no evidence. An inventory in which nobody has a podCIDR is not let
pass by an allowance given beforehand either.

While anything is held an API server is asked for its list again, ever less often: one false answer must not hold for good what
the next would correct.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.plan.guard import Deleted, Verdict, claims_anything, digest, held_problem, recent, too_many
from podroutes.plan.vanishing import Leaving, vanishing

AGAIN = 60.0  # seconds without a return, or between two lists: longer than a restart of an API server and its etcd
_QUESTIONS = (60.0, 180.0, 420.0)  # seconds after the begin of a hold at which a list is requested, then every _SELDOM
_SELDOM = 600.0  # seconds; a list of 5,000 Nodes is 70 MB, and all agents hold at the same time
ADVICE = "bring the nodes back into {source}, or let the routes go: podroutes confirm {digest}"
Reason = Literal["confirmed", "watched", "listed"]


class Evidence(NamedTuple):
    """What a source published, and how: ``listed`` is when it last published a complete list.

    ``history`` changes when the source does not continue its earlier history; None if the source does not report this.
    """

    cluster: Cluster
    listed: float
    history: int | None = None


class HeldDeletions(NamedTuple):
    """Deletions held ``since`` a time: prefixes, each with the node that it served. ``digest`` identifies the set.

    ``until`` is when the first of them are made without confirmation if nothing changes; None: never.
    """

    since: float
    nodes: Mapping[Prefix, str]
    digest: str
    until: float | None


class Release(NamedTuple):
    """Held deletions that were made: when, which, and why."""

    at: float
    nodes: Mapping[Prefix, str]
    reason: Reason


class _Absence(NamedTuple):
    """Since when no listed node claims a prefix, and the evidence."""

    since: float
    watched: bool  # by an unbroken watch, else by a list
    sound: bool  # no sign that the source lost its history


class MassDeleteGuard:
    """The guard of one agent. ALLOWED prefixes may be deleted within ten minutes whatever the share; EARLIER are previous deletions."""

    def __init__(self, *, allowed: int = 0, earlier: tuple[Deleted, ...] = ()) -> None:
        self.hold: HeldDeletions | None = None
        self.holds = 0  # the number of holds
        self.release: Release | None = None  # the last one
        self.earlier = earlier
        self._allowed = allowed
        self._absent: dict[Prefix, _Absence] = {}
        self._confirmed: frozenset[Prefix] = frozenset()
        self._back: set[Prefix] = set()  # deleted or held prefixes that are claimed again
        self._returned = 0.0  # the time of the last such return
        self._before: Evidence | None = None

    def judge(self, leaving: Leaving, evidence: Evidence, former: Mapping[Prefix, str], now: float) -> Verdict:
        """Decide about the prefixes that a plan leaves without a route. FORMER has the node that each prefix served."""
        held = self.hold.nodes if self.hold else {}
        gone = vanishing(leaving, evidence.cluster, {**former, **held})
        self._observe(gone, evidence, now)
        ripe = {dst: reason for dst in gone if (reason := self._ripe(dst, evidence, now))}
        rest = {dst: node for dst, node in gone.items() if dst not in ripe}
        self._confirmed &= gone.keys()
        self.earlier = recent(self.earlier, leaving.standing, now)
        standing = len(leaving.standing) - len(ripe)
        if ripe:
            reason = ripe[min(ripe)]
            self.release = Release(now, {dst: gone[dst] for dst in ripe}, reason)
        if not self._beyond(
            rest, standing, evidence.cluster
        ):  # held deletions stay held: a third of them must not pass now
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
        """Return whether GONE of STANDING prefixes are more than may be deleted without confirmation."""
        nobody = not claims_anything(cluster)  # an allowance is a number, and no opinion about an empty list
        if not gone or (len(gone) + len(self.earlier) <= self._allowed and not nobody):
            return False
        return too_many(gone, standing, self.earlier, nobody=nobody)

    def note(self, evidence: Evidence) -> None:
        """Record that the source published the same nodes again, without a reconcile."""
        self._before = evidence

    def confirm(self, name: str) -> HeldDeletions:
        """Allow the held deletions at the next decision. NAME is their digest, "" for any. Raises ValueError with a reason."""
        hold = self.hold
        if hold is None:
            raise ValueError("nothing is held")
        if name and name != hold.digest:
            raise ValueError(f"what is held is {hold.digest}, and not {name}: look again (`podroutes status`)")
        self._confirmed = frozenset(hold.nodes)
        return hold

    def wake(self, now: float) -> float | None:
        """Return when to decide about the held deletions again; None: at the next event."""
        times = [self._start(absence) + AGAIN for absence in self._held()]
        return min((at for at in (*times, *self._questions(now)) if at > now), default=None)

    def asks(self, now: float) -> float | None:
        """Return the time since which another list is needed; None if none is."""
        listed = self._before.listed if self._before else 0.0
        ends = [self._start(each) + AGAIN for each in self._held() if not each.watched]
        second = min((end for end in ends if end <= now), default=listed)
        return max((at for at in (second, *self._questions(now)) if listed < at <= now), default=None)

    def _questions(self, now: float) -> tuple[float, ...]:
        """Return the last time up to NOW at which an API server is asked for its list because of the hold, and the next one."""
        if not self.hold or not self._before or self._before.history is None:
            return ()
        past = now - self.hold.since
        last = _QUESTIONS[-1]
        seldom = last + max(0.0, (past - last) // _SELDOM) * _SELDOM
        times = (*_QUESTIONS, seldom, seldom + _SELDOM)
        asked = max((each for each in times if each <= past), default=0.0)
        return self.hold.since + asked, self.hold.since + min(each for each in times if each > past)

    def _held(self) -> list[_Absence]:
        """Return the absences of the held prefixes that time can end."""
        return [each for dst in (self.hold.nodes if self.hold else ()) if (each := self._absent[dst]).sound]

    def _observe(self, gone: Mapping[Prefix, str], evidence: Evidence, now: float) -> None:
        """Record the absent prefixes with the evidence, and the prefixes that returned."""
        before, self._before = self._before, evidence
        for dst in self._absent.keys() - gone.keys():
            del self._absent[dst]
        if self.hold:
            claimed = {dst for node in evidence.cluster.nodes for dst in node.pod_cidrs}
            back = claimed & {*self.hold.nodes, *(deletion.dst for deletion in self.earlier)}
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
        """Return why the deletion of DST is allowed beyond the share, None if it is not."""
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
        """Return when the first of HELD are made without confirmation."""
        some = claims_anything(evidence.cluster)
        absences = [self._absent[dst] for dst in held]
        return min(
            (self._start(absence) + AGAIN for absence in absences if absence.sound and (absence.watched or some)),
            default=None,
        )
