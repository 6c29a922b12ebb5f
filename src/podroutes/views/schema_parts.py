"""The parts that JSON Schemas are made of: types, and what several documents have in common."""

from collections.abc import Mapping
from typing import Any

from podroutes.views.documents import API_VERSION

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def fields(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, about: str = "") -> Schema:
    """Return the schema of an object with these fields."""
    described = {"description": about} if about else {}
    return {
        "type": "object",
        **described,
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def array(items: Schema, about: str = "") -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **({"description": about} if about else {})}


def mapping(values: Schema, about: str = "") -> Schema:
    """Return the schema of an object whose keys are data."""
    return {"type": "object", "additionalProperties": values, **({"description": about} if about else {})}


def nullable(schema: Schema) -> Schema:
    """Return the schema of what may be null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def string(about: str = "") -> Schema:
    """Return the schema of text."""
    return {"type": "string", **({"description": about} if about else {})}


def count(about: str = "") -> Schema:
    """Return the schema of a number of things."""
    return {"type": "integer", "minimum": 0, **({"description": about} if about else {})}


def number(about: str = "") -> Schema:
    """Return the schema of a number."""
    return {"type": "number", **({"description": about} if about else {})}


def flag(about: str = "") -> Schema:
    """Return the schema of true or false."""
    return {"type": "boolean", **({"description": about} if about else {})}


def one_of(*words: str) -> Schema:
    """Return the schema of one of WORDS."""
    return {"type": "string", "enum": list(words)}


def document(title: str, required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of a whole document."""
    version = {"const": API_VERSION, "description": "the version of all documents of podroutes"}
    return {"$schema": DIALECT, "title": title, **fields({"apiVersion": version, **required}, optional)}


PREFIX = string("a network, ADDRESS/LENGTH")
ADDRESS = string("an IPv4 or IPv6 address")
CODE = {**string("a stable code, in kebab-case; `podroutes help CODE` explains it"), "pattern": "^[a-z0-9-]+$"}
NODE = string("the name of a node")
FIX = string("what to do")
SINCE = number("seconds since the epoch")
TIME = {**string("RFC 3339"), "format": "date-time"}

HOP = {
    "via": nullable(string("the next hop, null for a route to a device")),
    "dev": nullable(string("the device, null where it is not known")),
}
MORE = {
    "next_hops": array(fields(HOP), "where there are several"),
    "type": string("where it is not unicast: blackhole, unreachable, ..."),
    "metric": count("where it is not the default"),
    "protocol": string("who made it, where that is not podroutes"),
}
ROUTE = {"dst": PREFIX, **HOP}
OWNER = {"node": nullable(string("the node whose podCIDR it is, null where no node claims it"))}
RESULT = {"applied": flag("apply only: whether it was done"), "error": string("apply only: why it was not")}
CHANGE = fields(
    {"action": one_of("add", "replace", "delete"), **ROUTE, **OWNER},
    {**MORE, "was": fields(HOP, MORE, "replace only: the route before"), **RESULT},
)
FILE = fields(
    {
        "action": one_of("create", "replace", "edit", "delete"),
        "path": string(),
        "backend": nullable(string("null for what goes with every one")),
    },
    RESULT,
)
HOST = fields(
    {
        "action": one_of("create", "update", "replace", "delete", "set", "load"),
        "kind": one_of("nftables", "sysctl", "module"),
        "name": string("the table, the sysctl or the module"),
    },
    {
        "detail": string("what changes of the table"),
        "value": string("of the sysctl"),
        "was": nullable(string("its value before, null if unknown")),
        **RESULT,
    },
)
KEPT = fields({**ROUTE, **OWNER, "reason": string("why it is kept"), "code": CODE}, MORE)
PROBLEM = fields(
    {
        "severity": one_of("error", "warning", "info"),
        "code": CODE,
        "dst": nullable(string("the podCIDR, null where it is not about one")),
        "nodes": array(NODE),
        "message": string(),
        "fix": FIX,
    }
)
PROBLEMS = array(PROBLEM)
PLAN = {
    "node": nullable(NODE),
    "in_sync": flag("nothing has to be changed"),
    "changes": array(CHANGE),
    "unchanged": count("routes that stay as they are"),
    "problems": PROBLEMS,
}
PLAN_MORE = {
    "host": array(HOST, "sysctls, kernel modules and the masquerade table"),
    "files": array(FILE, "where files of podroutes keep the routes"),
    "held": array(CHANGE, "deletions that are too many to be made unasked"),
    "kept": array(KEPT, "routes that no node claims, and that are kept"),
}
