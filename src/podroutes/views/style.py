"""Colour for people: ANSI sequences (ECMA-48 SGR) where they are wanted, nothing where they are not."""

from typing import NamedTuple

# Colours of the 256 (xterm, screen, Linux) that are as legible on white as on black: the first sixteen are what a theme makes of
# them, and yellow, green and cyan are too light for white in most.
_CODES = {
    "green": "38;5;28",
    "yellow": "38;5;130",
    "red": "38;5;160",
    "cyan": "38;5;30",
    "bold": "1",
    "dim": "38;5;243",
}


class Style(NamedTuple):
    """How to decorate text for one stream."""

    enabled: bool

    def __call__(self, colour: str, text: str) -> str:
        """Return TEXT in COLOUR, or as it is where colour is off."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.enabled and text else text
