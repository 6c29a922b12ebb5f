"""JSON Schemas of all documents that podroutes prints, and of its own inventory format (https://json-schema.org/draft/2020-12/schema).

Fields may be added in later versions; what is here keeps its name, type and meaning.
"""

from collections.abc import Callable

from podroutes.views.schema_parts import (
    ADDRESS,
    CODE,
    DIALECT,
    FIX,
    KEPT,
    MORE,
    NODE,
    OWNER,
    PLAN,
    PLAN_MORE,
    PREFIX,
    PROBLEMS,
    ROUTE,
    SINCE,
    TIME,
    Schema,
    array,
    count,
    document,
    fields,
    flag,
    mapping,
    nullable,
    number,
    one_of,
    string,
)


def _plan() -> Schema:
    return document("podroutes plan, apply and remove", PLAN, PLAN_MORE)


def _plan_all() -> Schema:
    return document("podroutes plan --all", {"nodes": array(fields(PLAN, PLAN_MORE))})


def _push() -> Schema:
    left = {
        "state": one_of("unchanged", "applied", "rolled-back", "returning", "unknown"),
        "error": nullable(string("why not everything was done")),
        "rolls_back_at": nullable(TIME),
        "connections": count("to this machine"),
    }
    return document("podroutes push plan, apply and remove", {"nodes": array(fields({**PLAN, **left}, PLAN_MORE))})


def _show() -> Schema:
    states = one_of("ok", "missing", "stale", "foreign", "unreachable")
    route = {**ROUTE, **OWNER, "protocol": string(), "state": states, "survives_reboot": flag()}
    more = {**{name: value for name, value in MORE.items() if name != "protocol"}, "kept": string("why it is kept")}
    return document("podroutes show", {"node": NODE, "routes": array(fields(route, more)), "problems": PROBLEMS})


_BLOCKS = array(
    fields({"sources": array(NODE), "destinations": array(PREFIX)}),
    "every pair of a source and a destination of one block",
)
_CAUSE = {"severity": one_of("unreachable", "cannot-tell", "warning"), "code": CODE, "node": nullable(NODE)}
_DOCTOR = {
    "node": nullable(string("null without an inventory")),
    "healthy": flag("nothing would stop pod traffic"),
    "findings": array(
        fields(
            {
                "code": CODE,
                "severity": one_of("error", "warning", "info"),
                "cause": string(),
                "evidence": array(string("what was read, and where")),
                "fix": array(string("a command")),
                "advice": FIX,
                "documentation": string("the command that explains it"),
            }
        )
    ),
    "unexamined": array(string("what could not be examined, and why")),
}
_REPAIRED = {
    "repaired": array(
        fields({"code": CODE, "sysctl": string(), "value": {}, "done": flag()}, {"error": string()}), "with --fix"
    )
}


def _verify() -> Schema:
    finding = {
        **_CAUSE,
        "part": nullable(string("the part of the podCIDR that it concerns")),
        "source_part": nullable(string("the part of the source's podCIDR that it concerns")),
        "route": nullable(string("the route that decides, as ip-route(8) prints it")),
        "detail": nullable(string()),
        "message": string(),
        "fix": FIX,
        "pairs": count(),
        "blocks": _BLOCKS,
    }
    result = {
        "source": NODE,
        "node": NODE,
        "address": ADDRESS,
        "pod": flag("whether a pod was asked; else the node itself answers, and its forwarding is not tested"),
        "sent": count("0 where there was no time"),
        "received": count(),
        "loss": nullable(number("from 0 to 1")),
        "fastest_ms": nullable(number()),
        "mean_ms": nullable(number()),
        "mtu": nullable(count("bytes, null where it was not measured")),
        "how": string("ping, or what else was sent"),
        "error": nullable(string()),
    }
    differs = {"source": NODE, "address": ADDRESS, "proven": flag(), "answered": flag()}
    probe = {
        "pairs": count("that there are"),
        "asked": count("pairs"),
        "lost": count("pairs that were asked and did not answer"),
        "results": array(fields(result)),
        "disagreements": array(fields(differs), "where packets did not do what the proof says"),
        "doctor": array(fields(_DOCTOR, _REPAIRED), "of both ends of each disagreement"),
    }
    proof = {
        "proven": flag(),
        "nodes": count("how many"),
        "pod_cidrs": count(),
        "pairs": count("of a node and another node's pod CIDR"),
        "unreachable": count("pairs"),
        "cannot_tell": count("pairs"),
        "not_seen": array(string("a node whose tables were not read")),
        "findings": array(fields(finding)),
        "problems": PROBLEMS,
        "assumed": array(string("what the proof does not examine")),
    }
    return document("podroutes verify and push verify", proof, {"probe": fields(probe)})


def _trace() -> Schema:
    hop = {
        "host": NODE,
        "iif": nullable(string("the device that it came in by")),
        "rule": nullable(string("the policy rule, as ip-rule(8) prints it")),
        "route": nullable(string("the route, as ip-route(8) prints it")),
        "kind": string("what was decided"),
        "before": nullable(count("the hop that it comes from, null for the first")),
    }
    end = {"hop": count(), "fate": string(), "detail": nullable(string())}
    cause = fields({**_CAUSE, "message": string(), "fix": FIX})
    return document(
        "podroutes trace",
        {
            "src": ADDRESS,
            "dst": ADDRESS,
            "delivered": flag(),
            "verdict": one_of("proven", "unreachable", "cannot-tell", "warning"),
            "hops": array(fields(hop)),
            "ends": array(fields(end)),
            "cause": nullable(cause),
        },
    )


def _doctor() -> Schema:
    return document("podroutes doctor", _DOCTOR, _REPAIRED)


def _agent() -> dict[str, Schema]:
    source = {
        "name": string("a path or a server"),
        "connected": flag(),
        "synced": flag("it has told all nodes once"),
        "error": nullable(string()),
        "nodes": count(),
        "heard": nullable(SINCE),
        "listed": nullable(SINCE),
        **{name: count() for name in ("changes", "heartbeats", "lists", "retries", "bytes")},
    }
    kinds = ("wanted", "installed", "foreign", "failed", "held", "contested")
    hold = {"since": SINCE, "routes": count(), "nodes": array(NODE), "digest": string(), "until": nullable(SINCE)}
    released = {"at": SINCE, "routes": count(), "nodes": array(NODE), "reason": string()}
    contested = {"dst": PREFIX, "losses": count(), "rival": nullable(string("a program")), "until": SINCE}
    counters = {
        **{name: mapping(count()) for name in ("passes", "changes", "releases")},
        **{
            name: count()
            for name in ("refused", "healed", "holds", "overflows", "connections_refused", "log_lines_dropped")
        },
    }
    errors = ("error", "state_error", "listen_error", "log_error")
    return {
        "version": string(),
        "node": NODE,
        "pid": count(),
        "started": SINCE,
        "ready": flag(),
        "reason": nullable(string("why it is not ready")),
        "source": fields(source),
        "routes": fields({kind: count() for kind in kinds}),
        "hold": nullable(fields(hold)),
        "released": nullable(fields(released)),
        "contested": array(fields(contested)),
        "kept": array(KEPT),
        "failures": mapping(string(), "by pod CIDR: why a change was refused"),
        "problems": PROBLEMS,
        "last_pass": nullable(SINCE),
        "last_duration": number("seconds"),
        **{name: nullable(string()) for name in errors},
        "counters": fields(counters),
    }


def _status() -> Schema:
    return document("podroutes status, and /status of an agent", _agent())


def _status_all() -> Schema:
    version = string("the version of the agent's document; missing where it is older")
    node = {
        "node": NODE,
        "state": one_of("in-sync", "attention", "not-ready", "silent"),
        "error": nullable(string("why it says nothing")),
        "status": nullable(fields(_agent(), {"apiVersion": version}, "what the agent says, null where it is silent")),
    }
    shown = {"in_sync": flag("all of them"), "nodes": array(fields(node))}
    return document("podroutes status --all", shown)


def _confirm() -> Schema:
    return document("podroutes confirm", {"routes": count(), "nodes": array(NODE), "digest": string()})


_LAB_NODE = {"name": NODE, "internalIPs": array(ADDRESS), "interface": string(), "pod": array(ADDRESS)}


def _lab_status() -> Schema:
    lab = {
        "name": string(),
        "pid": count(),
        "cluster": mapping(array(PREFIX)),
        "nodes": array(fields(_LAB_NODE, {"podCIDRs": array(PREFIX)})),
    }
    api = {"url": string(), "ended": nullable({"type": "integer"})}
    more = {
        "api": fields(api),
        "agents": mapping(nullable({"type": "integer"}), "null where it runs, else its exit status"),
    }
    failed = array(fields({"name": string(), "error": string()}))
    return document("podroutes lab status", {"labs": array(fields(lab, more))}, {"errors": failed})


def _lab_ping() -> Schema:
    failure = {"source": NODE, "destination": NODE, "address": ADDRESS, "reason": string()}
    shown = {"lab": string(), "pairs": count(), "answered": count(), "failures": array(fields(failure))}
    return document("podroutes lab ping", shown)


def _test() -> Schema:
    kinds = one_of("pod-to-pod", "pod-to-node", "node-to-pod", "pod-to-outside")
    failure = {
        "kind": kinds,
        "source": NODE,
        "source_address": ADDRESS,
        "destination": NODE,
        "address": ADDRESS,
        "reason": string("why the packet was not answered, or the source address that it arrived with"),
    }
    return document(
        "podroutes test",
        {
            "lab": string("the name of the lab"),
            "passed": flag("all tests passed, and there was at least one"),
            "tests": count("tests that were made"),
            "untested": count("pairs beyond the limit, which were not tested"),
            "kinds": array(fields({"kind": kinds, "tests": count("of this kind"), "failures": count("of this kind")})),
            "failures": array(fields(failure)),
        },
    )


def _version() -> Schema:
    system = fields({"name": string(), "release": string(), "machine": string()})
    packages = mapping(nullable(string()), "null where it is not installed")
    shown = {"version": string(), "python": string(), "executable": string(), "system": system, "packages": packages}
    return document("podroutes version", shown)


def _config() -> Schema:
    variable = {"name": string(), "value": string(), "option": nullable(string("null where no option reads it"))}
    option = {
        "option": string(),
        "value": string(),
        "place": string("FILE:LINE"),
        "replaced_by": nullable(string("the variable or place that counts before it")),
    }
    file = {"path": string(), "exists": flag(), "options": array(fields(option))}
    return document("podroutes config", {"environment": array(fields(variable)), "files": array(fields(file))})


def _error() -> Schema:
    kind = {
        "code": string("the kind of failure, in one word: usage, inventory, identity, kernel, ..."),
        "message": string(),
    }
    return document("a failure, of every command", {"error": fields(kind)})


def _inventory() -> Schema:
    prefixes = {"anyOf": [PREFIX, array(PREFIX)]}
    addresses = {"anyOf": [ADDRESS, array(ADDRESS)]}
    limits = {
        "podCIDR": "no node may have a podCIDR outside of it",
        "nodeCIDR": "no InternalIP outside of it is used",
        "serviceCIDR": "no podCIDR may overlap it",
    }
    cluster = {
        f"{key}{plural}": {**prefixes, "description": about} for key, about in limits.items() for plural in ("", "s")
    }
    node = {
        **dict.fromkeys(("internalIP", "internalIPs"), addresses),
        **dict.fromkeys(("podCIDR", "podCIDRs"), prefixes),
        "interface": string("the device towards the other nodes, for a machine that we are not on"),
        "creationTimestamp": string("as the Kubernetes API has it"),
        "uid": string("as the Kubernetes API has it"),
    }
    nodes = array({**fields({"name": NODE}, node), "additionalProperties": False})
    closed = {**fields({}, cluster), "additionalProperties": False}
    return {
        "$schema": DIALECT,
        "title": "podroutes inventory",
        **fields({"nodes": nodes}, {"cluster": closed, "routers": nodes}),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, tuple[str, Callable[[], Schema]]] = {
    "inventory": ("podroutes' own inventory format, for editors", _inventory),
    "plan": ("plan, apply, remove", _plan),
    "plan-all": ("plan --all", _plan_all),
    "show": ("show", _show),
    "verify": ("verify, push verify", _verify),
    "trace": ("trace", _trace),
    "doctor": ("doctor", _doctor),
    "push": ("push plan, push apply, push remove", _push),
    "status": ("status, and /status of an agent", _status),
    "status-all": ("status --all", _status_all),
    "confirm": ("confirm", _confirm),
    "lab-status": ("lab status", _lab_status),
    "lab-ping": ("lab ping", _lab_ping),
    "test": ("test", _test),
    "version": ("version", _version),
    "config": ("config", _config),
    "error": ("every command that fails", _error),
}


def schema(name: str) -> Schema:
    """Return the schema NAME, one of SCHEMAS."""
    return SCHEMAS[name][1]()
