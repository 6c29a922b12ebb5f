"""The list-and-watch protocol of a reflector, as a state machine without I/O.

Input: lines, pages, errors and broken connections. Output: the next request, when to send it, and the nodes::

    stream-list --bookmark "initial-events-end"--> watching --cut--> watch from the last resourceVersion
        |  400, 422, or no streaming list                   --410, too new, relist()--> list again, keeping the nodes
        v
    page, page, ... --------------------------> watch from the list's resourceVersion

A list is used once it is complete; until then the previous nodes remain. If its resourceVersion is lower than one received
before, or a Node has another uid, or no Node is left, the server was restored or wiped: ``history`` counts this. After a lost
connection the server is asked first whether it knows the resourceVersion (``history_check``).
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from collections.abc import Callable
from typing import NamedTuple

from podroutes.kubernetes import decode
from podroutes.kubernetes.history_check import HistoryCheck, lower
from podroutes.kubernetes.table import Table
from podroutes.model.backoff import Backoff

PAGE = 500  # Nodes of a page: 7 MB at 14 KB each; kubectl's page size
LIFE = 300  # timeoutSeconds of a watch, plus up to as much at random, as in client-go
_SOUND = 30.0  # seconds after which a connection counts as healthy
_FIRST = 0.5  # seconds, doubled with each consecutive failure
_LONGEST = 30.0  # seconds; both similar to client-go's reflector
_LARGE = 5000  # Nodes of the largest supported cluster: 70 MB a list, for every agent
_LONGEST_SMALL = 2.0  # longest pause in seconds of a small cluster's agents; _LONGEST in a large one
_SPREAD_SMALL, _SPREAD_LARGE = (
    2.0,
    60.0,
)  # seconds over which the agents of a small and of a large cluster spread their lists
_LONGEST_WISH = 300.0  # longest Retry-After in seconds that is honoured
_MUTE = 85.0  # seconds without a line after which a watch is dead; a bookmark comes about every 60
_MOST = 200_000  # Nodes; Kubernetes supports 5,000; a longer list is taken for endless
_STUBBORN = 3  # consecutive failures without progress after which the kind of request changes


class Request(NamedTuple):
    """The next request: its query parameters, and whether the response is a stream of lines or a page."""

    query: dict[str, str]
    stream: bool


class Counts(NamedTuple):
    """Counters since the start."""

    changes: int = 0  # events that changed a node
    heartbeats: int = 0  # events that changed no field that is used here
    lists: int = 0
    retries: int = 0


class Reflector:
    """The state machine. Not thread-safe. CHANCE returns a number in [0, 1), CLOCK seconds; STREAMING enables streaming lists."""

    def __init__(
        self, source: str, chance: Callable[[], float], clock: Callable[[], float], *, streaming: bool = True
    ) -> None:
        self.counts = Counts()
        self.synced = False  # a list was completed
        self.resource_version = ""  # the resourceVersion of the table; "" means list
        self.history = 0  # how often a list did not continue the previous history
        self.error = ""  # why the last request failed; "" if it did not
        self.delay = 0.0  # seconds until the next request
        self.table = Table(source)
        self._chance, self._clock = chance, clock
        self._coming: Table | None = None  # the Nodes of an incomplete list
        self._more = ""  # its continue token
        self._newest = ""  # the highest resourceVersion received
        self._set_back = False  # the server says that our resourceVersion is newer than its own
        self._check = HistoryCheck()
        self._streaming = streaming  # the server supports streaming lists
        self._paged = True  # otherwise the list is requested unpaged
        self._began = 0.0
        self._mute = True  # the current request has had no line yet
        self._failures = 0  # consecutive
        self._paused = 0.0  # seconds after the last of them, at random
        self._fruitless = 0  # consecutive requests of one kind without progress

    def request(self) -> Request:
        """Return the next request."""
        self._began, self._mute = self._clock(), True
        life = str(int(LIFE * (1 + self._chance())))
        if self.resource_version and self._check.due:
            return Request(dict(self._check.query(self.resource_version)), stream=False)
        if self.resource_version:
            query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self.resource_version}
            return Request(query | {"timeoutSeconds": life}, stream=True)
        if self._coming is None or not self._more:
            self._coming = self.table.empty()
        if self._streaming:
            query = {"watch": "true", "allowWatchBookmarks": "true", "sendInitialEvents": "true"}
            return Request(query | {"resourceVersionMatch": "NotOlderThan", "timeoutSeconds": life}, stream=True)
        query = {"limit": str(PAGE)} if self._paged else {}
        return Request(query | ({"continue": self._more} if self._more else {}), stream=False)

    @property
    def listing(self) -> bool:
        """Whether a list is incomplete."""
        return self._coming is not None

    def opened(self) -> None:
        """Handle the start of a streamed response."""
        self.error = ""

    def page(self, body: bytes) -> bool:
        """Handle a page; return whether the nodes changed."""
        if self.resource_version and self._check.due:
            return self._checked(body)
        coming = self._coming
        if coming is None:
            raise RuntimeError("a page that nobody asked for")
        try:
            page = decode.page(body)
        except ValueError as error:
            self._restart()
            self._fail(str(error))
            return False
        before = len(coming)
        for uid, node in page.nodes:
            coming.put(uid, node)
        if page.more and (len(coming) == before or len(coming) > _MOST):
            self._restart()
            self._fail(f"the list does not end: a page without a new Node after {before} Nodes, and it is to go on")
            return False
        self.error, self.delay, self._more = "", 0.0, page.more
        return False if page.more else self._listed(coming, page.resource_version)

    def _checked(self, body: bytes) -> bool:
        """Handle the answer of a server that was asked whether it knows our resourceVersion."""
        try:
            newest = decode.page(body).resource_version
        except ValueError as error:
            self._fail(str(error))
            return False
        ours = self.resource_version
        if self._check.answered(newest, ours) == "unknown":
            self._was_set_back(f"its newest resourceVersion is {newest[:20]}, and {ours[:20]} was received before")
        else:
            self.error, self.delay = "", self._check.delay
        return False

    def _was_set_back(self, why: str) -> None:
        """List anew, as after an expiry: all agents notice this at the same time."""
        self._set_back = True
        self._restart()
        self.counts = self.counts._replace(retries=self.counts.retries + 1)
        self.error = f"the server was set back to an earlier state: {why}"
        self.delay = self._spread()

    def line(self, line: bytes) -> bool | None:
        """Handle a line of a stream; return whether the nodes changed, None if the stream must be closed."""
        try:
            event = decode.event(line)
        except ValueError as error:
            self._stumble(str(error))
            return None
        self._mute = False
        if isinstance(event, decode.Refusal):
            self.refused(event)
            return None
        if isinstance(event, decode.Change):
            table = self.table if self._coming is None else self._coming  # an empty table is falsy
            news = table.take(event)
            if len(table) > _MOST:
                self._restart()
                self._fail(f"the server tells of more than {_MOST} Nodes")
                return None
            if self._coming is not None:
                return False
            self.history += lower(event.resource_version, self._newest)
            self.resource_version = self._newest = event.resource_version
            changes, heartbeats, *_ = self.counts
            self.counts = self.counts._replace(changes=changes + news, heartbeats=heartbeats + (not news))
        elif self._coming is None:
            news, self.resource_version = False, event.resource_version
            self._newest = event.resource_version
        elif event.initial:
            news = self._listed(self._coming, event.resource_version)
        else:  # a server that supports streaming lists sends only this bookmark during one
            self._page_instead()
            return None
        self._well()
        return news

    def refused(self, refusal: decode.Refusal) -> None:
        """Handle an error response, or an error event of a stream."""
        status, reason, message, retry_after, too_new = refusal
        what = f"{status} {reason}: {message}" if reason else f"{status} {message}".rstrip()
        if self._coming is not None and self._streaming and status in (400, 422):
            self._page_instead()
            return
        if self.resource_version and self._check.due and self._check_refused(status, what, too_new=too_new):
            return
        if status == 410 or reason in ("Expired", "Gone"):
            if self._more:  # the continue token expired
                self._fruitless += 1
                self._paged = self._fruitless < 2
            self._restart()
            # The server is healthy but has lost its history, for example after a restart: all agents get this at once.
            self.counts = self.counts._replace(retries=self.counts.retries + 1)
            self.error = what
            self.delay = min(retry_after, _LONGEST_WISH) + self._spread()
            return
        self._check.lost()
        if too_new:  # the server was restored from a backup: our resourceVersion is not in its history
            self._set_back = True
            self._restart()
        self._fail(what, min(retry_after, _LONGEST_WISH))

    def _check_refused(self, status: int, what: str, *, too_new: bool) -> bool:
        """Handle an error response to the check; return whether that is all."""
        verdict = self._check.refused(status, too_new=too_new)
        if verdict == "unknown":
            self._was_set_back(what)
        elif verdict:
            self.error, self.delay = "", self._check.delay
        return verdict is not None

    def cut(self, why: str) -> None:
        """Handle a connection that failed, timed out or ended; WHY is "" if the stream ended normally."""
        if why and self._coming is not None and self._streaming and len(self._coming):
            self._fruitless += 1
            if self._fruitless >= _STUBBORN:  # a proxy in between cuts long streams
                self._page_instead()
                return
        if why or self._clock() - self._began < LIFE:  # otherwise the watch ended when it was to
            self._check.lost()
        # A restored server sends nothing on a watch from a newer resourceVersion, not even an error.
        silent = self._mute and self._clock() - self._began > _MUTE
        why = why or ("the list ended before it was complete" if self._coming is not None else "")
        if silent or (self._coming is not None and not self._more):
            self._restart()
        self._fail(why, longest=self._by_size(_LONGEST_SMALL, _LONGEST))

    def relist(self) -> None:
        """List everything again with the next request."""
        self._restart()
        self.delay, self._failures = 0.0, 0

    def _listed(self, coming: Table, resource_version: str) -> bool:
        coming.complete()
        if self.synced and not self._continues(coming, resource_version):
            self.history += 1
        self._set_back = False
        self.table, self._coming, self._more = coming, None, ""
        self.resource_version, self.synced, self._paged = resource_version, True, True
        self._newest = resource_version
        self.counts = self.counts._replace(lists=self.counts.lists + 1)
        self._well()
        return True  # even if nothing changed: the mass-delete guard waits for a second equal list

    def _continues(self, coming: Table, resource_version: str) -> bool:
        """Return whether the list COMING continues the known history."""
        return not (self._set_back or lower(resource_version, self._newest)) and coming.follows(self.table)

    def _page_instead(self) -> None:
        self._streaming = False
        self._fruitless = 0
        self._restart()
        self.delay = 0.0

    def _restart(self) -> None:
        self._coming, self._more, self.resource_version = None, "", ""
        self._check.clear()

    def _stumble(self, why: str) -> None:
        """Watch again from the last resourceVersion; after repeated failures, list again."""
        self._fruitless += 1
        if self._fruitless >= _STUBBORN or self._coming is not None:
            self._restart()
        self._fail(why)

    def _well(self) -> None:
        self.error, self._fruitless, self.delay = "", 0, 0.0
        self._check.clear()
        self._paused = 0.0
        self._failures = min(self._failures, 1)  # not 0: a connection that breaks after each line needs a pause, too

    def _spread(self) -> float:
        """Return the pause before a list that all agents of the cluster make; what they waited for the server has spread them already."""
        return max(0.0, self._by_size(_SPREAD_SMALL, _SPREAD_LARGE) * self._chance() - self._paused)

    def _by_size(self, small: float, large: float) -> float:
        """Interpolate between SMALL, for a cluster of about ten Nodes, and LARGE, for the largest."""
        return small + (large - small) * min(1.0, len(self.table) / _LARGE)

    def _fail(self, why: str, least: float = 0.0, longest: float = _LONGEST) -> None:
        """Record a failure and set the pause: none after a healthy connection, otherwise exponential backoff with jitter."""
        self.counts = self.counts._replace(retries=self.counts.retries + bool(why))
        self.error = why
        if self._clock() - self._began > _SOUND and not least:
            self._failures = 0
        wait = Backoff(2 * _FIRST, longest).pause(self._failures) * self._chance()
        self._failures += 1
        self._paused, self.delay = wait, least + wait
