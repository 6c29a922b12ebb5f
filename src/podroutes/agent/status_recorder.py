"""Records events, as a Status value and as log lines."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from podroutes import __version__
from podroutes.agent.healer import Followed
from podroutes.agent.log import Logger
from podroutes.agent.reconciler import Machine, ReconcileResult
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.kernel.watch import KernelEvents
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.plan import Change, Kept, Plan, TakenOver
from podroutes.model.problem import Problem
from podroutes.model.saved_route import SavedRoute
from podroutes.model.status import DampedRoute, Held, Released, Routes, SourceStatus, Status
from podroutes.model.text import escaped, listing
from podroutes.plan.guard import Deleted
from podroutes.plan.held_deletions import HeldDeletions, Release
from podroutes.views import iproute

_SHOWN = 8  # changes that are logged one by one; a first reconcile makes thousands
CALM = 10.0  # seconds between two log lines about a hold that keeps changing
_ENDS = {
    "confirmed": "somebody confirmed it",
    "watched": "the watch reported each deletion, and no node came back for a minute",
    "listed": "two lists, a minute apart, lack the nodes",
}


class Memory(Protocol):
    """Saves state beyond a boot."""

    def keep(self, cluster: Cluster) -> None:
        """Save CLUSTER, which was reconciled completely."""

    def count(self, deleted: Sequence[Deleted]) -> None:
        """Save DELETED, with times in seconds since the epoch."""

    def routes(self, own: str, standing: Sequence[SavedRoute]) -> None:
        """Save the routes STANDING on this machine, node OWN."""


class StatusRecorder:
    """Records the status of one agent. Only the loop's thread writes; ``status`` is replaced as a whole, so any thread may read it.

    MEMORY saves state beyond a boot. TELL is called with the status after each reconcile.
    """

    def __init__(self, log: Logger, machine: Machine, memory: Memory, tell: Callable[[Status], None]) -> None:
        self.status = Status(__version__, "", os.getpid(), time.time(), SourceStatus("the source"))
        self.first_pass = False  # whether the last reconcile was the first one
        self._log = log
        self._machine = machine
        self._memory = memory
        self._tell = tell
        self._synced = False  # the source has published all its nodes,
        self._compared = False  # and these were compared with the kernel; saved nodes do not count
        self._kept: Cluster | None = None
        self._hold = HeldDeletions(0.0, {}, "", None)  # the last logged hold
        self._hold_logged = 0.0
        self._release: Release | None = None

    def summary(self) -> str:
        """Return the state in a few words, for the service manager."""
        routes = self.status.routes
        return self.status.not_ready_reason or f"{routes.installed} of {routes.wanted} routes installed"

    def starting(self, plan: Plan) -> None:
        """Log nothing about PLAN: its result is logged."""

    def starting_again(self, plan: Plan) -> None:
        """Log nothing: the agent reconciles again instead."""

    def displaced(self, taken_over: TakenOver) -> None:
        """Log that a replace displaced the route of another program."""
        self._log("warning", "route displaced", message=iproute.taken_over(taken_over))

    def source(self, source_status: SourceStatus) -> None:
        """Record the status of the source; a change is logged."""
        before = self.status.source
        self._synced = source_status.synced
        self.status = self.status._replace(
            source=source_status._replace(synced=source_status.synced and self._compared)
        )
        if source_status.error and source_status.error != before.error:
            self._log(
                "warning",
                "source lost" if before.connected else "source unavailable",
                source=source_status.name,
                error=source_status.error,
            )
        elif source_status.connected and not before.connected:
            self._log("info", "source connected", source=source_status.name)
        if source_status.lists != before.lists:
            self._log("info", "nodes listed", source=source_status.name, nodes=source_status.nodes)

    def state(self, error: str) -> None:
        """Record whether the state could be saved."""
        if error != self.status.state_error:
            self._log("error" if error else "info", "state not kept" if error else "state kept", error=error)
        self.status = self.status._replace(state_error=error)

    def kernel_events(self, kernel_events: KernelEvents, healed: Sequence[Change]) -> None:
        """Record kernel events, and the routes restored by the fast path."""
        status = self.status
        if kernel_events.overflow:
            self._log("warning", "announcements lost", cause="the kernel sent more than the socket could hold")
        self.status = status._replace(
            healed=status.healed + len(healed), overflows=status.overflows + kernel_events.overflow
        )
        self._changed("healed", healed)

    def nodes_followed(self, followed: Followed, seconds: float) -> None:
        """Record what the fast path did for nodes that changed, SECONDS after the source published them."""
        self.status = self.status._replace(latency=self.status.latency.with_one(seconds))
        self._changed("changed", followed.changes)
        self._count(followed.counted)

    def broken(self, reason: str, error: str) -> None:
        """Record a reconcile that failed as a whole."""
        if error != self.status.error:
            self._log("error", "pass failed", reason=reason, error=error)
        self.status = self.status._replace(error=error, passes=_plus(self.status.passes, reason))

    def passed(
        self, reason: str, reconcile_result: ReconcileResult, view: NodeSnapshot, seconds: float, fresh: float | None
    ) -> None:
        """Record a reconcile that took SECONDS. FRESH is the age of the newest event in it."""
        self._compared |= not view.from_cache
        before, plan = self.status, reconcile_result.plan
        self.first_pass = not before.last_pass
        self._changed("changed", reconcile_result.done)
        for setting in plan.host:
            if setting.name not in reconcile_result.failures:
                what, action = setting.detail or setting.value, setting.action
                self._log("info", "setting changed", kind=setting.kind, name=setting.name, action=action, detail=what)
        self._problems(before.problems, plan.problems)
        for what, why in reconcile_result.failures.items():
            if before.failures.get(what) != why:
                self._log("error", "change failed", dst=what, error=why)
        hold = self._machine.guard.hold
        now, clock = time.time(), time.monotonic()
        contests = self._machine.damping.contested(clock)
        contested = tuple(
            DampedRoute(dst, each.losses, each.rival, now + each.until - clock)
            for dst, each in sorted(contests.items())
        )
        for route in contested:
            if route.dst not in {known.dst for known in before.contested}:
                self._log("warning", "route contested", dst=route.dst, losses=route.losses, rival=route.rival)
        self._keeps(before.kept, plan.kept)
        foreign = sum(problem.code == "foreign-route" for problem in plan.problems)
        self.status = before._replace(
            source=before.source._replace(synced=self._synced and self._compared),
            node=plan.node,
            routes=Routes(
                reconcile_result.wanted,
                reconcile_result.installed,
                foreign,
                len(reconcile_result.failures),
                len(plan.held),
                len(contested),
            ),
            problems=plan.problems,
            failures=dict(reconcile_result.failures),
            contested=contested,
            kept=plan.kept,
            hold=_held(hold, now - clock) if hold else None,
            last_pass=now,
            last_duration=seconds,
            error="",
            passes=_plus(before.passes, reason),
            changes=self.status.changes,
            refused=before.refused + len(reconcile_result.failures),
            holds=self._machine.guard.holds,
            latency=before.latency if fresh is None else before.latency.with_one(fresh),
        )
        self._guarded(hold, now - clock, clock)
        cluster = view.inventory.cluster
        if not view.from_cache and not hold and cluster != self._kept:
            self._kept = cluster
            self._memory.keep(cluster)
        if reconcile_result.standing is not None:
            self._memory.routes(plan.node, reconcile_result.standing)
        self._count(reconcile_result.counted)
        self._tell(self.status)

    def _count(self, deleted: Sequence[Deleted]) -> None:
        """Save the deletions that count for the guard, beyond a restart."""
        if deleted:
            now = time.time()
            self._memory.count([deletion._replace(at=now) for deletion in deleted])

    @property
    def hold_is_told(self) -> bool:
        """Return whether the current hold was logged."""
        hold = self._machine.guard.hold
        return (hold.digest if hold else "") == self._hold.digest

    def _guarded(self, hold: HeldDeletions | None, since: float, clock: float) -> None:
        """Record held deletions and those that were made. SINCE converts the CLOCK of the guard into seconds since the epoch."""
        release = self._machine.guard.release
        if release and release is not self._release:
            self._release = release
            made = Released(since + release.at, len(release.nodes), _names(release.nodes), release.reason)
            releases = dict(self.status.releases)
            releases[made.reason] = releases.get(made.reason, 0) + made.routes
            self.status = self.status._replace(released=made, releases=releases)
            why = _ENDS[made.reason]
            self._log(
                "warning", "mass deletion", routes=made.routes, nodes=_listed(made.nodes), reason=made.reason, why=why
            )
        if hold is None:
            if self._hold.digest:
                self._log("info", "hold ended", digest=self._hold.digest)
            self._hold = HeldDeletions(0.0, {}, "", None)
        elif not self.hold_is_told and (not self._hold.digest or clock - self._hold_logged >= CALM):
            self._hold, self._hold_logged = hold, clock
            self._log(
                "warning",
                "deletion held",
                routes=len(hold.nodes),
                installed=self.status.routes.installed,
                nodes=_listed(_names(hold.nodes)),
                digest=hold.digest,
                until=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since + hold.until)) if hold.until else None,
                fix=f"bring the nodes back, or let the routes go: podroutes confirm {hold.digest}",
            )

    def _keeps(self, before: Sequence[Kept], now: Sequence[Kept]) -> None:
        """Log the routes that are newly kept in NOW."""
        for each in [problem for problem in now if problem not in before][:_SHOWN]:
            route = f"{each.route.dst} {iproute.where(each.route)}".rstrip()
            self._log("warning", "route kept", route=route, node=each.node, why=each.reason)

    def _changed(self, event: str, changes: Sequence[Change]) -> None:
        """Count changes and log them; of many only the first ones."""
        if not changes:
            return
        counts = dict(self.status.changes)
        for change in changes:
            counts[change.action] = counts.get(change.action, 0) + 1
        self.status = self.status._replace(changes=counts)
        for change in changes[:_SHOWN]:
            route = f"{change.route.dst} {iproute.where(change.route)}".rstrip()
            was = iproute.where(change.was) if change.was else None
            self._log("info", f"route {event}", action=change.action, route=route, node=change.node, was=was)
        if len(changes) > _SHOWN:
            self._log("info", f"routes {event}", more=len(changes) - _SHOWN)

    def _problems(self, before: Sequence[Problem], now: Sequence[Problem]) -> None:
        if before == now:
            return
        known, left = set(map(_identity, before)), set(map(_identity, now))
        appeared = [item for item in now if _identity(item) not in known and item.code not in _TOLD_ELSEWHERE]
        for problem in appeared[:_SHOWN]:
            self._log(problem.severity, problem.code, message=problem.message, fix=problem.advice)
        if len(appeared) > _SHOWN:
            self._log("warning", "problems", more=len(appeared) - _SHOWN)
        solved = [former for former in before if _identity(former) not in left and former.code not in _TOLD_ELSEWHERE]
        for problem in solved[:_SHOWN]:
            self._log("info", "solved", code=problem.code, message=problem.message)


_TOLD_ELSEWHERE = {"mass-delete"}


def _identity(problem: Problem) -> Problem:
    """Return PROBLEM without texts that name nodes and so change with each new node."""
    return problem._replace(message="") if problem.code == "not-a-node" else problem


def _held(hold: HeldDeletions, since: float) -> Held:
    until = since + hold.until if hold.until is not None else 0.0
    return Held(since + hold.since, len(hold.nodes), _names(hold.nodes), hold.digest, until)


def _names(nodes: Mapping[Prefix, str]) -> tuple[str, ...]:
    return tuple(sorted(set(nodes.values())))


def _listed(names: Sequence[str]) -> str:
    return escaped(listing(names, _SHOWN))


def _plus(counts: Mapping[str, int], key: str) -> dict[str, int]:
    """Return COUNTS with KEY incremented."""
    return {**counts, key: counts.get(key, 0) + 1}
