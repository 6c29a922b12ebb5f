"""Finds the object and the verb of a request."""

from typing import NamedTuple

from podroutes.lab.api import watching
from podroutes.lab.api.message import Refusal, Request
from podroutes.lab.api.resources import RESOURCES, Resource
from podroutes.lab.api.store import Key

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Target(NamedTuple):
    """What a path names: a collection, or an object (with NAME), or its SUBRESOURCE."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """The object's key in the store."""
        return Key(self.resource.name, self.namespace, self.name)


def target_of(path: str) -> Target:
    """Return the target of PATH. Raises Refusal 404 outside of the API, 403 for resources that the lab API lacks."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] != ["api", "v1"] and parts[:1] != ["apis"]:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    rest = parts[2:] if parts[0] == "api" else []
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = RESOURCES.get(rest[0]) if rest else None
    if resource is None or (namespace and not resource.namespaced):
        raise Refusal(403, "Forbidden", "the lab API has nodes and events only")
    name, subresource = (*rest[1:3], "", "")[:2]
    known = subresource == "" or (subresource == "status" and resource.status)
    if len(rest) > 3 or not known or (name and resource.namespaced and not namespace):
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return Target(resource, namespace, name, subresource)


def verb_of(request: Request, target: Target) -> str:
    """Return the verb of REQUEST. Raises Refusal 405 if TARGET does not support it."""
    verb = _VERBS.get(request.method)
    on_collection = not target.name
    if verb is None or (verb not in ("get", "create") and on_collection) or (verb == "create" and not on_collection):
        raise not_allowed(request.method)
    if verb == "delete" and target.subresource:
        raise not_allowed(request.method)
    if verb == "create" and target.resource.namespaced and not target.namespace:
        raise not_allowed(request.method)
    if verb == "get" and on_collection:
        return "watch" if watching.true(request.query, "watch") else "list"
    return verb


def not_allowed(method: str) -> Refusal:
    """Return the error for a METHOD that this path does not support."""
    return Refusal(405, "MethodNotAllowed", f"the server does not allow {method} here")
