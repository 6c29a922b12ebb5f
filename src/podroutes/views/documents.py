"""Writes documents for programs as JSON or YAML, including the one for a failure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from podroutes import errors

API_VERSION = "podroutes/v1"
STRUCTURED = ("json", "yaml")  # values of --output for programs
_PLAIN = re.compile(
    r"[A-Za-z_/][\w./@+-]*(?: [\w./@+-]+)*", re.ASCII
)  # strings without quotes in YAML, unless reserved
_WORDS = {
    "null",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
}  # reserved in YAML 1.1 and 1.2, in upper or lower case


def text(document: Any, output: str, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return DOCUMENT, of what JSON can hold, as OUTPUT, ``json`` or ``yaml``; INDENT is that of JSON, None: one line.

    With ASCII_ONLY other characters are escaped as in JSON, for a stream that cannot show them.
    """
    if output == "yaml":
        lines = "\n".join(yaml_lines(document))
        return (
            "".join(line if line.isascii() else _escaped(line, plain=False) for line in lines) if ascii_only else lines
        )
    from json import dumps  # noqa: PLC0415, only where it was asked for

    return dumps(document, indent=indent, ensure_ascii=ascii_only)


def failure(error: errors.PodroutesError) -> dict[str, Any]:
    """Return the document for ERROR. ``code`` is its kind, in one word."""
    code = type(error).__name__.removesuffix("Error").lower()
    return {"apiVersion": API_VERSION, "error": {"code": code, "message": str(error)}}


def yaml_lines(value: Any) -> Iterator[str]:
    """Yield the lines of VALUE in YAML's block style, https://yaml.org/spec/1.2.2/#82-block-collection-styles."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _entry(f"{_scalar(key)}:", each, "  ")
    elif isinstance(value, list | tuple) and value:
        for each in value:
            lines = list(yaml_lines(each))
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
    else:
        yield _scalar(value)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    lines = list(yaml_lines(value))
    if isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from (f"{indent}{line}" for line in lines)
    else:
        yield f"{head} {lines[0]}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    from json import dumps  # noqa: PLC0415

    quoted = dumps(value, ensure_ascii=False)  # JSON's quoted strings and empty collections are valid YAML
    if isinstance(value, float) and "." not in quoted:
        return quoted.replace("e", ".0e")  # without a decimal point YAML 1.1 reads a string
    return quoted if quoted.isprintable() else "".join(map(_escaped, quoted))


def _escaped(character: str, *, plain: bool = True) -> str:
    number = ord(character)
    if plain and character.isprintable():
        return character
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
