"""When the next whole pass is due, and why. Pure: times are seconds of the monotonic clock, and given."""

from collections.abc import Callable

from podroutes.model.backoff import Backoff

FIRST_RETRY, LAST_RETRY = 0.2, 30.0  # seconds after a pass that could not do everything, doubled each time
_RETRY = Backoff(FIRST_RETRY, LAST_RETRY)
CONFIRM = 0.05  # seconds after which a whole pass looks at what was done at once; a burst of events shares it
IDLE_FACTOR = 9  # passes that find nothing to do make the next one wait up to so many times as long as they took: pods come and go
_PEOPLE = ("asked", "confirmed")  # reasons that somebody waits for
JITTER = 0.1  # of the interval of resyncs, so that a cluster's agents do not look all at once


class Schedule:
    """Collects reasons for a whole pass. RESYNC is the interval of the slow timer; RANDOM yields numbers from 0 to 1."""

    def __init__(self, resync: float, random: Callable[[], float]) -> None:
        self._resync = resync
        self._random = random
        self._due: dict[str, float] = {}
        self._failures = 0
        self._idle = 0  # passes in a row that had nothing to do
        self._began = 0.0
        self._busy = 0.0  # before this no pass, so that they never take more than half of the time,
        self._free = 0.0  # and before this none that is not urgent
        self._urgent: set[str] = set()

    def want(self, reason: str, at: float, *, urgent: bool = False) -> None:
        """Have a pass for REASON no later than AT; an URGENT one, as a route is missing, does not wait because others found nothing to do."""
        self._due[reason] = min(at, self._due.get(reason, at))
        if urgent:
            self._urgent.add(reason)

    def due(self) -> float | None:
        """Return when the next pass is due, None for never."""
        times = (max(at, self._busy if reason in self._urgent else self._free) for reason, at in self._due.items())
        return min(times, default=None)

    def begin(self, now: float) -> str:
        """Take all reasons, as a whole pass serves every one; return the one that was due first, a person's before all others."""
        first = min(self._due, key=lambda reason: (reason not in _PEOPLE, self._due[reason]), default="")
        self._due, self._urgent = {}, set()
        self._began = now
        return first

    def end(self, now: float, *, ok: bool, idle: bool) -> None:
        """Take note that a pass ended NOW; one that could not do everything is tried again, later each time.

        IDLE is whether it had nothing to do: of a flood of events that are none of our business few passes come.
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
