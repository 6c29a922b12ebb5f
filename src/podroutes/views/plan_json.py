"""Converts values into the stable JSON documents that scripts rely on."""

from collections.abc import Iterable
from typing import Any

from podroutes.model.host_change import HostChange
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Kept, Outcome, Plan
from podroutes.model.problem import Problem
from podroutes.model.route import Route, protocol_name
from podroutes.model.route_state import Entry


def plan(plan: Plan) -> dict[str, Any]:
    """Return a plan.

    ``host`` is present if host settings change, ``files`` if our files persist the routes, ``held`` if deletions are held, ``kept`` if routes are kept that no
        honoured claim wants.
    """
    return {
        "node": plan.node or None,
        "in_sync": plan.in_sync,
        "changes": [change(other_change) for other_change in plan.changes],
        **({"host": [setting(each) for each in plan.host]} if plan.host else {}),
        **({"files": [file(each) for each in plan.files]} if plan.files is not None else {}),
        **({"held": [change(deletion) for deletion in plan.held]} if plan.held else {}),
        "unchanged": plan.unchanged,
        **({"kept": [kept(kept_route) for kept_route in plan.kept]} if plan.kept else {}),
        "problems": [problem(each) for each in plan.problems],
    }


def outcome(outcome: Outcome) -> dict[str, Any]:
    """Return a plan that was carried out: as ``plan``, with what became of each change and file."""
    shown = plan(outcome.plan)
    shown["changes"] = [
        change(result.change) | _applied(result.refusal.text if result.refusal else None) for result in outcome.routes
    ]
    if "files" in shown:
        shown["files"] = [file(result.change) | _applied(result.failure) for result in outcome.files]
    if "host" in shown:
        shown["host"] = [setting(result.change) | _applied(result.failure) for result in outcome.host]
    return shown


def _applied(failure: str | None) -> dict[str, Any]:
    return {"applied": True} if failure is None else {"applied": False, "error": failure}


def file(change: FileChange) -> dict[str, Any]:
    """Return a file change. ``backend`` is null for files that belong to all backends."""
    return {"action": change.action, "path": change.file.path, "backend": change.backend or None}


def setting(change: HostChange) -> dict[str, Any]:
    """Return a change of a host setting. ``value`` and ``was`` are those of a sysctl."""
    shown = {"action": change.action, "kind": change.kind, "name": change.name}
    if change.kind == "sysctl":
        return {**shown, "value": change.value, "was": change.was or None}
    return {**shown, "detail": change.detail} if change.detail else shown


def change(change: Change) -> dict[str, Any]:
    """Return a change. ``was`` is present for a replace."""
    shown = {"action": change.action, **_route(change.route), "node": change.node}
    if change.was:
        was = _route(change.was)
        del was["dst"]
        was.pop("protocol", None)
        if change.was.protocol != change.route.protocol:
            was["protocol"] = protocol_name(change.was.protocol)
        shown["was"] = was
    return shown


def kept(kept: Kept) -> dict[str, Any]:
    """Return a kept route with its reason."""
    return {**_route(kept.route), "node": kept.node, "reason": kept.reason, "code": kept.code}


def _route(route: Route) -> dict[str, Any]:
    shown: dict[str, Any] = {"dst": str(route.dst), "via": str(route.via) if route.via else None, "dev": route.dev}
    if len(route.next_hops) > 1:
        shown["next_hops"] = [{"via": str(hop.via) if hop.via else None, "dev": hop.dev} for hop in route.next_hops]
    if route.kind != "unicast":
        shown["type"] = route.kind
    if route.metric and not (route.dst.version == 6 and route.metric == 1024):  # defaults are omitted
        shown["metric"] = route.metric
    if not route.ours:
        shown["protocol"] = protocol_name(route.protocol)
    return shown


def problem(problem: Problem) -> dict[str, Any]:
    """Return a problem. ``dst`` is null if it is not about one podCIDR."""
    return {
        "severity": problem.severity,
        "code": problem.code,
        "dst": str(problem.dst) if problem.dst else None,
        "nodes": list(problem.nodes),
        "message": problem.message,
        "fix": problem.advice,
    }


def survey(node: str, entries: Iterable[Entry], problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the routes of one machine with their states."""
    return {
        "node": node,
        "routes": [
            {
                **_route(entry.route),
                "protocol": protocol_name(entry.route.protocol),
                "node": entry.node,
                "state": entry.state,
                "survives_reboot": entry.lasts,
                **({"boot": entry.boot} if entry.boot else {}),
                **({"kept": entry.kept} if entry.kept else {}),
            }
            for entry in entries
        ],
        "problems": [problem(each) for each in problems],
    }
