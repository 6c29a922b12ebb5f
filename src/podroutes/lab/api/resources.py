"""The resources of the lab API, Nodes and Events, and their selectors."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from podroutes.lab.api.message import Document, Refusal, bad_request
from podroutes.lab.api.store import Item

API_VERSION = "v1"


class Resource(NamedTuple):
    """A kind of object: its NAME in paths, KIND, short names, and the fields that a field selector may name."""

    name: str
    kind: str
    short: tuple[str, ...]
    namespaced: bool
    status: bool  # has a subresource of that name
    fields: Mapping[str, str]  # besides those of metadata, with their defaults

    @property
    def verbs(self) -> list[str]:
        """Its verbs, for discovery."""
        return ["create", "delete", "get", "list", "patch", "update", "watch"]


NODES = Resource("nodes", "Node", ("no",), namespaced=False, status=True, fields={"spec.unschedulable": "false"})
EVENTS = Resource(
    "events",
    "Event",
    ("ev",),
    namespaced=True,
    status=False,
    fields=dict.fromkeys(
        (
            *(f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
            *("reason", "reportingComponent", "source", "type"),
        ),
        "",
    ),
)
RESOURCES = {resource.name: resource for resource in (NODES, EVENTS)}
_LABEL = re.compile(r"!?[A-Za-z0-9._/-]+")
_TERM = re.compile(r"\s*([A-Za-z0-9._/-]+)\s*(==|=|!=|\s+in\s+|\s+notin\s+)\s*(.*?)\s*")

Selector = Callable[[Item], bool]


def selector(resource: Resource, query: Mapping[str, str]) -> Selector | None:
    """Return the predicate of ``labelSelector`` and ``fieldSelector`` of QUERY, None if there are none.

    Equality, sets and existence for labels, equality for fields: the page "Labels and Selectors". Refusal 400 otherwise.
    """
    tests = [
        *map(_label_test, _split(query.get("labelSelector", ""))),
        *(_field_test(resource, term) for term in _split(query.get("fieldSelector", ""))),
    ]
    if not tests:
        return None

    def matches(item: Item) -> bool:
        return all(test(item) for test in tests)

    return matches


def _split(text: str) -> list[str]:
    """Return the terms of TEXT, which are separated by commas outside of parentheses."""
    return [term.strip() for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def _label_test(term: str) -> Selector:
    match = _TERM.fullmatch(term)
    if match:
        key, operator, value = match[1], match[2].strip(), match[3]
        values = [each.strip() for each in value.strip("()").split(",")] if operator.endswith("in") else [value]
        wanted = operator in ("=", "==", "in")
        return lambda item: (_labels(item).get(key) in values) == wanted
    if not _LABEL.fullmatch(term):
        raise bad_request(f"unable to parse requirement: {term}")
    return lambda item: (term.lstrip("!") in _labels(item)) != term.startswith("!")


def _labels(item: Item) -> Mapping[str, str]:
    labels: Mapping[str, str] = item.document()["metadata"].get("labels") or {}
    return labels


def _field_test(resource: Resource, term: str) -> Selector:
    match = _TERM.fullmatch(term)
    if not match or match[2].strip() not in ("=", "==", "!="):
        raise bad_request(f'invalid selector: "{term}"; can\'t understand it')
    path, wanted, value = match[1], match[2] != "!=", match[3]
    if path == "metadata.name":
        return lambda item: (item.key.name == value) == wanted
    if path == "metadata.namespace" and resource.namespaced:
        return lambda item: (item.key.namespace == value) == wanted
    if path not in resource.fields:
        raise Refusal(400, "BadRequest", f'field label not supported: "{path}"')
    missing = resource.fields[path]
    return lambda item: (_field(item.document(), path, missing) == value) == wanted


def _field(document: Document, path: str, missing: str) -> str:
    """Return the field PATH of DOCUMENT as a selector writes it."""
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value = value.get("component")  # an Event's source is an object
    return missing if value is None else str(value).lower() if isinstance(value, bool) else str(value)
