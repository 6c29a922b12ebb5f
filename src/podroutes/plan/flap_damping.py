"""Healing never fights: a route that the same hand takes again and again is put back less and less often."""

from typing import NamedTuple

from podroutes.model.address import Prefix

PATIENCE = 3  # losses within WINDOW after which healing waits
WINDOW = 10.0  # seconds
LONGEST = 60.0  # seconds between two attempts, at most; twice as long without a loss is peace
_FIRST = 1.0  # seconds


class FlapHistory(NamedTuple):
    """A route that we and somebody else do not agree on."""

    losses: int  # how often it was lost
    last: float  # when it was lost last
    until: float  # when it may be put back
    rival: str  # who took it last, "" where that is not known


class FlapDamping:
    """Remembers who takes which of our routes; times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._contests: dict[Prefix, FlapHistory] = {}

    def deleted(self, dst: Prefix, rival: str, now: float) -> None:
        """Take note that RIVAL took the route to DST."""
        before = self._contests.get(dst)
        if before is None or now - before.last > (WINDOW if before.losses < PATIENCE else 2 * LONGEST):
            self._contests[dst] = FlapHistory(1, now, now, rival)
            return
        losses = before.losses + 1
        wait = min(_FIRST * 2.0 ** (losses - PATIENCE), LONGEST) if losses >= PATIENCE else 0.0
        self._contests[dst] = FlapHistory(losses, now, now + wait, rival or before.rival)

    def until(self, dst: Prefix) -> float:
        """Return when the route to DST may be put back; a time that has passed means at once."""
        contest = self._contests.get(dst)
        return contest.until if contest else 0.0

    def contested(self, now: float) -> dict[Prefix, FlapHistory]:
        """Return the routes that are fought over, and forget those about which there is peace."""
        self._contests = {
            dst: each
            for dst, each in self._contests.items()
            if now - each.last <= (WINDOW if each.losses < PATIENCE else 2 * LONGEST)
        }
        return {dst: each for dst, each in self._contests.items() if each.losses >= PATIENCE}
