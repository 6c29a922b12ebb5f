"""How a running agent is doing: one value that logs, metrics, probes and ``podroutes status`` all are views of."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.plan import Kept
from podroutes.model.problem import Problem

# Seconds, the upper bounds of a histogram: a healthy node event takes milliseconds, a storm seconds.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class SourceStatus(NamedTuple):
    """How the source of nodes is doing. Times are seconds since the epoch, 0 for never."""

    name: str  # a path or a server
    connected: bool = False  # it can be read right now
    synced: bool = False  # since this start it has told all its nodes at least once
    error: str = ""  # why it cannot be read
    nodes: int = 0
    heard: float = 0.0  # when it said anything last
    listed: float = 0.0  # when it last told all its nodes
    changes: int = 0  # events and edits that changed a node
    heartbeats: int = 0  # events that changed nothing that matters here
    lists: int = 0  # how often it told all its nodes
    retries: int = 0
    bytes: int = 0


class Histogram(NamedTuple):
    """Durations in seconds: how many fell below each of BUCKETS and not below the one before, and beyond them all."""

    counts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    total: float = 0.0

    def with_one(self, seconds: float) -> "Histogram":
        """Return this histogram with one duration more."""
        place = sum(seconds > bound for bound in BUCKETS)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(counts, self.total + seconds)


class Routes(NamedTuple):
    """How many routes there are of each kind, as of the last whole pass."""

    wanted: int = 0
    installed: int = 0  # ours, in the kernel
    foreign: int = 0  # wanted, but somebody else holds the prefix
    failed: int = 0  # changes that the kernel refused
    held: int = 0  # deletions that are too many to be made
    contested: int = 0  # wanted, and taken away by somebody else again and again


class DampedRoute(NamedTuple):
    """A route that somebody else takes away again and again."""

    dst: Prefix
    losses: int
    rival: str  # a program, "" where that cannot be told
    until: float  # seconds since the epoch: when it is put back next


class Held(NamedTuple):
    """Deletions that are too many to be made: ``digest`` names the set, by ``until`` the first go unless nodes return (0: never)."""

    since: float
    routes: int
    nodes: tuple[str, ...]  # whose routes they are
    digest: str
    until: float = 0.0


class Released(NamedTuple):
    """Deletions that were too many and were made all the same: when, how many, whose, and why."""

    at: float
    routes: int
    nodes: tuple[str, ...]
    reason: str  # confirmed, watched or listed


class Status(NamedTuple):
    """Everything that is told to the outside. Times are seconds since the epoch, 0 for never; counters begin at the start."""

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
    error: str = ""  # why the last pass as a whole failed
    state_error: str = ""  # why the last good state could not be kept
    passes: Mapping[str, int] = {}  # whole passes by reason
    changes: Mapping[str, int] = {}  # changes carried out by action
    refused: int = 0  # changes that the kernel refused
    healed: int = 0  # routes put back that others took
    holds: int = 0
    releases: Mapping[str, int] = {}  # routes that went although they were held, by reason
    overflows: int = 0  # announcements of the kernel that were lost
    listen_error: str = ""  # why there is no HTTP endpoint
    connections_refused: int = 0  # HTTP connections that were closed without an answer
    log_lines_dropped: int = 0
    log_error: str = ""  # why the last line of the log could not be written
    kept: tuple[Kept, ...] = ()  # routes that stay only because they are in place
    latency: Histogram = Histogram()  # from a node event to the routes in the kernel

    @property
    def ready(self) -> str:
        """Why the agent is not ready, "" when it is: the cluster was heard since the start and the kernel agrees with it."""
        if self.error:
            return self.error
        if not self.source.synced:
            return f"{self.source.name} has not told its nodes yet" + (
                f": {self.source.error}" if self.source.error else ""
            )
        return "" if self.last_pass else "no pass yet"
