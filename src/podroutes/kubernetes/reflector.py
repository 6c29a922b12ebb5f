"""A list that stays true: the protocol of list and watch as a machine without I/O.

Lines, pages, refusals and cuts go in; what to ask next, when, and the nodes come out::

    stream-list --bookmark "initial-events-end"--> watching --cut--> watch from the last resourceVersion
        |  400, 422, or no streaming list                   --410, too new, told to--> list anew, keeping the nodes
        v
    page, page, ... --------------------------> watch from the list's resourceVersion

A list counts when its end was seen and not before; until then the nodes of before remain. One whose resourceVersion is lower than
what was told before, or in which a Node has another uid or none is left, is of a server that was restored or wiped: ``history``.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from collections.abc import Callable
from typing import NamedTuple

from podroutes.kubernetes import decode
from podroutes.kubernetes.table import Table

PAGE = 500  # Nodes a page: 7 MB at 14 KB each; kubectl asks for as many
LIFE = 300  # seconds after which a watch is to end, plus as much again by chance; client-go does the same
_SOUND = 30.0  # seconds that a connection has to live to count as sound again
_FIRST = 0.5  # seconds, doubled with every failure in a row
_LONGEST = 30.0  # seconds; both much as in client-go's reflector
_LARGE = 5000  # Nodes of the largest cluster that Kubernetes is made for: 70 MB a list, for every agent
_LONGEST_SMALL = (
    3.0  # seconds that a small cluster's agents wait for a server that cannot be reached; a large one's _LONGEST
)
_SPREAD_SMALL, _SPREAD_LARGE = 2.0, 60.0  # seconds over which the agents of a small and of a large cluster list anew
_LONGEST_WISH = 300.0  # seconds of a Retry-After that are honoured: it might be a mistake
_MUTE = 85.0  # seconds of a watch without a single line, although a bookmark comes about every 60: nobody is behind it
_MOST = 200_000  # Nodes; Kubernetes is made for 5,000, and whatever tells of more has no end
_STUBBORN = 3  # failures in a row without any progress after which the way of asking is changed


class Request(NamedTuple):
    """What to ask the server for next: query parameters, and whether the answer is a stream of lines or one page."""

    query: dict[str, str]
    stream: bool


class Counts(NamedTuple):
    """What happened since the start."""

    changes: int = 0  # events that changed a node
    heartbeats: int = 0  # events that changed nothing that matters here
    lists: int = 0
    retries: int = 0


class Reflector:
    """The machine. Not thread-safe. CHANCE returns a number in [0, 1), CLOCK seconds; STREAMING is to try a streaming list."""

    def __init__(
        self, source: str, chance: Callable[[], float], clock: Callable[[], float], *, streaming: bool = True
    ) -> None:
        self.counts = Counts()
        self.synced = False  # a list has been seen to its end
        self.resource_version = ""  # how far the nodes of the table have come; "" is to list
        self.history = 0  # how often a list did not continue what was told before
        self.error = ""  # why the last request failed; "" while it goes well
        self.delay = 0.0  # seconds to wait before the next request
        self.table = Table(source)
        self._chance, self._clock = chance, clock
        self._coming: Table | None = None  # what a list has told so far
        self._more = ""  # the token for its next page
        self._newest = ""  # the highest resourceVersion that was told
        self._set_back = False  # the server said that what we know lies in its future
        self._streaming = streaming  # the server can stream lists
        self._paged = True  # else a list is asked for in one piece
        self._began = 0.0
        self._mute = True  # the request of now has not been answered by a line yet
        self._failures = 0  # in a row
        self._fruitless = 0  # requests of one kind in a row that led nowhere

    def request(self) -> Request:
        """Return what to ask now."""
        self._began, self._mute = self._clock(), True
        life = str(int(LIFE * (1 + self._chance())))
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
        """Whether a list has begun and its end was not seen."""
        return self._coming is not None

    def opened(self) -> None:
        """Take in that the server has begun to answer with a stream."""
        self.error = ""

    def page(self, body: bytes) -> bool:
        """Take a page in; return whether the nodes are news."""
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

    def line(self, line: bytes) -> bool | None:
        """Take a line of a stream in; return whether the nodes are news, None where the stream is of no more use."""
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
            table = self.table if self._coming is None else self._coming  # an empty one is false
            news = table.take(event)
            if len(table) > _MOST:
                self._restart()
                self._fail(f"the server tells of more than {_MOST} Nodes")
                return None
            if self._coming is not None:
                return False
            self.history += _lower(event.resource_version, self._newest)
            self.resource_version = self._newest = event.resource_version
            changes, heartbeats, *_ = self.counts
            self.counts = self.counts._replace(changes=changes + news, heartbeats=heartbeats + (not news))
        elif self._coming is None:
            news, self.resource_version = False, event.resource_version
            self._newest = event.resource_version
        elif event.initial:
            news = self._listed(self._coming, event.resource_version)
        else:  # a server that streams lists sends no other bookmark before the end of one
            self._page_instead()
            return None
        self._well()
        return news

    def refused(self, refusal: decode.Refusal) -> None:
        """Take in that the server refused the request, or ended the stream so."""
        status, reason, message, retry_after, too_new = refusal
        what = f"{status} {reason}: {message}" if reason else f"{status} {message}".rstrip()
        if self._coming is not None and self._streaming and status in (400, 422):
            self._page_instead()
            return
        if status == 410 or reason in ("Expired", "Gone"):
            if self._more:  # a list that took too long for the server to remember its beginning
                self._fruitless += 1
                self._paged = self._fruitless < 2
            self._restart()
            # The server is well and only has no past any more, after a restart for instance: every agent hears that at once.
            self.counts = self.counts._replace(retries=self.counts.retries + 1)
            self.error = what
            spread = self._by_size(_SPREAD_SMALL, _SPREAD_LARGE)
            self.delay = min(retry_after, _LONGEST_WISH) + spread * self._chance()
            return
        if too_new:  # the server was set back, to a backup for instance: what we know is no longer its past
            self._set_back = True
            self._restart()
        self._fail(what, min(retry_after, _LONGEST_WISH))

    def cut(self, why: str) -> None:
        """Take in that the connection could not be made, fell silent or ended; "" where the stream ended as it should."""
        if why and self._coming is not None and self._streaming and len(self._coming):
            self._fruitless += 1
            if self._fruitless >= _STUBBORN:  # something in between cannot do long streams
                self._page_instead()
                return
        # A server that was set back tells nothing to who watches from what is now its future, not even an error.
        silent = self._mute and self._clock() - self._began > _MUTE
        if silent or (self._coming is not None and not self._more):
            self._restart()
        self._fail(
            why or ("the list ended before it was complete" if self._coming is not None else ""),
            longest=self._by_size(_LONGEST_SMALL, _LONGEST),
        )

    def relist(self) -> None:
        """Have everything listed again at the next request."""
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
        return True  # even when nothing changed: somebody may wait to hear the same twice

    def _continues(self, coming: Table, resource_version: str) -> bool:
        """Whether the list COMING is of the server that told what we know."""
        return not (self._set_back or _lower(resource_version, self._newest)) and coming.follows(self.table)

    def _page_instead(self) -> None:
        self._streaming = False
        self._fruitless = 0
        self._restart()
        self.delay = 0.0

    def _restart(self) -> None:
        self._coming, self._more, self.resource_version = None, "", ""

    def _stumble(self, why: str) -> None:
        """Go back to the last resourceVersion; when that leads to the same place again and again, list anew."""
        self._fruitless += 1
        if self._fruitless >= _STUBBORN or self._coming is not None:
            self._restart()
        self._fail(why)

    def _well(self) -> None:
        self.error, self._fruitless, self.delay = "", 0, 0.0
        self._failures = min(self._failures, 1)  # not 0: who is cut off after each line has to wait, too

    def _by_size(self, small: float, large: float) -> float:
        """Return a value between SMALL, for up to some ten Nodes, and LARGE, for a large cluster's."""
        return small + (large - small) * min(1.0, len(self.table) / _LARGE)

    def _fail(self, why: str, least: float = 0.0, longest: float = _LONGEST) -> None:
        """Note a failure and how long to wait: nothing after a sound connection, else longer and longer, by chance."""
        self.counts = self.counts._replace(retries=self.counts.retries + bool(why))
        self.error = why
        if self._clock() - self._began > _SOUND and not least:
            self._failures = 0
        wait = min(longest, _FIRST * 2**self._failures) * self._chance() if self._failures else 0.0
        self._failures = min(self._failures + 1, 16)
        self.delay = least + wait


def _lower(version: str, before: str) -> bool:
    """Whether VERSION is older than BEFORE: they are numbers of one count wherever etcd is behind the server."""
    if not (version.isascii() and version.isdecimal() and before.isascii() and before.isdecimal()):
        return False
    old, new = version.lstrip("0"), before.lstrip("0")  # compared as text: whatever a server says, it has no length
    return (len(old), old) < (len(new), new)
