"""Colour for people: ANSI sequences (ECMA-48 SGR) where they are wanted, nothing where they are not."""

from typing import NamedTuple

_CODES = {"green": "32", "yellow": "33", "red": "31", "cyan": "36", "bold": "1", "dim": "2"}


class Style(NamedTuple):
    """How to decorate text for one stream."""

    enabled: bool

    def __call__(self, colour: str, text: str) -> str:
        """Return TEXT in COLOUR, or as it is where colour is off."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.enabled and text else text
