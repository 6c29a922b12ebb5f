"""Makes text from outside safe for a terminal and for one line."""

from collections.abc import Sequence

LONGEST = 80  # characters of a value that are shown


def printable(text: str) -> str:
    """Return TEXT in double quotes, with control characters and terminal escapes escaped, and cut if it is very long."""
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """Return TEXT with all characters escaped that could move a cursor or break a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def listing(items: Sequence[str], most: int = 5) -> str:
    """Return "a", "a and b" or "a, b, c, … (12 in all)": the first MOST of ITEMS."""
    if len(items) > most:
        return f"{', '.join(items[:most])}, … ({len(items)} in all)"
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def counted(number: int, noun: str) -> str:
    """Return "1 route" or "2 routes"."""
    return f"{number} {noun}{'s' * (number != 1)}"
