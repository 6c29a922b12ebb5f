"""What happened so far, as one Status value and as log lines: whatever is told is told in both."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

from podroutes import __version__
from podroutes.agent.log import Log
from podroutes.agent.machine import Machine, Pass
from podroutes.agent.view import View
from podroutes.kernel.watch import Heard
from podroutes.model.cluster import Cluster
from podroutes.model.plan import Change
from podroutes.model.problem import Problem
from podroutes.model.status import Contested, Routes, SourceStatus, Status
from podroutes.views import iproute

_SHOWN = 8  # changes that are logged one by one; a first run makes thousands


class Record:
    """The account of one agent. Written by the loop's thread alone; ``status`` is replaced whole, so any thread may read it.

    KEEP is given each cluster that was acted on in full, to be remembered beyond a boot, TELL the status after each whole pass.
    """

    def __init__(
        self, log: Log, machine: Machine, keep: Callable[[Cluster], None], tell: Callable[[Status], None]
    ) -> None:
        self.status = Status(__version__, "", os.getpid(), time.time(), SourceStatus("the source"))
        self.first_pass = False  # whether the last pass was the first one
        self._log = log
        self._machine = machine
        self._keep = keep
        self._tell = tell
        self._kept: Cluster | None = None

    def summary(self) -> str:
        """Return the state in a few words, for whoever supervises us."""
        routes = self.status.routes
        return self.status.ready or f"{routes.installed} of {routes.wanted} routes installed"

    def source(self, told: SourceStatus) -> None:
        """Take note of how the source is doing; a change for better or worse is an event."""
        before = self.status.source
        self.status = self.status._replace(source=told)
        if told.error and told.error != before.error:
            self._log(
                "warning",
                "source lost" if before.connected else "source unavailable",
                source=told.name,
                error=told.error,
            )
        elif told.connected and not before.connected:
            self._log("info", "source connected", source=told.name)
        if told.lists != before.lists:
            self._log("info", "nodes listed", source=told.name, nodes=told.nodes)

    def state(self, error: str) -> None:
        """Take note of whether the last good state could be kept."""
        if error != self.status.state_error:
            self._log("error" if error else "info", "state not kept" if error else "state kept", error=error)
        self.status = self.status._replace(state_error=error)

    def heard(self, heard: Heard, healed: Sequence[Change]) -> None:
        """Take note of what others did, and of what was put back at once."""
        status = self.status
        if heard.overflow:
            self._log("warning", "announcements lost", cause="the kernel made more than fit into the socket")
        self.status = status._replace(healed=status.healed + len(healed), overflows=status.overflows + heard.overflow)
        self._changed("healed", healed)

    def welcomed(self, added: Sequence[Change], seconds: float) -> None:
        """Take note of routes to new nodes that were added at once, SECONDS after the source told of them."""
        self.status = self.status._replace(latency=self.status.latency.with_one(seconds))
        self._changed("changed", added)

    def broken(self, reason: str, error: str) -> None:
        """Take note of a pass that failed as a whole."""
        if error != self.status.error:
            self._log("error", "pass failed", reason=reason, error=error)
        self.status = self.status._replace(error=error, passes=_plus(self.status.passes, reason))

    def passed(self, reason: str, found: Pass, view: View, seconds: float, fresh: float | None) -> None:
        """Take note of a whole pass that took SECONDS; FRESH is how long ago the source told what is new in it."""
        before, plan = self.status, found.plan
        self.first_pass = not before.last_pass
        self._changed("changed", found.done)
        self._problems(before.problems, plan.problems)
        for what, why in found.failures.items():
            if before.failures.get(what) != why:
                self._log("error", "change failed", dst=what, error=why)
        hold = self._machine.guard.hold
        if hold and not before.hold_since:
            fix = "the source is asked again in a minute; --allow-mass-delete lets them go"
            self._log("warning", "deletion held", routes=len(found.held), installed=found.installed, fix=fix)
        now, clock = time.time(), time.monotonic()
        contests = self._machine.rivalry.contested(clock)
        contested = tuple(
            Contested(dst, each.losses, each.rival, now + each.until - clock) for dst, each in sorted(contests.items())
        )
        for each in contested:
            if each.dst not in {known.dst for known in before.contested}:
                self._log("warning", "route contested", dst=each.dst, losses=each.losses, rival=each.rival)
        foreign = sum(problem.code == "foreign-route" for problem in plan.problems)
        self.status = before._replace(
            node=plan.node,
            routes=Routes(found.wanted, found.installed, foreign, len(found.failures), len(found.held), len(contested)),
            problems=plan.problems,
            failures=dict(found.failures),
            contested=contested,
            hold_since=now + hold.since - clock if hold else 0.0,
            last_pass=now,
            last_duration=seconds,
            error="",
            passes=_plus(before.passes, reason),
            changes=self.status.changes,
            refused=before.refused + len(found.failures),
            holds=self._machine.guard.holds,
            latency=before.latency if fresh is None else before.latency.with_one(fresh),
        )
        cluster = view.inventory.cluster
        if not view.provisional and not found.held and cluster != self._kept:
            self._kept = cluster
            self._keep(cluster)
        self._tell(self.status)

    def _changed(self, event: str, changes: Sequence[Change]) -> None:
        """Count changes and log them, of very many the first ones."""
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
        known, left = set(before), set(now)
        appeared = [each for each in now if each not in known]
        for problem in appeared[:_SHOWN]:
            self._log(problem.severity, problem.code, message=problem.message, fix=problem.advice)
        if len(appeared) > _SHOWN:
            self._log("warning", "problems", more=len(appeared) - _SHOWN)
        solved = [each for each in before if each not in left]
        for problem in solved[:_SHOWN]:
            self._log("info", "solved", code=problem.code, message=problem.message)


def _plus(counts: Mapping[str, int], key: str) -> dict[str, int]:
    """Return COUNTS with one more of KEY."""
    return {**counts, key: counts.get(key, 0) + 1}
