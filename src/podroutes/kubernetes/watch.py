"""Publishes the nodes of a cluster whenever they change: runs the reflector with a server, a clock and a thread."""

import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from podroutes.errors import KubernetesError
from podroutes.inventory import Inventory
from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import LIST, NODES, PAGE, SILENCE, Client, RefusedError, Request, Stream
from podroutes.kubernetes.lines import lines
from podroutes.kubernetes.reflector import Counts, Reflector
from podroutes.model.text import escaped

_COMPLETE = 600.0  # seconds for a streaming list; 5,000 Nodes take one, over a slow line a minute
_NEWS = 5.0  # seconds between two reports of counters alone: heartbeats come many times a second


class WatchState(NamedTuple):
    """The state of a watch. Times are seconds of the monotonic clock, 0 for never."""

    server: str
    connected: bool = False  # the last request was answered, and the connection has not broken
    synced: bool = False  # a complete list was published
    error: str = ""  # why the last request failed
    nodes: int = 0
    resource_version: str = ""
    counts: Counts = Counts()
    bytes: int = 0
    last_event: float = 0.0  # when the server last sent anything, for example a bookmark
    last_list: float = 0.0  # when a list was last completed
    history: int = 0  # how often the server did not continue its history


class NodeWatch:
    """Publishes all nodes of a cluster, in the thread that calls ``run``.

    PUBLISH is called after each change and after each complete list, even if it changed nothing; never with an incomplete list.
        REPORT is called with the state before that. Events that arrive together are published together. ``again`` and ``stop``
        may be called from any thread. CHANCE returns numbers in [0, 1), CLOCK monotonic seconds.
    """

    def __init__(
        self,
        access: Access,
        publish: Callable[[Inventory], None],
        report: Callable[[WatchState], None],
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._report = report
        self._clock = clock
        self._client = Client(access)
        self._reflector = Reflector(access.name, chance, clock)
        self.state = WatchState(access.name)  # replaced whole, so that any thread may read it
        self._told = self.state
        self._told_at = 0.0
        self._stream: Stream | None = None
        self._lock = (
            threading.Lock()
        )  # protects the three fields below and the stream, which another thread may interrupt
        self._wake = threading.Event()
        self._stopped = False
        self._anew = False
        self._asked = 0.0  # since when an answer is waited for, 0 while none is

    def run(self) -> None:
        """Watch until ``stop``. Errors of the server are reported and retried; nothing is raised."""
        while not self._stopped:
            if self._wait(self._reflector.delay):
                self._reflector.relist()
                continue
            self._asked = self._clock()
            try:
                self._ask()
            except RefusedError as error:
                self._reflector.refused(error.refusal)
                if self._reflector.error:  # otherwise the server may lack a feature that was requested
                    self._say(connected=False, error=str(error))
            except KubernetesError as error:
                if self._wake.is_set():  # interrupted by this process
                    continue
                self._reflector.cut(str(error))
                self._say(connected=False, error=str(error))
            finally:
                self._asked = 0.0
        self._client.close()

    def waiting(self) -> float:
        """Return for how many seconds an answer has been waited for, 0 while none is; from any thread."""
        asked = self._asked
        return self._clock() - asked if asked else 0.0

    def again(self) -> None:
        """List and publish all nodes again."""
        self._nudge(stop=False)

    def stop(self) -> None:
        """End ``run``, even while it reads."""
        self._nudge(stop=True)

    def _nudge(self, *, stop: bool) -> None:
        with self._lock:
            self._stopped |= stop
            self._anew |= not stop
            self._wake.set()
            if self._stream:
                self._stream.interrupt()

    def _wait(self, seconds: float) -> bool:
        """Wait SECONDS, or until ``again`` or ``stop`` is called; return whether to list again."""
        self._wake.wait(seconds) if seconds > 0 else None
        with self._lock:
            self._wake.clear()
            anew, self._anew = self._anew, False
        return anew

    def _ask(self) -> None:
        query, streaming = self._reflector.request()
        request = Request(NODES, query, most=PAGE if "limit" in query else LIST)
        if not streaming:
            body = self._client.ask(request)
            news = self._reflector.page(body)
            self._heard(len(body), news=news)
            return
        with self._client.stream(request) as stream:
            try:
                with self._lock:
                    self._stream = stream
                    if self._wake.is_set():  # requested before there was a stream to interrupt
                        return
                self._asked = 0.0
                self._reflector.opened()
                self._say(connected=True, error="")
                self._read(stream)
            finally:
                with self._lock:
                    self._stream = None

    def _read(self, stream: Stream) -> None:
        """Handle the lines of STREAM until it ends or must be closed."""
        before = 0
        take = self._reflector.line
        began = last_data = self._clock()
        try:
            for batch in lines(stream.blocks()):
                now = self._clock()
                if batch:
                    last_data = now
                self._progress(now - last_data, now - began)
                verdicts = []
                for line in batch:
                    verdicts.append(take(line))
                    if verdicts[-1] is None:
                        break
                self._heard(stream.bytes - before, news=any(verdicts))
                before = stream.bytes
                if verdicts and verdicts[-1] is None:
                    return
            self._reflector.cut("")
        except ValueError as error:
            self._reflector.cut(str(error))
        self._heard(0, news=False)

    def _progress(self, silence: float, took: float) -> None:
        """Raise ValueError if bytes arrive without progress: SILENCE seconds without a line, TOOK seconds since the request."""
        if silence > SILENCE:
            raise ValueError(f"no complete line for {silence:.0f} s")
        if self._reflector.listing and took > _COMPLETE:
            raise ValueError(f"the list is not complete after {took:.0f} s")

    def _heard(self, size: int, *, news: bool) -> None:
        """Publish changes and report the state."""
        reflector, now = self._reflector, self._clock()
        listed = reflector.counts.lists != self.state.counts.lists
        self.state = self.state._replace(
            connected=not reflector.error,
            synced=reflector.synced,
            error=f"{self.state.server}: {escaped(reflector.error)}" if reflector.error else "",
            nodes=len(reflector.table),
            resource_version=reflector.resource_version,
            history=reflector.history,
            counts=reflector.counts,
            bytes=self.state.bytes + size,
            last_event=now if size else self.state.last_event,
            last_list=now if listed else self.state.last_list,
        )
        self._tell(now, due=news or listed)
        if news:
            self._publish(reflector.table.inventory())

    def _say(self, *, connected: bool, error: str) -> None:
        """Report the result of a request."""
        self.state = self.state._replace(connected=connected, error=error, counts=self._reflector.counts)
        self._tell(self._clock(), due=False)

    def _tell(self, now: float, *, due: bool) -> None:
        reported, state = self._told, self.state
        if (
            due
            or (state.connected, state.error) != (reported.connected, reported.error)
            or now - self._told_at >= _NEWS
        ):
            self._told, self._told_at = state, now
            self._report(state)
