"""The status of a running agent. Logs, metrics, probes and ``podroutes status`` show this value."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.plan import Kept
from podroutes.model.problem import Problem

# Upper bounds of a histogram in seconds: a node event usually takes milliseconds, a burst seconds.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class SourceStatus(NamedTuple):
    """The status of the source of nodes. Times are seconds since the epoch, 0 for never."""

    name: str  # a path or a server
    connected: bool = False  # it can be read now
    synced: bool = False  # it has published all nodes at least once since the start
    error: str = ""  # why it cannot be read
    nodes: int = 0
    heard: float = 0.0  # when it last sent anything
    listed: float = 0.0  # when it last published all nodes
    changes: int = 0  # events and edits that changed a node
    heartbeats: int = 0  # events that changed no field that is used here
    lists: int = 0  # how often it published all nodes
    retries: int = 0
    bytes: int = 0


class Histogram(NamedTuple):
    """Durations in seconds: the count in each of BUCKETS, and the count above all of them."""

    counts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    total: float = 0.0

    def with_one(self, seconds: float) -> "Histogram":
        """Return this histogram with one more duration."""
        place = sum(seconds > bound for bound in BUCKETS)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(counts, self.total + seconds)


class Routes(NamedTuple):
    """The number of routes of each kind, as of the last reconcile."""

    wanted: int = 0
    installed: int = 0  # ours, in the kernel
    foreign: int = 0  # desired, but another program has a route to the prefix
    failed: int = 0  # changes that the kernel refused
    held: int = 0  # deletions held by the mass-delete guard
    contested: int = 0  # desired, and deleted repeatedly by another program


class DampedRoute(NamedTuple):
    """A route that another program deletes repeatedly."""

    dst: Prefix
    losses: int
    rival: str  # a program, "" if unknown
    until: float  # when it is restored next, seconds since the epoch


class Held(NamedTuple):
    """Deletions held by the mass-delete guard. ``digest`` identifies the set; at ``until`` the first are made unless nodes return (0: never)."""

    since: float
    routes: int
    nodes: tuple[str, ...]  # the nodes that the routes serve
    digest: str
    until: float = 0.0


class Released(NamedTuple):
    """Held deletions that were made: when, how many, of which nodes, and why."""

    at: float
    routes: int
    nodes: tuple[str, ...]
    reason: str  # confirmed, watched or listed


class Status(NamedTuple):
    """The status of the agent. Times are seconds since the epoch, 0 for never; counters begin at the start."""

    version: str
    node: str
    pid: int
    started: float
    source: SourceStatus
    routes: Routes = Routes()
    problems: tuple[Problem, ...] = ()
    failures: Mapping[str, str] = {}
    contested: tuple[DampedRoute, ...] = ()
    hold: Held | None = None
    released: Released | None = None  # the last ones
    last_pass: float = 0.0
    last_duration: float = 0.0  # seconds
    error: str = ""  # why the last reconcile failed as a whole
    state_error: str = ""  # why the state could not be saved
    passes: Mapping[str, int] = {}  # reconciles by reason
    changes: Mapping[str, int] = {}  # changes made, by action
    refused: int = 0  # changes that the kernel refused
    healed: int = 0  # routes restored after another program deleted them
    holds: int = 0
    releases: Mapping[str, int] = {}  # held deletions that were made, by reason
    overflows: int = 0  # lost notifications of the kernel
    listen_error: str = ""  # why there is no HTTP endpoint
    connections_refused: int = 0  # HTTP connections that were closed without a response
    log_lines_dropped: int = 0
    log_error: str = ""  # why the last line of the log could not be written
    kept: tuple[Kept, ...] = ()  # routes that no honoured claim wants
    latency: Histogram = Histogram()  # from a node event to the change of the kernel

    @property
    def ready(self) -> bool:
        """Whether the agent has received the cluster since the start, and has reconciled the kernel with it."""
        return self.not_ready_reason is None

    @property
    def not_ready_reason(self) -> str | None:
        """Why the agent is not ready, in a few words; None if it is."""
        if self.error:
            return self.error
        if not self.source.synced:
            return f"{self.source.name} has not reported its nodes yet" + (
                f": {self.source.error}" if self.source.error else ""
            )
        return None if self.last_pass else "no pass yet"
