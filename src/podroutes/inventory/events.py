"""YAML and JSON as one flat sequence of events with line numbers, so that one reader serves both."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from podroutes.inventory.source import Source
from podroutes.model.text import printable

# "{" and "[" open a mapping or a list, "}" and "]" close it. Any other kind is the type of a scalar.
Kind = Literal["{", "}", "[", "]", "string", "number", "boolean", "null"]
Event = tuple[Kind, str, int]  # the kind, a scalar's text as written, the line number from 1
_DEEPEST = 32  # levels; a Node has 7, and the reader below is recursive


class Scalar(NamedTuple):
    """A string, number, boolean or null."""

    kind: Kind
    text: str
    line: int


class List(NamedTuple):
    """A list and the line it starts in."""

    values: list["Value"]
    line: int


class Mapping(NamedTuple):
    """A mapping: the line of each key, the value of each key, and the line it starts in."""

    lines: dict[str, int]
    values: dict[str, "Value"]
    line: int


Value: TypeAlias = Scalar | List | Mapping


def entries(events: Iterator[Event], source: Source) -> Iterator[tuple[str, int, Event]]:
    """Yield key, line and first event of the value for each entry of the mapping that has just been opened.

    The caller takes the rest of the value from EVENTS before it asks for the next entry. Raises InventoryError
    for a duplicate key, since either value may be the intended one.
    """
    seen: dict[str, int] = {}
    for kind, key, line in events:
        if kind == "}":
            return
        if kind in "{[":
            raise source.error("a key is a mapping or a list; wanted a word", line)
        if key in seen:
            raise source.error(
                f"key {printable(key)} is already given in line {seen[key]}; remove one of the two", line
            )
        seen[key] = line
        yield key, line, next(events)


def items(events: Iterator[Event]) -> Iterator[Event]:
    """Yield the first event of each item of the list that has just been opened. The caller takes the rest of the item."""
    for event in events:
        if event[0] == "]":
            return
        yield event


def opened_mapping(events: Iterator[Event], source: Source, key: str) -> int:
    """Read the start of the document from EVENTS and return its line. Raises InventoryError unless it is a mapping with KEY."""
    first = next(events, None)
    if first is None:
        raise source.error(f"holds no nodes; wanted a mapping with the key {key}")
    if first[0] != "{":
        raise source.error(
            f"is {describe(compose(events, first, source))}, wanted a mapping with the key {key}", first[2]
        )
    return first[2]


def compose(events: Iterator[Event], first: Event, source: Source, depth: int = 0) -> Value:
    """Return the value whose first event is FIRST; the rest of it is read from EVENTS."""
    kind, text, line = first
    if depth > _DEEPEST:
        raise source.error("is nested too deeply to be an inventory", line)
    if kind == "{":
        mapping = Mapping({}, {}, line)
        for key, key_line, event in entries(events, source):
            mapping.lines[key] = key_line
            mapping.values[key] = compose(events, event, source, depth + 1)
        return mapping
    if kind == "[":
        return List([compose(events, event, source, depth + 1) for event in items(events)], line)
    return Scalar(kind, text, line)


def describe(value: Value) -> str:
    """Describe VALUE in a few words, for an error that says what was expected."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, List):
        return "a list"
    return "nothing" if value.kind == "null" else f"the {value.kind} {printable(value.text)}"


def string(value: Value | None, source: Source, what: str) -> str | None:
    """Return the text of VALUE, or None for null. Raises InventoryError, which calls the value WHAT, if it is not a string."""
    if value is None:
        return None
    if isinstance(value, Scalar):
        if value.kind == "null":
            return None
        if value.kind == "string":
            return value.text
        hint = f"; put it in quotes: {printable(value.text)}"
    else:
        hint = ""
    raise source.error(f"{what} is {describe(value)}, wanted a string{hint}", value.line)


def text(value: Value | None) -> str:
    """Return a scalar as written, "" for anything else. A uid may consist of digits only."""
    return value.text if isinstance(value, Scalar) and value.kind != "null" else ""


def strings(value: Value | None, source: Source, what: str) -> list[tuple[str, int | None]]:
    """Return the strings of VALUE, a string or a list of strings, each with its line."""
    if value is None:
        return []
    values = value.values if isinstance(value, List) else [value]
    texts = ((string(one, source, what), one.line) for one in values)
    return [(text, line) for text, line in texts if text is not None]
