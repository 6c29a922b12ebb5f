"""Exponential backoff: the pauses between attempts that fail."""

from typing import NamedTuple

_MOST = 64  # doublings that a float takes without overflow, with room


class Backoff(NamedTuple):
    """Pauses in seconds: ``first``, then twice as long each time, up to ``longest``."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """Return the pause after FAILURES in a row, counted from 1; none after 0."""
        return min(self.first * 2.0 ** min(failures - 1, _MOST), self.longest) if failures > 0 else 0.0
