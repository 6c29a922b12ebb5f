"""Output forms of objects: as JSON, or as the Table that kubectl prints (API Concepts, "Table resources")."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from podroutes.lab.api.message import Document, Refusal, bad_request
from podroutes.lab.api.resources import API_VERSION, NODES, Resource
from podroutes.lab.api.store import Item

_PIECE = 1 << 18  # bytes of a write
_NONE, _UNKNOWN = "<none>", "<unknown>"
_ROLE = "node-role.kubernetes.io/"
# Column, and whether only `-o wide` prints it: the printers of the real server, pkg/printers/internalversion.
_NODE_COLUMNS = (
    *((name, 0) for name in ("Name", "Status", "Roles", "Age", "Version")),
    *((name, 1) for name in ("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime")),
)
_EVENT_COLUMNS = tuple((name, 0) for name in ("Last Seen", "Type", "Reason", "Object", "Message"))


class Form(NamedTuple):
    """The form that a client requested: one ITEM as JSON, and a list as pieces of JSON."""

    item: Callable[[Item], bytes]
    many: Callable[[Iterable[Item], Document], Iterator[bytes]]


def form(resource: Resource, headers: Mapping[str, str], query: Mapping[str, str]) -> Form:
    """Return the first form in ``Accept`` that is implemented. Raises Refusal 406 if there is none."""
    ranges = [each.strip() for each in headers.get("accept", "*/*").split(",")]
    for media, *parameters in (accepted.split(";") for accepted in ranges):
        wanted = dict(parameter.strip().partition("=")[::2] for parameter in parameters)
        if media.strip() not in ("application/json", "application/*", "*/*"):
            continue
        if not wanted.get("as"):
            return Form(lambda item: item.encoded, lambda items, about: _plain(resource, items, about))
        if wanted["as"] == "Table" and wanted.get("g") == "meta.k8s.io" and wanted.get("v") == "v1":
            return _tables(resource, query.get("includeObject") or "Metadata")
    raise Refusal(
        406, "NotAcceptable", "the lab API writes application/json and, of lists, meta.k8s.io/v1 Tables, only"
    )


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield PIECES, with small ones joined."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _plain(resource: Resource, items: Iterable[Item], about: Document) -> Iterator[bytes]:
    """Yield a list, whose items do not repeat kind and apiVersion."""
    kind = {"kind": f"{resource.kind}List", "apiVersion": API_VERSION, "metadata": about}
    head = msgspec.json.encode(kind)[:-1] + b',"items":['

    def parts() -> Iterator[bytes]:
        separator = head
        for item in items:
            yield separator
            yield b"{"
            yield item.body
            separator = b","
        yield b"]}\n" if separator == b"," else head + b"]}\n"

    return gathered(parts())


def _tables(resource: Resource, include: str) -> Form:
    if include not in ("None", "Metadata", "Object"):
        raise bad_request(f'unrecognized includeObject value: "{include}"')

    def many(items: Iterable[Item], about: Document) -> Iterator[bytes]:
        yield msgspec.json.encode(_table(resource, items, about, include)) + b"\n"

    def one(item: Item) -> bytes:
        return msgspec.json.encode(_table(resource, [item], {"resourceVersion": str(item.version)}, include))

    return Form(one, many)


def _table(resource: Resource, items: Iterable[Item], about: Document, include: str) -> Document:
    columns, cells = (_NODE_COLUMNS, _node) if resource is NODES else (_EVENT_COLUMNS, _event)
    rows = []
    for item in items:
        document = item.document()
        shown = document
        if include == "Metadata":
            shown = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": document["metadata"],
            }
        rows.append({"cells": cells(document), **({"object": shown} if include != "None" else {})})
    definitions = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": priority,
        }
        for name, priority in columns
    ]
    kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": about}
    return {**kind, "columnDefinitions": definitions, "rows": rows}


def _node(node: Document) -> list[str]:
    metadata, status = node["metadata"], node["status"]
    ready = [
        condition.get("status") for condition in status.get("conditions") or () if condition.get("type") == "Ready"
    ]
    state = {"True": "Ready", "False": "NotReady"}.get(str(*ready[:1]), "Unknown")
    if node["spec"].get("unschedulable"):
        state += ",SchedulingDisabled"
    roles = sorted(key.removeprefix(_ROLE) for key in metadata.get("labels") or () if key.startswith(_ROLE))
    addresses = {address.get("type"): address.get("address") for address in reversed(status.get("addresses") or ())}
    info = status.get("nodeInfo") or {}
    return [
        metadata["name"],
        state,
        ",".join(roles) or _NONE,
        age(metadata.get("creationTimestamp")),
        info.get("kubeletVersion", ""),
        *(addresses.get(kind) or _NONE for kind in ("InternalIP", "ExternalIP")),
        *(info.get(key) or _UNKNOWN for key in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def _event(event: Document) -> list[str]:
    about = event.get("involvedObject") or {}
    seen = event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")
    words = (event.get(key) or "" for key in ("type", "reason"))
    where = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return [age(seen), *words, where, str(event.get("message") or "").strip()]


def age(since: Any) -> str:
    """Return how long ago the time SINCE was, short: k8s.io/apimachinery/pkg/util/duration."""
    try:
        seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    except (ValueError, TypeError):
        return _UNKNOWN
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
