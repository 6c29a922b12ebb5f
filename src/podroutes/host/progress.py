"""A bar on standard error while something takes long, for a person who waits; nothing where that is no terminal."""

import os
import sys
import time
from collections.abc import Callable
from typing import Self

from podroutes.host import terminal
from podroutes.views.progress import bar
from podroutes.views.style import Style

PATIENCE = 1.0  # seconds without a bar: what is done by then needs none
_PAUSE = 0.1  # seconds between two bars; a terminal over SSH is slow
_CLEAR = "\r\x1b[K"  # ECMA-48: erase to the end of the line


def is_watched() -> bool:
    """Return whether standard error is a terminal that can take a line back."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Progress:
    """How far a step is that WHOLE parts go through; shown in the block of a ``with``, from AFTER seconds on."""

    def __init__(
        self, verb: str, total: int, *, after: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._verb, self._whole, self._clock = verb, total, clock
        self._done = 0
        self._next = clock() + after
        self._pause = _PAUSE if after else 0.0
        self._shown = False
        self._terminal = bool(total) and is_watched()

    def __enter__(self) -> Self:
        """Begin."""
        self._show("")
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self.clear()

    def step(self, last: str = "") -> None:
        """Take note of one part that is through, by name."""
        self._done += 1
        self._show(last)

    def clear(self) -> None:
        """Take the bar away, for another line."""
        if self._shown:
            self._shown = False
            _write(_CLEAR)

    def _show(self, last: str) -> None:
        now = self._clock() if self._terminal else 0.0
        if not self._terminal or now < self._next:
            return
        self._next = now + self._pause
        self.clear()
        shown = bar(self._done, self._whole, self._verb, last)[: terminal.columns(sys.stderr) - 1]
        _write(Style(terminal.takes_colour(sys.stderr))("cyan", shown))
        self._shown = True


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
