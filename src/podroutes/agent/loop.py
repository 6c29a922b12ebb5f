"""The agent's loop: handles events of the kernel and the source, uses the fast path, and reconciles when due.

One thread owns the kernel and makes all decisions; the source, the disk and HTTP have threads that only pass values. Each reconcile
computes the complete desired state and applies the difference, so that a missed event costs time but not correctness.
"""

import gc
import random
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from podroutes.agent.healer import Followed
from podroutes.agent.reconciler import Machine
from podroutes.agent.schedule import CONFIRM, Schedule
from podroutes.agent.sd_notify import ServiceManager
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.source import Source
from podroutes.agent.status_recorder import CALM, StatusRecorder
from podroutes.errors import AgentError, LockedError, PodroutesError
from podroutes.host.machine_lock import locked
from podroutes.kernel.filter_watch import FilterWatch
from podroutes.kernel.watch import KernelWatch, program_of
from podroutes.model.plan import Change
from podroutes.model.status import SourceStatus
from podroutes.plan.held_deletions import HeldDeletions

_LOCKED = 5.0  # seconds that a reconcile waits for another podroutes that changes this machine, before it is retried
_STUCK = 60.0  # seconds without an iteration after which the loop counts as dead
_PATIENCE = 8.0  # maximum seconds that a confirmation waits for the loop
_ROUND = 5.0  # maximum seconds that an iteration waits for events

_Result = TypeVar("_Result")
AtOnce = Callable[[Callable[[], tuple[Change, ...]]], tuple[Change, ...]]  # runs a fast-path function


class Kept(NamedTuple):
    """The result of saving the state: ``error`` is why it failed, "" if it did not."""

    error: str


class Confirm(NamedTuple):
    """A confirmation of the held deletions with ``digest`` ("": any). ``answer`` receives the hold or an error."""

    digest: str
    answer: "SimpleQueue[HeldDeletions | ValueError]"


class Parts(NamedTuple):
    """The parts that the loop uses."""

    machine: Machine
    watch: KernelWatch
    record: StatusRecorder
    filters: FilterWatch | None = None  # of the masquerade table; None: it is read at each reconcile


class Loop:
    """One agent. ``publish``, ``report``, ``kept``, ``confirm``, ``stop`` and ``fail`` may be called from any thread, everything else only from the thread that runs it."""

    def __init__(self, parts: Parts, resync: float) -> None:
        self._machine, self._watch, self._record, self._filters = parts
        self._machine.hears_filters = self._filters is not None
        self._schedule = Schedule(resync, random.random)
        self._inbox: SimpleQueue[NodeSnapshot | SourceStatus | Kept | Confirm] = SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._view: NodeSnapshot | None = None
        self._fresh: float | None = None  # when the source published the nodes that are not reconciled yet
        self._asked = 0.0  # the end of the minute for which a second list was requested
        self._passing = False
        self._stopping = False
        self._again = False
        self._failure: BaseException | None = None
        self._round = time.monotonic()

    def publish(self, view: NodeSnapshot) -> None:
        """Receive a snapshot from the source."""
        self._inbox.put(view)
        self._ring()

    def report(self, status: SourceStatus) -> None:
        """Receive the status of the source."""
        self._inbox.put(status)
        self._ring()

    def kept(self, error: str) -> None:
        """Receive why the state could not be saved, "" if it was."""
        self._inbox.put(Kept(error))
        self._ring()

    def confirm(self, digest: str) -> dict[str, Any]:
        """Allow the held deletions with DIGEST ("": any); return them. Raises ValueError with a reason."""
        order = Confirm(digest, SimpleQueue())
        self._inbox.put(order)
        self._ring()
        try:
            answer = order.answer.get(timeout=_PATIENCE)
        except Empty:
            raise ValueError("the agent is busy: try it again") from None
        if isinstance(answer, ValueError):
            raise answer
        return {"digest": answer.digest, "routes": len(answer.nodes), "nodes": sorted(set(answer.nodes.values()))}

    def stop(self) -> None:
        """End ``run``. The routes stay."""
        self._stopping = True
        self._ring()

    def fail(self, error: BaseException) -> None:
        """Make ``run`` end with ERROR: an agent without a source must be restarted."""
        self._failure = error
        self.stop()

    def stuck_reason(self) -> str | None:
        """Return why the loop counts as dead, None if it does not. May be called from any thread."""
        idle = time.monotonic() - self._round
        return f"the loop has not gone round for {idle:.0f} s" if idle > _STUCK else None

    def run(self, source: Source) -> None:
        """Run until ``stop`` or a signal. SIGHUP makes the source publish again."""
        supervisor = ServiceManager()
        before = self._signals()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._watch, selectors.EVENT_READ)
                selector.register(self._ear, selectors.EVENT_READ)
                if self._filters:
                    selector.register(self._filters, selectors.EVENT_READ)
                self._go_round(selector, source, supervisor)
        finally:
            supervisor.tell("STOPPING=1")
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
        if self._failure:
            raise AgentError(f"the source failed: {type(self._failure).__name__}: {self._failure}") from self._failure

    def _go_round(self, selector: selectors.BaseSelector, source: Source, supervisor: ServiceManager) -> None:
        supervisor.tell("READY=1")  # not only when in sync: the API server may depend on units that wait for us
        notified_at = 0.0
        while not self._stopping:
            now = time.monotonic()
            self._round = now
            if supervisor.interval and now - notified_at >= supervisor.interval:
                supervisor.tell("WATCHDOG=1", f"STATUS={self._record.summary()}")
                notified_at = now
            selector.select(self._patience(now, supervisor))
            with suppress(BlockingIOError):
                while self._ear.recv(4096):
                    pass
            self._receive_events(lambda do: self._with_lock(do, ()))
            if self._filters and self._filters.changed() and self._machine.filters_changed():
                self._schedule.want("kernel", time.monotonic(), urgent=True)
            self._receive()
            if self._again:
                self._again = False
                source.again()
                self._schedule.want("asked", time.monotonic())
            due = self._schedule.due()
            if due is not None and due <= time.monotonic() and self._view:
                self._reconcile(self._view, source)

    def _patience(self, now: float, supervisor: ServiceManager) -> float:
        """Return the seconds until the next scheduled work."""
        due = self._schedule.due() if self._view else None
        waits = [_ROUND, *([supervisor.interval] if supervisor.interval else [])]
        return max(0.0, min([*waits, *([due - now] if due is not None else [])]))

    def meanwhile(self) -> None:
        """Restore routes that are deleted while a reconcile reads the kernel, which takes long with very many foreign routes."""
        if self._passing:
            self._receive_events(lambda do: do())  # the lock is held

    def _receive_events(self, at_once: AtOnce) -> None:
        """Handle notifications of the kernel; deleted routes are restored AT_ONCE in simple cases."""
        events = self._watch.read(self._machine.devices)
        if not (events.changed or events.links_or_addresses or events.overflow) or not self._machine.concerns(events):
            return
        now = time.monotonic()
        healed = at_once(lambda: self._machine.heal(events, now, program_of))
        self._record.kernel_events(events, healed)
        all_healed = len(healed) == len(events.deleted) and not (
            events.added or events.links_or_addresses or events.overflow
        )
        urgent = self._machine.misses(events, healed, now)
        self._schedule.want("kernel", now + CONFIRM if all_healed else now, urgent=urgent)

    def _receive(self) -> None:
        """Handle snapshots of the source; of several the last one counts."""
        newest = None
        with suppress(Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, NodeSnapshot):
                    newest = message
                elif isinstance(message, Confirm):
                    message.answer.put(self._confirmed(message.digest))
                elif isinstance(message, Kept):
                    self._record.state(message.error)
                else:
                    self._record.source(message)
        if newest is None:
            return
        same = self._view is not None and newest.inventory == self._view.inventory and not self._view.from_cache
        self._view = newest
        now = time.monotonic()
        if same:
            if self._machine.guard.hold:
                self._schedule.want("listed", now)
            else:
                self._machine.guard.note(newest.evidence)
            return
        self._fresh = newest.at if self._fresh is None else self._fresh
        followed = self._with_lock(lambda: self._machine.follow(newest, now), Followed())
        if any(followed):
            self._record.nodes_followed(followed, time.monotonic() - self._fresh)
            self._fresh = None
        self._schedule.want("nodes", now + CONFIRM if followed.changes else now)

    @staticmethod
    def _with_lock(do: Callable[[], _Result], otherwise: _Result) -> _Result:
        """Return the result of DO, or OTHERWISE while another podroutes changes this machine: the following reconcile waits for it."""
        with suppress(LockedError), locked("agent", 0):
            return do()
        return otherwise

    def _confirmed(self, digest: str) -> HeldDeletions | ValueError:
        """Allow the held deletions if DIGEST matches, and request a reconcile."""
        try:
            hold = self._machine.guard.confirm(digest)
        except ValueError as error:
            return error
        self._schedule.want("confirmed", time.monotonic())
        return hold

    def _reconcile(self, view: NodeSnapshot, source: Source) -> None:
        """Reconcile, and schedule what follows."""
        began = time.monotonic()
        reason = self._schedule.begin(began)
        try:
            with locked("agent", _LOCKED):
                self._passing = True
                result = self._machine.reconcile(view, began, self._record)
        except PodroutesError as error:
            self._record.broken(reason, str(error))
            self._schedule.end(time.monotonic(), ok=False, idle=False)
            return
        finally:
            self._passing = False
        now = time.monotonic()
        self._schedule.end(now, ok=not result.failures, idle=not result.done)
        if result.postponed is not None:
            self._schedule.want("contested", result.postponed)
        self._hold(now, source)
        fresh = now - self._fresh if self._fresh is not None and not view.from_cache else None
        self._fresh = None
        self._record.passed(reason, result, view, now - began, fresh)
        if self._record.first_pass:
            gc.collect()
            gc.freeze()  # the nodes are long-lived: exclude them from garbage collection

    def _hold(self, now: float, source: Source) -> None:
        """Schedule the next decision about held deletions, and request a second list from the source when it counts."""
        guard = self._machine.guard
        wake = guard.wake(now)
        if wake is not None:
            self._schedule.want("hold", wake)
        end = guard.asks(now)
        if end is not None and end != self._asked:
            self._asked = end
            source.again()
        if not self._record.hold_is_told:
            self._schedule.want("hold", now + CALM)

    def _ring(self) -> None:
        with suppress(OSError):  # full: a wake-up is pending; closed: the loop has ended
            self._bell.send(b"\0")

    def _signals(self) -> dict[int, Any]:
        """Make SIGTERM and SIGINT end the loop, and SIGHUP publish again; return the former handlers."""
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

        def end(_number: int, _frame: object) -> None:
            self._stopping = True

        def again(_number: int, _frame: object) -> None:
            self._again = True

        wanted = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: again}
        return {number: signal.signal(number, handler) for number, handler in wanted.items()}
