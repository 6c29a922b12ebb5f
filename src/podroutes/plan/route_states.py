"""The states of all desired routes and of all routes of ours."""

from collections.abc import Iterator, Mapping

from podroutes.model.address import Prefix
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.route_state import Entry
from podroutes.plan.ownership import lasts, node_names, ours
from podroutes.plan.planning import Planned


def survey(
    planned: Planned,
    fib: Fib,
    owned: OwnedRoutes,
    configured: Mapping[Prefix, ConfiguredRoute] = {},
    hindered: Mapping[str, str] = {},
) -> list[Entry]:
    """Return an entry for each route of ours in FIB and each desired one, in order of destination.

    CONFIGURED has the line of the administrator's files that makes the wanted route to a destination at the next boot, HINDERED by
    device why a file of ours does not.
    """
    entries = sorted(_entries(planned, fib, owned), key=lambda entry: (entry.route.dst, entry.route.metric))
    reasons = {(kept_route.route.dst, kept_route.route.via): kept_route.reason for kept_route in planned.plan.kept}
    return [
        _at_boot(entry, owned, configured, hindered)._replace(kept=reasons.get((entry.route.dst, entry.route.via), ""))
        for entry in entries
    ]


def _at_boot(
    entry: Entry, owned: OwnedRoutes, configured: Mapping[Prefix, ConfiguredRoute], hindered: Mapping[str, str]
) -> Entry:
    """Return ENTRY with what the next boot makes of it."""
    if line := configured.get(entry.route.dst):
        return entry._replace(lasts=True, boot=line.place)
    if entry.state == "foreign" or not lasts(entry.route, owned):
        return entry
    why = hindered.get(entry.route.dev or "", "")
    return entry._replace(lasts=not why, boot=why)


def _entries(planned: Planned, fib: Fib, owned: OwnedRoutes) -> Iterator[Entry]:
    plan, desired = planned
    nodes = node_names(desired)
    leaving = {change.route for change in plan.changes if change.action == "delete"}
    leaving |= {change.was for change in plan.changes if change.was}
    here = tuple(ours(fib, owned))
    overruled = plan.overruled | {
        problem.dst for problem in plan.problems if problem.code == "foreign-route" and problem.severity == "error"
    }
    for route in here:
        incumbent = desired.incumbents.get(route.dst, {})
        node = nodes.get(route.dst) or (incumbent.get(route.via) if route.via else None)
        if route in leaving:
            yield Entry(route, node, "stale")
        elif route.dst in overruled:
            yield Entry(route, node, "foreign")
        elif route.dst in desired.out_of_reach or any(hop.dead for hop in route.next_hops):
            yield Entry(route, node, "unreachable")
        else:
            yield Entry(route, node, "ok")
    yield from (Entry(change.route, change.node, "missing") for change in plan.changes if change.action == "add")
    present = {route.dst for route in here}
    for dst, route in desired.out_of_reach.items():
        if dst not in present:
            yield Entry(route, nodes.get(dst), "unreachable")
    mine = set(here)
    foreign = {problem.dst for problem in plan.problems if problem.code == "foreign-route"}
    yield from (
        Entry(route, nodes.get(route.dst), "foreign")
        for route in fib.others
        if route.dst in foreign and route not in mine
    )
