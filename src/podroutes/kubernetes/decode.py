"""Decodes responses of the API server about Nodes: pages of a list, events of a watch, and the Status of an error.

Of the 14 KB of a Node about 300 bytes are decoded; msgspec skips the rest without creating objects.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from typing import Literal, NamedTuple

import msgspec

from podroutes.inventory.kubectl_json import KubernetesNode, Metadata, raw_node
from podroutes.inventory.nodes import RawNode

_TOO_NEW = "ResourceVersionTooLarge"  # metav1.CauseTypeResourceVersionTooLarge


class _Annotations(msgspec.Struct, rename={"initial_events_end": "k8s.io/initial-events-end"}, gc=False):
    initial_events_end: str = ""


class _ObjectMeta(Metadata, rename="camel"):
    resource_version: str = ""
    annotations: _Annotations | None = None


class _Node(KubernetesNode):
    metadata: _ObjectMeta | None = None


class _Event(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: _Node


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "more": "continue"}, gc=False):
    resource_version: str = ""
    more: str | None = None


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[_Node] | None  # required: a response that is not a list must not look like an empty list


class _Cause(msgspec.Struct, gc=False):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, rename="camel", gc=False):
    retry_after_seconds: int = 0
    causes: list[_Cause] | None = None


class _Status(msgspec.Struct):
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


class _ErrorEvent(msgspec.Struct):
    type: Literal["ERROR"]
    object: _Status


class Refusal(NamedTuple):
    """An error response: the HTTP status, and the fields of the API's Status object if there is one."""

    status: int
    reason: str = ""  # Status.reason, for example Expired or TooManyRequests
    message: str = ""
    retry_after: float = 0.0  # seconds; 0 if the server gives none
    too_new: bool = False  # the requested resourceVersion is newer than the server's


class Change(NamedTuple):
    """A watch event about one Node."""

    deleted: bool
    uid: str
    node: RawNode
    resource_version: str


class Bookmark(NamedTuple):
    """A bookmark of a watch. ``initial`` marks the end of a streaming list."""

    resource_version: str
    initial: bool


class Page(NamedTuple):
    """A page of a list: its Nodes with their uids, and the continue token, "" on the last page."""

    nodes: list[tuple[str, RawNode]]
    resource_version: str
    more: str


_EVENT = msgspec.json.Decoder(_Event)
_ERROR = msgspec.json.Decoder(_ErrorEvent)
_LIST = msgspec.json.Decoder(_List)
_STATUS = msgspec.json.Decoder(_Status)
_LONGEST_WAIT = 3600  # seconds; a larger value is a mistake
_LONGEST_MESSAGE = 500  # characters; a Status message is a sentence
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def event(line: bytes) -> Change | Bookmark | Refusal:
    """Decode one line of a watch. Raises ValueError if it is not an event or lacks a required field."""
    try:
        decoded = _EVENT.decode(line)
    except msgspec.ValidationError:
        return _error_event(line)
    except _BROKEN as error:
        raise ValueError(f"an event is not valid JSON: {error}") from None
    node = decoded.object
    meta = node.metadata
    if meta is None or not meta.resource_version:
        raise ValueError("an event has no resourceVersion")
    if decoded.type == "BOOKMARK":
        return Bookmark(meta.resource_version, bool(meta.annotations and meta.annotations.initial_events_end == "true"))
    if not meta.name:
        raise ValueError("an event is about a Node without a name")
    return Change(decoded.type == "DELETED", meta.uid or "", raw_node(meta.name, node), meta.resource_version)


def page(body: bytes) -> Page:
    """Decode the response to a list request. Raises ValueError if it is not a complete list of Nodes."""
    try:
        decoded = _LIST.decode(body)
    except _BROKEN as error:
        raise ValueError(f"a list is not what it should be: {error}") from None
    nodes = []
    for node in decoded.items or ():
        if not (node.metadata and node.metadata.name):
            raise ValueError("a list holds a Node without a name")
        nodes.append((node.metadata.uid or "", raw_node(node.metadata.name, node)))
    if not decoded.metadata.resource_version:
        raise ValueError("a list has no resourceVersion")
    return Page(nodes, decoded.metadata.resource_version, decoded.metadata.more or "")


def refusal(status: int, body: bytes, retry_after: str = "") -> Refusal:
    """Decode an error response with STATUS, BODY and Retry-After header. BODY may be anything."""
    try:
        found = _STATUS.decode(body)
    except _BROKEN:  # from a proxy in between
        found = _Status(message=body[:200].decode(errors="replace").strip())
    refused = _refusal(found, status)
    digits = (
        retry_after if retry_after.isascii() and retry_after.isdigit() else "0"
    )  # the API sends seconds, never dates
    seconds = float(min(int(digits[:9]), _LONGEST_WAIT))
    return refused._replace(status=status, retry_after=max(seconds, refused.retry_after))


def _error_event(line: bytes) -> Refusal:
    try:
        return _refusal(_ERROR.decode(line).object, 500)
    except _BROKEN as error:
        raise ValueError(f"an event is not what it should be: {error}") from None


def _refusal(status: _Status, code: int) -> Refusal:
    details = status.details or _Details()
    too_new = any(cause.reason == _TOO_NEW for cause in details.causes or ())
    seconds = float(min(max(0, details.retry_after_seconds), _LONGEST_WAIT))
    known = status.code if 100 <= status.code < 600 else code
    return Refusal(known, status.reason[:_LONGEST_MESSAGE], status.message[:_LONGEST_MESSAGE], seconds, too_new)
