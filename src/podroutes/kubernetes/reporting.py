"""Writes Events about a node and, if enabled, its condition NetworkUnavailable."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from podroutes.errors import KubernetesError
from podroutes.kubernetes.client import NODES, Client, RefusedError, Request
from podroutes.model.text import printable

NAMESPACE = "default"  # the namespace of Events about cluster-scoped objects
_CONDITION = "NetworkUnavailable"
_OURS = "Podroutes"  # the prefix of our reasons; others belong to other programs
_TRIES = 3  # retries after a write conflict
_LONGEST = 1024  # maximum characters of an Event's message


class Note(NamedTuple):
    """The content of an Event. ``reason`` is one CamelCase word, ``node`` the Node that it is about."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    node: str


class _Condition(msgspec.Struct):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class _Conditions(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str


class _Node(msgspec.Struct):
    metadata: _Meta
    status: _Conditions | None = None


def post_event(client: Client, note: Note, instance: str, now: Callable[[], datetime] | None = None) -> None:
    """Create an Event for NOTE, reported by the agent on the machine INSTANCE. Raises KubernetesError.

    `kubectl describe node` shows it. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    moment = _time(now)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{note.node}.", "namespace": NAMESPACE},
        # The kubelet also writes the name as the uid; kubectl searches for it.
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": note.node, "uid": note.node},
        "type": note.kind,
        "reason": note.reason,
        "message": note.message[:_LONGEST],
        "source": {"component": "podroutes", "host": instance},
        "reportingComponent": "podroutes",
        "reportingInstance": instance,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    client.ask(Request(f"/api/v1/namespaces/{NAMESPACE}/events", {}, "POST", msgspec.json.encode(event)))


def patch_condition(
    client: Client, node: str, *, available: bool, message: str, now: Callable[[], datetime] | None = None
) -> bool:
    """Set the condition NetworkUnavailable of NODE to the opposite of AVAILABLE; return whether it has that value now.

    Returns False if another program owns the condition, which is then not changed. Written only when it changes, and only
        if the Node has not changed since it was read. Raises KubernetesError.
        https://kubernetes.io/docs/reference/node/node-status/#condition
    """
    wanted = _Condition(
        _CONDITION, "False" if available else "True", f"{_OURS}{'InSync' if available else 'OutOfSync'}", message
    )
    path = f"{NODES}/{quote(node, safe='')}"
    for attempt in range(1, _TRIES + 1):
        current = _read(client, path, node)
        there = next(
            (
                condition
                for condition in (current.status or _Conditions()).conditions or ()
                if condition.type == _CONDITION
            ),
            None,
        )
        if there and there.reason and not there.reason.startswith(_OURS):
            return False
        if there == wanted:
            return True
        try:
            client.ask(_patch(path, current, there, wanted, _time(now)))
        except RefusedError as error:
            if error.refusal.status != 409 or attempt == _TRIES:
                raise
            continue
        return True
    return False


def _read(client: Client, path: str, node: str) -> _Node:
    try:
        return msgspec.json.decode(client.ask(Request(path)), type=_Node)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KubernetesError(f"node {printable(node)}: the server's answer is not a Node: {error}") from None


def _patch(path: str, node: _Node, there: _Condition | None, wanted: _Condition, moment: str) -> Request:
    condition: dict[str, str] = {**msgspec.structs.asdict(wanted), "lastHeartbeatTime": moment}
    if there is None or there.status != wanted.status:
        condition["lastTransitionTime"] = moment
    patch = {"metadata": {"resourceVersion": node.metadata.resource_version}, "status": {"conditions": [condition]}}
    return Request(f"{path}/status", {}, "PATCH", msgspec.json.encode(patch), "application/strategic-merge-patch+json")


def _time(now: Callable[[], datetime] | None) -> str:
    return (now() if now else datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
