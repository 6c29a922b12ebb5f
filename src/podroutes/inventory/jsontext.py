"""Reads JSON as events, and explains syntax errors."""

import re
from collections.abc import Iterator
from typing import cast

import msgspec

from podroutes.errors import InventoryError
from podroutes.inventory.events import Event, Kind
from podroutes.inventory.source import Source

_TOKEN = re.compile(r'\n|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|[^\s,:{}\[\]"]++')
_WORDS: dict[str, Kind] = {"true": "boolean", "false": "boolean", "null": "null"}
_BYTE = re.compile(r" \(byte (\d+)\)$")  # the position in msgspec's messages


def json_events(source: Source) -> Iterator[Event]:
    """Yield the events of a JSON document. Raises InventoryError if it is not valid JSON."""
    text = source.text()
    data = text.encode()
    try:
        msgspec.json.decode(data, type=msgspec.Raw)  # checks the syntax without building objects
    except (msgspec.DecodeError, RecursionError) as error:
        raise syntax_error(source, error, data) from None
    # The syntax is valid from here on, so commas and colons carry no information.
    line = 1
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word == "\n":
            line += 1
        elif word[0] == '"':
            yield "string", msgspec.json.decode(word, type=str) if "\\" in word else word[1:-1], line
        elif word in "{}[]":
            yield cast("Kind", word), "", line
        else:
            yield _WORDS.get(word, "number"), word, line


def syntax_error(source: Source, error: Exception, data: bytes | bytearray, lines: int = 0) -> InventoryError:
    """Return the InventoryError for msgspec's ERROR about DATA. LINES lines of the source precede DATA."""
    if isinstance(error, RecursionError):
        return source.error("is nested too deeply to be an inventory")
    if isinstance(error, UnicodeDecodeError):  # its position is relative to one string
        source.decode(data, lines)
    what = str(error)
    match = _BYTE.search(what)
    if not match:  # "Input data was truncated"
        return source.error("ends in the middle of a JSON value; is the file complete?", lines + data.count(b"\n") + 1)
    what = what[: match.start()].removeprefix("JSON is malformed: ")
    return source.error(f"is not valid JSON: {what}", lines + data.count(b"\n", 0, int(match[1])) + 1)
