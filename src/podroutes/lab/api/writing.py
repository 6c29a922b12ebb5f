"""Validation of writes: the rules of the real API for Nodes, and those for all objects."""

import ipaddress
import re
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from podroutes.lab.api.message import Document, bad_request, conflict, invalid
from podroutes.lab.api.resources import API_VERSION, NODES, Resource

# metadata that only the server sets
_OWN = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")  # RFC 1123
_LONGEST_NAME = 253
_FROZEN = 'Forbidden: node updates may not change podCIDR except from "" to valid'


def created(resource: Resource, namespace: str, document: Any) -> Document:
    """Return DOCUMENT in the form in which it is created. Raises Refusal if it is invalid."""
    fresh = _checked(resource, document)
    metadata = dict(fresh["metadata"])
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise invalid(resource.kind, "", "metadata.name", "Required value: name or generateName is required")
    if not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise invalid(
            resource.kind,
            name,
            "metadata.name",
            f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '
            "'-' or '.', and must start and end with an alphanumeric character",
        )
    if resource.namespaced:
        if metadata.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata.pop("namespace", None)
    for key in _OWN:
        metadata.pop(key, None)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
    fresh = _arranged(resource, {**fresh, "metadata": metadata})
    _check_pod_cidrs(resource, name, (), fresh)
    return fresh


def updated(resource: Resource, before: Document, wanted: Any, subresource: str) -> Document:
    """Return BEFORE updated with WANTED on SUBRESOURCE ("" or "status"). Raises Refusal if it is invalid.

    The result has the resourceVersion of BEFORE. If both are equal, there is nothing to write.
    """
    fresh, old = _checked(resource, wanted), before["metadata"]
    metadata, name = dict(fresh["metadata"]), old["name"]
    if metadata.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if metadata.get("uid", old["uid"]) != old["uid"]:
        asked = metadata["uid"]
        why = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {old['uid']}"
        raise conflict(resource.name, name, why)
    if metadata.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(resource.name, name, why)
    for key in (*_OWN, "resourceVersion", "namespace"):
        metadata.pop(key, None)
        if key in old:
            metadata[key] = old[key]
    fresh = {**fresh, "metadata": metadata}
    if resource is NODES:  # spec and status are written separately: NodeStrategy of the real server
        other = "spec" if subresource else "status"
        fresh = {key: value for key, value in fresh.items() if key != other}
        fresh |= {other: before[other]} if other in before else {}
    fresh = _arranged(resource, fresh)
    _check_pod_cidrs(resource, name, pod_cidrs(before), fresh)
    return fresh


def marked(document: Document) -> Document:
    """Return DOCUMENT marked for deletion, for an object with finalizers."""
    marks = {"deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": 0}
    return {**document, "metadata": {**marks, **document["metadata"]}}


def pod_cidrs(document: Document) -> tuple[Any, ...]:
    """Return ``spec.podCIDRs``."""
    return tuple(document.get("spec", {}).get("podCIDRs") or ())


def timestamp() -> str:
    """Return the time in the API's format: RFC 3339, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _checked(resource: Resource, document: Any) -> Document:
    """Return DOCUMENT with its kind and apiVersion set. Raises Refusal if it is not an object of this kind."""
    if not isinstance(document, dict) or not isinstance(document.setdefault("metadata", {}), dict):
        raise bad_request("the object provided is unrecognized (must be of type " + resource.kind + ")")
    for key, wanted in (("kind", resource.kind), ("apiVersion", API_VERSION)):
        if document.get(key, wanted) != wanted:
            raise bad_request(f"{key} {document[key]} in the body is not {wanted}, as the URL says")
    for key in ("spec", "status"):
        if not isinstance(document.get(key, {}), dict):
            raise bad_request(f"cannot unmarshal {key}: it is not an object")
    labels = document["metadata"].get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise bad_request("cannot unmarshal metadata.labels: its values are strings")
    return document


def _arranged(resource: Resource, document: Document) -> Document:
    """Return DOCUMENT in the field order of the real API, with consistent podCIDR and podCIDRs for a Node.

    podCIDR wins if they differ, as in the conversion of k8s.io/kubernetes/pkg/apis/core/v1.
    """
    rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion", "metadata")}
    metadata = _without_empty(document["metadata"])
    arranged = {"kind": resource.kind, "apiVersion": API_VERSION, "metadata": metadata, **rest}
    if resource is NODES:
        spec = dict(document.get("spec", {}))
        one, several = spec.pop("podCIDR", None), spec.pop("podCIDRs", None) or []
        if not isinstance(several, list) or not isinstance(one, str | None):
            raise bad_request("cannot unmarshal spec: podCIDR is a string, podCIDRs a list of strings")
        if one and several[:1] != [one]:
            several = [one]
        pods = {"podCIDR": several[0], "podCIDRs": several} if several else {}
        arranged["spec"] = {**pods, **_without_empty(spec)}
        arranged["status"] = document.get("status", {})
    return arranged


def _without_empty(part: Document) -> Document:
    """Return PART without the empty fields that the real API omits: ``omitempty`` of its Go types."""
    return {key: value for key, value in part.items() if value is not False and value not in (None, "", {}, [])}


def _check_pod_cidrs(resource: Resource, name: str, before: tuple[Any, ...], document: Document) -> None:
    """Raise Refusal for invalid or changed podCIDRs: ValidateNode and ValidateNodeUpdate of the real server."""
    if resource is not NODES:
        return
    cidrs = pod_cidrs(document)
    if before:
        if cidrs != before:
            raise invalid(resource.kind, name, "spec.podCIDRs", _FROZEN)
        return
    versions = []
    for index, cidr in enumerate(cidrs):
        try:
            address, _, length = cidr.partition("/")
            versions.append(
                ipaddress.ip_interface((address, int(length))).version
            )  # host bits are accepted, as in the real server
        except (ValueError, AttributeError):
            why = f'Invalid value: "{cidr}": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
            raise invalid(resource.kind, name, f"spec.podCIDRs[{index}]", why) from None
    if len(set(versions)) < len(versions):
        raise invalid(
            resource.kind, name, "spec.podCIDRs", "Invalid value: may specify no more than one CIDR for each IP family"
        )
