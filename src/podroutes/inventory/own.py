"""Reader of podroutes' own format, YAML or JSON: ``nodes:`` and, optionally, the limits of ``cluster:``.

Field names are the Kubernetes Node's, singular or plural; each takes one value or a list.
"""

from collections.abc import Iterable, Iterator

from podroutes.inventory.events import (
    Event,
    Mapping,
    Scalar,
    Value,
    compose,
    describe,
    entries,
    items,
    opened_mapping,
    string,
    strings,
)
from podroutes.inventory.nodes import Located, RawInventory, RawNode, once
from podroutes.inventory.source import Source
from podroutes.model.problem import Problem
from podroutes.model.text import printable

_TOP = ("cluster", "nodes")
_LIMITS = {  # the field of Cluster that each key sets
    "podCIDR": "pod_cidrs",
    "podCIDRs": "pod_cidrs",
    "nodeCIDR": "node_cidrs",
    "nodeCIDRs": "node_cidrs",
    "serviceCIDR": "service_cidrs",
    "serviceCIDRs": "service_cidrs",
}
_NODE = ("name", "internalIP", "internalIPs", "podCIDR", "podCIDRs", "interface")


def read(source: Source, events: Iterator[Event]) -> RawInventory:
    """Return the inventory that EVENTS tell; InventoryError where a value is of the wrong type, or no nodes are there."""
    nodes: list[RawNode] = []
    limits: dict[str, list[Located]] = {}
    problems: list[Problem] = []
    opened_mapping(events, source, "nodes")
    for key, line, event in entries(events, source):
        if key == "nodes":
            if event[0] not in ("[", "null"):
                found = describe(compose(events, event, source))
                raise source.error(f"nodes is {found}, wanted a list", event[2])
            if event[0] == "[":
                nodes.extend(_node(compose(events, item, source), source, problems) for item in items(events))
            continue
        value = compose(events, event, source)
        if key == "cluster":
            limits = _limits(value, source, problems)
        else:
            problems.append(_unknown(source, "", key, line, _TOP))
    for _ in events:  # a second document is found only by reading on
        pass
    return RawInventory(nodes, limits, problems)


def _node(value: Value, source: Source, problems: list[Problem]) -> RawNode:
    if not isinstance(value, Mapping):
        raise source.error(f"an item of nodes is {describe(value)}, wanted a mapping with the key name", value.line)
    fields = value.values
    name = string(fields.get("name"), source, "a node's name")
    if not name:
        raise source.error("a node has no name", value.line)
    who = f"node {printable(name)}: "
    problems.extend(_unknown(source, who, key, value.lines[key], _NODE, name) for key in fields if key not in _NODE)
    return RawNode(
        name,
        _either(value, ("internalIP", "internalIPs"), source, who),
        _either(value, ("podCIDR", "podCIDRs"), source, who),
        string(fields.get("interface"), source, f"{who}interface") or None,
        (),
        value.line,
    )


def _limits(value: Value, source: Source, problems: list[Problem]) -> dict[str, list[Located]]:
    if isinstance(value, Scalar) and value.kind == "null":
        return {}
    if not isinstance(value, Mapping):
        raise source.error(f"cluster is {describe(value)}, wanted a mapping", value.line)
    problems.extend(
        _unknown(source, "cluster: ", key, value.lines[key], _LIMITS) for key in value.values if key not in _LIMITS
    )
    limits: dict[str, list[Located]] = {}
    for key, field in _LIMITS.items():
        limits.setdefault(field, []).extend(strings(value.values.get(key), source, f"cluster: {key}"))
    return limits


def _either(node: Mapping, keys: tuple[str, str], source: Source, who: str) -> list[Located]:
    """Return the values of the singular and the plural key, those that stand in both once."""
    return once(value for key in keys for value in strings(node.values.get(key), source, who + key))


def _unknown(source: Source, who: str, key: str, line: int, known: Iterable[str], *nodes: str) -> Problem:
    from difflib import get_close_matches  # noqa: PLC0415 - only a misspelt inventory pays for it

    nearest = get_close_matches(key[:64].lower(), by_lower := {word.lower(): word for word in known}, n=1)
    advice = f"meant {by_lower[nearest[0]]}?" if nearest else f"known are {', '.join(by_lower.values())}"
    message = f"{source.name}:{line}: {who}unknown key {printable(key)}; {advice}"
    return Problem("warning", "unknown-key", message, nodes)
