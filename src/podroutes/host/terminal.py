"""What the terminal, or whatever reads our output instead, can show: colour, columns, and characters besides ASCII."""

import codecs
import os
from contextlib import suppress
from contextvars import ContextVar
from typing import TextIO

COLOR: ContextVar[str] = ContextVar("color", default="auto")  # the value of --color
WIDTH = 80  # columns where nobody tells, as most programs assume
# What stands in for a character that is not ASCII. Tables stay aligned where one character stands for one.
_ASCII = {
    "…": "...",
    "→": "->",
    "✓": "+",
    "✗": "x",
    "·": ".",
}
_ERRORS = "podroutes.ascii"


def takes_colour(stream: TextIO) -> bool:
    """Return whether STREAM is to have colour.

    --color decides; then NO_COLOR (https://no-color.org), then FORCE_COLOR (https://force-color.org), then whether it is a terminal.
    """
    if COLOR.get() != "auto":
        return COLOR.get() == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """Return how wide STREAM is: COLUMNS, else what the terminal says, else 80."""
    with suppress(ValueError):
        if (configured := int(os.environ.get("COLUMNS", ""))) > 0:
            return configured
    with suppress(OSError, ValueError):  # ValueError: a stream without descriptor
        if (width := os.get_terminal_size(stream.fileno()).columns) > 0:
            return width
    return WIDTH


def ascii_only() -> bool:
    """Return whether the locale asks for ASCII: C or POSIX, named by a variable, locale(7). No variable at all asks for nothing."""
    if os.environ.get("PYTHONIOENCODING"):
        return False
    named = {name: os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if named["LC_CTYPE"] == "C.UTF-8":  # Python itself sets it where LANG is C: https://peps.python.org/pep-0538/
        named["LC_CTYPE"] = ""
    return next(filter(None, named.values()), "") in {"C", "POSIX"}


def is_unicode(stream: TextIO) -> bool:
    """Return whether STREAM shows every character."""
    return (stream.encoding or "utf-8").lower().replace("-", "").replace("_", "").startswith("utf")


def spell_out(error: UnicodeError) -> tuple[str, int]:
    """Return what stands in for characters that a stream cannot show, as an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(_ASCII.get(character) or _escaped(character) for character in failed), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(_ERRORS, spell_out)


def handler() -> str:
    """Return the name of the error handler that spells out what a stream cannot show."""
    return _ERRORS
