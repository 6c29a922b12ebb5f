"""What an agent tells the cluster: Events about its node, and the condition NetworkUnavailable where it is asked to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from podroutes.errors import KubernetesError
from podroutes.kubernetes.client import NODES, Client, RefusedError, Request
from podroutes.model.text import printable

NAMESPACE = "default"  # where Events about things without a namespace belong
_CONDITION = "NetworkUnavailable"
_OURS = "Podroutes"  # how our reasons begin; any other is somebody else's
_TRIES = 3  # how often a node that changes under our hands is read again
_LONGEST = 1024  # characters of an Event's message that the API takes


class Note(NamedTuple):
    """Something worth an Event. ``reason`` is one CamelCase word, ``node`` the node that it is about."""

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
    """Create an Event for NOTE, told by the agent on the machine INSTANCE. Raises KubernetesError.

    `kubectl describe node` shows it. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    moment = _time(now)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{note.node}.", "namespace": NAMESPACE},
        # The kubelet writes the name as uid, too, and that is what kubectl looks for.
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
    """Set NetworkUnavailable of NODE to the contrary of AVAILABLE; return whether it says so now.

    False where the condition is somebody else's: it is left alone. Written only when it changes, and only if the node
    has not changed since it was read. Raises KubernetesError.
    https://kubernetes.io/docs/reference/node/node-status/#condition
    """
    wanted = _Condition(
        _CONDITION, "False" if available else "True", f"{_OURS}{'InSync' if available else 'OutOfSync'}", message
    )
    path = f"{NODES}/{quote(node, safe='')}"
    for attempt in range(1, _TRIES + 1):
        found = _read(client, path, node)
        there = next(
            (each for each in (found.status or _Conditions()).conditions or () if each.type == _CONDITION), None
        )
        if there and there.reason and not there.reason.startswith(_OURS):
            return False
        if there == wanted:
            return True
        try:
            client.ask(_patch(path, found, there, wanted, _time(now)))
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
        raise KubernetesError(f"node {printable(node)}: the server's answer is no Node: {error}") from None


def _patch(path: str, found: _Node, there: _Condition | None, wanted: _Condition, moment: str) -> Request:
    told: dict[str, str] = {**msgspec.structs.asdict(wanted), "lastHeartbeatTime": moment}
    if there is None or there.status != wanted.status:
        told["lastTransitionTime"] = moment
    patch = {"metadata": {"resourceVersion": found.metadata.resource_version}, "status": {"conditions": [told]}}
    return Request(f"{path}/status", {}, "PATCH", msgspec.json.encode(patch), "application/strategic-merge-patch+json")


def _time(now: Callable[[], datetime] | None) -> str:
    return (now() if now else datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
