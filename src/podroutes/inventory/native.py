"""Reader of podroutes' own format, YAML or JSON: ``nodes:`` and, optionally, ``routers:`` and the limits of ``cluster:``.

Field names are the Kubernetes Node's, singular or plural; each takes one value or a list.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from podroutes.errors import InventoryError
from podroutes.inventory.events import (
    Event,
    List,
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
    text,
)
from podroutes.inventory.nodes import CODES, Located, RawInventory, RawNode, once, parse_pod_cidr
from podroutes.inventory.source import Source
from podroutes.model.cluster import Unread
from podroutes.model.problem import Problem
from podroutes.model.text import printable

_TOP = ("cluster", "nodes", "routers")
_LIMITS = {  # the field of Cluster for each key
    "podCIDR": "pod_cidrs",
    "podCIDRs": "pod_cidrs",
    "nodeCIDR": "node_cidrs",
    "nodeCIDRs": "node_cidrs",
    "serviceCIDR": "service_cidrs",
    "serviceCIDRs": "service_cidrs",
}
_FIELDS = {"internalIP": ("internalIP", "internalIPs"), "podCIDR": ("podCIDR", "podCIDRs")}
_NODE = ("name", "internalIP", "internalIPs", "podCIDR", "podCIDRs", "interface", "creationTimestamp", "uid")


def read(source: Source, events: Iterator[Event]) -> RawInventory:
    """Return the inventory in EVENTS. Raises InventoryError if a value has the wrong type or there are no nodes."""
    nodes: list[RawNode] = []
    limits: dict[str, list[Located]] = {}
    problems: list[Problem] = []
    opened_mapping(events, source, "nodes")
    for key, line, event in entries(events, source):
        if key in ("nodes", "routers"):
            if event[0] not in ("[", "null"):
                description = describe(compose(events, event, source))
                raise source.error(f"{key} is {description}, wanted a list", event[2])
            if event[0] == "[":
                router = key == "routers"
                found_nodes = (_node(compose(events, item, source), source, problems) for item in items(events))
                nodes.extend(node._replace(router=True) if router else node for node in found_nodes)
            continue
        value = compose(events, event, source)
        if key == "cluster":
            limits = _limits(value, source, problems)
        else:
            problem = _unknown(source, "", key, line, _TOP)
            if "meant" in problem.message and not isinstance(value, Scalar):  # a duplicate may hold half of the nodes
                raise InventoryError(problem.message)
            problems.append(problem)
    for _ in events:  # the parser reports a second document only when it is read on
        pass
    return RawInventory(nodes, limits, problems)


def _node(value: Value, source: Source, problems: list[Problem]) -> RawNode:
    if not isinstance(value, Mapping):
        raise source.error(f"an item of nodes is {describe(value)}, wanted a mapping with the key name", value.line)
    fields = value.values
    name = string(fields.get("name"), source, "a node's name")
    if not name:
        raise source.error("a node has no name", value.line)
    entry = _Entry(name, value, source, problems)
    ips, cidrs = entry.values("internalIP"), entry.values("podCIDR")
    return RawNode(
        name,
        ips,
        cidrs,
        string(fields.get("interface"), source, f"{entry.who}interface") or None,
        (),
        value.line,
        (*entry.unread, *entry.misspelt(), *_misplaced(ips, cidrs)),
        text(fields.get("creationTimestamp")),
        text(fields.get("uid")),
    )


def _misplaced(ips: Iterable[Located], cidrs: Iterable[Located]) -> Iterator[Unread]:
    """Yield that the podCIDR is not known where one stands among the addresses, as it does when the line above it is lost."""
    for value, _ in ips if not cidrs else ():
        with suppress(ValueError):
            parse_pod_cidr(value)
            yield Unread("podCIDR", f"{printable(value)} stands where an internalIP belongs", CODES["internalIP"])
            return


class _Entry:
    """One node as written. Values that cannot be read are reported in PROBLEMS and their fields are in ``unread``."""

    def __init__(self, name: str, value: Mapping, source: Source, problems: list[Problem]) -> None:
        self.who = f"node {printable(name)}: "
        self.unread: list[Unread] = []
        self._name, self._value, self._source, self._problems = name, value, source, problems

    def values(self, field: str) -> list[Located]:
        """Return the values of the singular and the plural key of FIELD, without duplicates."""
        return once(chain.from_iterable(self._of(field, key) for key in _FIELDS[field]))

    def _of(self, field: str, key: str) -> Iterator[Located]:
        if key not in self._value.values:
            return
        value = self._value.values[key]
        for one in value.values if isinstance(value, List) else [value]:
            if isinstance(one, Scalar) and one.kind == "string":
                yield one.text, one.line
            elif isinstance(one, Scalar) and one.kind == "null":  # usually a template without a value
                yield "", one.line
            else:
                hint = f"; put it in quotes: {printable(one.text)}" if isinstance(one, Scalar) else ""
                what = f"{key} is {describe(one)}, wanted a string{hint}"
                message = f"{self._source.name}:{one.line}: {self.who}{what}"
                self._problems.append(Problem("error", CODES[field], message, (self._name,)))
                self.unread.append(Unread(field, what, CODES[field]))

    def misspelt(self) -> Iterator[Unread]:
        """Yield the fields that unknown keys probably mean; each unknown key is a problem."""
        found = self._value.values
        given = [field for field, keys in _FIELDS.items() if any(key in found for key in keys)]
        for key, line in self._value.lines.items():
            if key in _NODE:
                continue
            from podroutes.inventory.spelling import field_meant  # noqa: PLC0415 - only a misspelt inventory pays for it

            field = field_meant(key, found[key], given)
            if field is None:
                self._problems.append(_unknown(self._source, self.who, key, line, _NODE, self._name))
                continue
            what = f"unknown key {printable(key)}; meant {field}?"
            message = f"{self._source.name}:{line}: {self.who}{what}"
            self._problems.append(Problem("error", "unknown-key", message, (self._name,)))
            yield Unread(field, what, "unknown-key")


def _limits(value: Value, source: Source, problems: list[Problem]) -> dict[str, list[Located]]:
    if isinstance(value, Scalar) and value.kind == "null":
        return {}
    if not isinstance(value, Mapping):
        raise source.error(f"cluster is {describe(value)}, wanted a mapping", value.line)
    for key, line in value.lines.items():
        if key not in _LIMITS:
            from podroutes.inventory.spelling import look  # noqa: PLC0415 - the same

            problem = _unknown(source, "cluster: ", key, line, _LIMITS)
            if "meant" in problem.message or look(
                value.values[key]
            ):  # an ignored limit would let a node claim too much
                raise InventoryError(problem.message)
            problems.append(problem)
    limits: dict[str, list[Located]] = {}
    for key, field in _LIMITS.items():
        limits.setdefault(field, []).extend(strings(value.values.get(key), source, f"cluster: {key}"))
    return limits


def _unknown(source: Source, who: str, key: str, line: int, known: Iterable[str], *nodes: str) -> Problem:
    from difflib import get_close_matches  # noqa: PLC0415 - only a misspelt inventory pays for it

    nearest = get_close_matches(key[:64].lower(), by_lower := {word.lower(): word for word in known}, n=1)
    advice = f"meant {by_lower[nearest[0]]}?" if nearest else f"known are {', '.join(by_lower.values())}"
    message = f"{source.name}:{line}: {who}unknown key {printable(key)}; {advice}"
    return Problem("warning", "unknown-key", message, nodes)
