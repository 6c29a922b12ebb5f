"""Reads YAML as events of PyYAML's parser, without constructing objects."""

import re
from collections.abc import Iterator
from typing import Any

from podroutes.inventory.events import Event, Kind
from podroutes.inventory.source import Source
from podroutes.model.text import printable

# The YAML 1.2 core schema, section 10.3.2: a plain scalar that is neither of these is a string.
_WORDS: dict[str, Kind] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), "null"),
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), "boolean"),
}
_NUMBER = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
    r"|0o[0-7]+|0x[0-9a-fA-F]+|\.(?:nan|NaN|NAN)"
)


def yaml_events(source: Source, text: str) -> Iterator[Event]:
    """Yield the events of the only non-empty document of the YAML TEXT.

    Raises InventoryError if it is not valid YAML, has a second document, or uses aliases or tags. An alias can expand to a billion
        values and a tag to any Python object; an inventory needs neither.
    """
    import yaml  # noqa: PLC0415 - 30 ms that machines.txt and JSON need not pay

    kinds: dict[type, Kind] = {
        yaml.MappingStartEvent: "{",
        yaml.MappingEndEvent: "}",
        yaml.SequenceStartEvent: "[",
        yaml.SequenceEndEvent: "]",
        yaml.ScalarEvent: "string",
        yaml.AliasEvent: "null",  # rejected below
    }
    documents, begun = 0, False  # the number of non-empty documents, and whether the current one is empty
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)  # libyaml where PyYAML was built with it
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            kind = kinds.get(type(event))
            if kind is None:  # a document starts or ends
                begun = False
                continue
            line = event.start_mark.line + 1
            if kind not in "}]":
                _refuse_indirection(source, event, line)
            if kind == "string" and event.implicit[0]:
                kind = _kind(event.value)
            if not begun:
                if kind == "null":
                    continue
                begun, documents = True, documents + 1
                if documents > 1:
                    raise source.error("a second YAML document starts here; one inventory is one document", line)
            yield kind, getattr(event, "value", ""), line
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        what = _tab(text, mark) or what
        raise source.error(f"is not valid YAML: {what}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError:  # ReaderError: a character that YAML forbids
        match = yaml.reader.Reader.NON_PRINTABLE.search(text)
        what, at = (printable(match[0]), text.count("\n", 0, match.start()) + 1) if match else ("a character", None)
        raise source.error(f"is not valid YAML: {what} is not allowed", at) from None


def _tab(text: str, mark: Any) -> str:
    """Return the error text for a tab at MARK, "" if there is none."""
    lines = text.split("\n")
    is_tab = mark and mark.line < len(lines) and lines[mark.line][: mark.column + 1].endswith("\t")
    return "a tab character; indent with spaces" if is_tab else ""


def _refuse_indirection(source: Source, event: Any, line: int) -> None:
    if not hasattr(event, "tag"):
        raise source.error(f"alias *{event.anchor}: YAML aliases are not followed; write the value out", line)
    if event.tag is not None:
        raise source.error(f"YAML tag {printable(event.tag)} is not supported; write the value without it", line)


def _kind(text: str) -> Kind:
    """Return the type of a plain scalar."""
    kind = _WORDS.get(text)
    if kind is None:
        kind = "number" if text[0] in "0123456789+-." and _NUMBER.fullmatch(text) else "string"
    return kind
