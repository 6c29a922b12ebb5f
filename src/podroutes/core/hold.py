"""Holds back a deletion of very many routes until the source has said the same again: an overloaded API is not "no nodes"."""

from typing import NamedTuple

from podroutes.model.address import Prefix

FEW = 3  # so many may always go: in a small cluster every node is a third of it
SHARE = 3  # more than one in so many of our routes is too many to believe at once
AGAIN = 60.0  # seconds after which the source is asked again


class Hold(NamedTuple):
    """Deletions that wait: since when (seconds, any monotonic clock), and of which destinations."""

    since: float
    dsts: frozenset[Prefix]


def too_many(deletes: int, installed: int) -> bool:
    """Whether to delete that many of INSTALLED routes at once needs a second opinion."""
    return deletes > FEW and deletes * SHARE > installed


class Guard:
    """Decides for one machine which deletions may go now. With TRUSTING it lets all go."""

    def __init__(self, *, trusting: bool = False) -> None:
        self.hold: Hold | None = None
        self.holds = 0  # how often something was held
        self._trusting = trusting

    def allow(
        self, deletes: frozenset[Prefix], installed: int, *, empty: bool, listed: float, now: float
    ) -> frozenset[Prefix]:
        """Return which of DELETES, out of INSTALLED routes, may go now.

        EMPTY is whether the source knows no other node at all, which is never believed. LISTED is when it last told all its
        nodes: what it wanted gone before the hold and still does in a list a minute later, goes.
        """
        if self._trusting or not deletes or not (empty or too_many(len(deletes), installed)):
            self.hold = None
            return deletes
        if self.hold is None:
            self._begin(deletes, now)
        elif not empty and listed >= self.hold.since + AGAIN:
            confirmed = deletes & self.hold.dsts
            self.hold = None
            if deletes - confirmed:
                self._begin(deletes - confirmed, now)
            return confirmed
        else:
            self.hold = self.hold._replace(dsts=self.hold.dsts & deletes)  # what was wanted again meanwhile begins anew
        return frozenset()

    def _begin(self, dsts: frozenset[Prefix], now: float) -> None:
        self.hold = Hold(now, dsts)
        self.holds += 1
