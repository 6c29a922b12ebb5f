"""Flap damping: a route that the same program deletes repeatedly is restored at increasing intervals."""

from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.backoff import Backoff

PATIENCE = 3  # losses within WINDOW after which healing waits
WINDOW = 10.0  # seconds
LONGEST = 60.0  # seconds between two attempts at most; after twice as long without a loss the history is dropped
_BACKOFF = Backoff(1.0, LONGEST)


class FlapHistory(NamedTuple):
    """The losses of one route."""

    losses: int  # how often it was lost
    last: float  # the time of the last loss
    until: float  # when it may be restored
    rival: str  # the program that deleted it last, "" if unknown


class FlapDamping:
    """Records which program deletes which of our routes. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._contests: dict[Prefix, FlapHistory] = {}

    def deleted(self, dst: Prefix, rival: str, now: float) -> None:
        """Record that RIVAL deleted the route to DST."""
        before = self._contests.get(dst)
        if before is None or now - before.last > (WINDOW if before.losses < PATIENCE else 2 * LONGEST):
            self._contests[dst] = FlapHistory(1, now, now, rival)
            return
        losses = before.losses + 1
        wait = _BACKOFF.pause(losses - PATIENCE + 1)
        self._contests[dst] = FlapHistory(losses, now, now + wait, rival or before.rival)

    def until(self, dst: Prefix) -> float:
        """Return when the route to DST may be restored; a time in the past means at once."""
        contest = self._contests.get(dst)
        return contest.until if contest else 0.0

    def contested(self, now: float) -> dict[Prefix, FlapHistory]:
        """Return the damped routes, and drop the histories that have expired."""
        self._contests = {
            dst: contest
            for dst, contest in self._contests.items()
            if now - contest.last <= (WINDOW if contest.losses < PATIENCE else 2 * LONGEST)
        }
        return {dst: contest for dst, contest in self._contests.items() if contest.losses >= PATIENCE}
