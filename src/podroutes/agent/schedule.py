"""Decides when the next reconcile is due, and why. Pure: times are seconds of the monotonic clock."""

from collections.abc import Callable

from podroutes.model.backoff import Backoff

FIRST_RETRY, LAST_RETRY = 0.2, 30.0  # seconds until a reconcile with failures is retried, doubled each time
_RETRY = Backoff(FIRST_RETRY, LAST_RETRY)
CONFIRM = 0.05  # seconds from a fast-path change to the reconcile that checks it; a burst of events shares one
IDLE_FACTOR = 9  # after reconciles without changes the next one waits up to so many times their duration
_PEOPLE = ("asked", "confirmed")  # reasons for which a person waits
JITTER = 0.1  # fraction of the resync interval, so that the agents of a cluster do not resync together


class Schedule:
    """Collects reasons for a reconcile. RESYNC is the interval of resyncs; RANDOM returns numbers from 0 to 1."""

    def __init__(self, resync: float, random: Callable[[], float]) -> None:
        self._resync = resync
        self._random = random
        self._due: dict[str, float] = {}
        self._failures = 0
        self._idle = 0  # consecutive reconciles without changes
        self._began = 0.0
        self._busy = 0.0  # no reconcile before this time, so that they take at most half of the time,
        self._free = 0.0  # and only urgent ones before this time
        self._urgent: set[str] = set()

    def want(self, reason: str, at: float, *, urgent: bool = False) -> None:
        """Request a reconcile for REASON no later than AT. An URGENT one, for a missing route, does not wait after reconciles without changes."""
        self._due[reason] = min(at, self._due.get(reason, at))
        if urgent:
            self._urgent.add(reason)

    def due(self) -> float | None:
        """Return when the next reconcile is due, None for never."""
        times = (max(at, self._busy if reason in self._urgent else self._free) for reason, at in self._due.items())
        return min(times, default=None)

    def begin(self, now: float) -> str:
        """Clear all reasons, which one reconcile serves; return the one that was due first, a person's before others."""
        first = min(self._due, key=lambda reason: (reason not in _PEOPLE, self._due[reason]), default="")
        self._due, self._urgent = {}, set()
        self._began = now
        return first

    def end(self, now: float, *, ok: bool, idle: bool) -> None:
        """Record the end of a reconcile at NOW. One with failures is retried with exponential backoff.

        IDLE is whether it made no changes: many irrelevant events cause few reconciles.
        """
        self._idle = min(self._idle + 1, IDLE_FACTOR) if idle else 0
        self._busy = now + (now - self._began)
        self._free = now + (now - self._began) * max(1, self._idle)
        self.want("resync", now + self._resync * (1 + JITTER * (2 * self._random() - 1)))
        if ok:
            self._failures = 0
            return
        self._failures += 1
        delay = _RETRY.pause(self._failures)
        self.want("retry", now + delay * (0.5 + 0.5 * self._random()))
