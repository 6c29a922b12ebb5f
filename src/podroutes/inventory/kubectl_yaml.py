"""Reader of ``kubectl get nodes -o yaml`` that skips images, conditions and labels: 13 of the 14 KB of a Node.

A YAML parser takes 20 seconds for 5,000 Nodes. Where the text has kubectl's layout, subtrees that routes do not need are
blanked first, by their indentation. Line breaks stay, so line numbers remain correct.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from podroutes.inventory.events import (
    List,
    Mapping,
    Value,
    compose,
    describe,
    entries,
    items,
    opened_mapping,
    string,
    strings,
    text,
)
from podroutes.inventory.kubectl import check_list, internal_ips_and_hostnames, misspelt, misspelt_problems, node_name
from podroutes.inventory.nodes import RawInventory, RawNode, once
from podroutes.inventory.source import Source
from podroutes.inventory.yamltext import yaml_events
from podroutes.model.problem import Problem

if TYPE_CHECKING:
    from podroutes.model.cluster import Unread

# The first line of a list and of a single Node by kubectl, and the indentation of the keys in metadata, spec and status.
_LAYOUTS = (
    (re.compile(rb"apiVersion: v1\nitems:\n- "), b"    "),
    (re.compile(rb"apiVersion: v1\nkind: Node\n"), b"  "),
)
# A key at that depth that routes do not need, with its subtree: all lines that are indented deeper, have a list's dash at
# the same depth, or are blank.
_USELESS = (
    rb"^%b(?!(?:name|uid|creationTimestamp|podCIDRs?|addresses|%b):)[A-Za-z]++:.*\n(?:(?:%b(?: |-(?: |$))| *$).*\n)*+"
)
_MISSPELT = rb"(?i:p\w*c\w*d\w*|\w*ad+r\w*)"  # podCIDR or addresses, perhaps
# Pruning is trusted only if all remaining lines are complete in themselves, so that none can be inside a
# block scalar or quotes: "key:", "key: word", "- key: word", "- word".
_WORD = rb"""(?:[A-Za-z0-9_./][A-Za-z0-9_./:-]*+|"[^"\\\n]*+"|'[^'\n]*+'|\{\}|\[\])"""
_PLAIN_LINES = re.compile(rb"(?:\n++| *+(?:(?:- )?[A-Za-z0-9]++:(?: %b)?|- %b)\n)*+" % (_WORD, _WORD))


def read(source: Source) -> RawInventory:
    """Return the Nodes. Raises InventoryError if the YAML is malformed or an item is not a Node."""
    events = yaml_events(source, source.decode(b"".join(_pruned(source))))
    line = opened_mapping(events, source, "items")
    nodes: list[RawNode] = []
    problems: list[Problem] = []
    fields: dict[str, Value] = {}
    listed = False
    for key, _, event in entries(events, source):
        if key == "items" and event[0] == "[":
            listed = True
            for item in items(events):
                nodes.append(_raw(source, compose(events, item, source), f"items[{len(nodes)}]", problems))
        else:
            fields[key] = compose(events, event, source)
    for _ in events:  # the parser reports a second document only when it is read on
        pass
    kind = string(fields.get("kind"), source, "kind")
    if kind == "Node":
        nodes = [_raw(source, Mapping({}, fields, line), "the Node", problems)]
    else:
        check_list(source, kind, items=listed)
    return RawInventory(nodes, problems=problems, format="kubernetes")


def _raw(source: Source, node: Value, place: str, problems: list[Problem]) -> RawNode:
    fields = _mapping(source, node, place)
    metadata, spec, status = (
        _mapping(source, fields.get(key), f"{place}.{key}") for key in ("metadata", "spec", "status")
    )
    kind = string(fields.get("kind"), source, f"{place}.kind")
    name = string(metadata.get("name"), source, f"{place}.metadata.name")
    cidrs = (strings(spec.get(key), source, f"{place}.spec.{key}") for key in ("podCIDR", "podCIDRs"))
    ips, hostnames = internal_ips_and_hostnames(
        _addresses(source, status.get("addresses"), f"{place}.status.addresses")
    )
    name = node_name(source, place, kind, name, node.line)
    created, uid = (text(metadata.get(key)) for key in ("creationTimestamp", "uid"))
    listed = once(chain.from_iterable(cidrs))
    unread: tuple[Unread, ...] = ()
    if not listed or not ips:
        unread = misspelt(_plain(node), cidrs=bool(listed), ips=bool(ips))
        problems += misspelt_problems(source, name, unread, node.line)
    return RawNode(name, ips, listed, None, hostnames, node.line, unread, created, uid)


def _plain(value: Value) -> object:
    """Return VALUE as dictionaries, lists and strings."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.values.items()}
    if isinstance(value, List):
        return [_plain(item) for item in value.values]
    return value.text


def _addresses(source: Source, value: Value | None, place: str) -> Iterator[tuple[str | None, str | None, int]]:
    for one in value.values if isinstance(value, List) else ():
        fields = _mapping(source, one, place)
        kind, address = (string(fields.get(key), source, f"{place}.{key}") for key in ("type", "address"))
        yield kind, address, one.line


def _mapping(source: Source, value: Value | None, place: str) -> dict[str, Value]:
    if isinstance(value, Mapping):
        return value.values
    if value is None or describe(value) == "nothing":
        return {}
    raise source.error(f"{place} is {describe(value)}, wanted a mapping", value.line)


def _pruned(source: Source) -> Iterator[bytes]:
    """Yield the source's bytes. Unneeded subtrees are blanked as long as the layout is kubectl's."""
    indent = next((indent for layout, indent in _LAYOUTS if layout.match(source.head)), None)
    if indent is None:
        yield from source.chunks()
        return
    useless = re.compile(_USELESS % (indent, _MISSPELT, indent), re.MULTILINE)
    buffer, trusted = bytearray(), True
    for chunk in source.chunks():
        passed = max(len(buffer) - 2, 0)
        buffer += chunk
        cut = buffer.rfind(b"\n- ", passed) + 1
        if cut:
            block = bytes(buffer[:cut])
            blanked = _blanked(block, useless) if trusted else None
            trusted = blanked is not None
            yield blanked or block
            del buffer[:cut]
    block = bytes(buffer)
    yield (_blanked(block, useless) if trusted else None) or block


def _blanked(block: bytes, useless: re.Pattern[bytes]) -> bytes | None:
    """Return BLOCK without the subtrees that match USELESS; None if the rest does not have kubectl's layout."""
    blanked = useless.sub(lambda match: b"\n" * match[0].count(b"\n"), block)
    return blanked if _PLAIN_LINES.fullmatch(blanked) else None
