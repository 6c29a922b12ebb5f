"""Compares our routes with the administrator's own configuration: which it already persists, and which it contradicts.

A route in two configurations becomes two routes at the next boot, and one of them stays when the other is changed. So podroutes
does not persist a route that the administrator's file has, and names that file.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.configured import ConfiguredRoute, ConfiguredRoutes
from podroutes.model.persisted import OwnedRoutes, PersistedRoute
from podroutes.model.plan import Change, Plan
from podroutes.model.problem import Problem
from podroutes.model.route import Route
from podroutes.model.text import escaped, printable


class Overlap(NamedTuple):
    """Routes in the administrator's files, by destination."""

    same: dict[Prefix, ConfiguredRoute]  # equal to the desired route
    other: dict[Prefix, ConfiguredRoute]  # different from it: they would exist beside the desired route or override it
    unread: tuple[str, ...] = ()  # why some of the files could not be read


def overlap(wanted: Iterable[Route], configured: ConfiguredRoutes) -> Overlap:
    """Compare the WANTED routes with the CONFIGURED ones. Of several lines for one destination a different one counts."""
    routes = {route.dst: route for route in wanted}
    same: dict[Prefix, ConfiguredRoute] = {}
    other: dict[Prefix, ConfiguredRoute] = {}
    for line in configured.routes:
        route = routes.get(line.dst)
        if route is not None:
            (same if _is_same(line, route) else other).setdefault(line.dst, line)
    unread = tuple(why for _, why in configured.unread)
    return Overlap({dst: line for dst, line in same.items() if dst not in other}, other, unread)


def _is_same(line: ConfiguredRoute, route: Route) -> bool:
    device = line.by_gateway or line.dev in (None, route.dev)
    return line.kind == route.kind and line.via == route.via and device


def without_configured(routes: Sequence[PersistedRoute], lines: Overlap) -> list[PersistedRoute]:
    """Return the ROUTES that our files must persist: those without a line in the administrator's files."""
    return [route for route in routes if route.route.dst not in lines.same and route.route.dst not in lines.other]


def not_taken_over(plan: Plan, lines: Overlap) -> Plan:
    """Return PLAN without changes that take over routes of the administrator's configuration, which would add them again beside ours."""
    kept = tuple(change for change in plan.changes if not (_takes_over(change) and change.route.dst in lines.same))
    return plan._replace(changes=kept, problems=tuple(_explained(problem, lines) for problem in plan.problems))


def left_in_mind(plan: Plan, lines: Overlap, owned: OwnedRoutes, command: str) -> Plan:
    """Return PLAN with the advice for foreign routes where a file of ours has routes already: COMMAND makes ours count.

    A manager that has not done so since the routes were moved over adds those of its files of before.
    """
    ours = {dst for dst, _, _ in owned.written or ()} - lines.same.keys() - lines.other.keys()
    fix = f"it is there until the network manager reads its files, of which ours makes the wanted route: at the next boot, or now by {command}"
    problems = (
        problem._replace(fix=fix) if problem.code == "foreign-route" and problem.dst in ours else problem
        for problem in plan.problems
    )
    return plan._replace(problems=tuple(problems))


def _takes_over(change: Change) -> bool:
    return change.was is not None and not change.was.ours and change.was.protocol != change.route.protocol


def _explained(problem: Problem, lines: Overlap) -> Problem:
    """Return PROBLEM with the configuration line of the foreign route, if there is one."""
    if problem.code != "foreign-route" or problem.dst is None:
        return problem
    if line := lines.same.get(problem.dst):
        return problem._replace(fix=f"nothing has to be done: {_place(line)} makes this route at every boot")
    if line := lines.other.get(problem.dst):
        return problem._replace(fix=f"take {_described(line)} out of {_place(line)}, and delete the route")
    return problem


def problems(routes: Sequence[PersistedRoute], lines: Overlap) -> list[Problem]:
    """Return problems for the ROUTES to persist that are also in a file of the administrator."""
    found = []
    for route, node in routes:
        names = (node,) if node else ()
        prefix = f"node {printable(node)}: " if node else ""
        if line := lines.same.get(route.dst):
            message = f"{prefix}{_place(line)} makes {_described(line)} at every boot, too; podroutes leaves it there"
            found.append(Problem("warning", "also-configured", message, names, route.dst))
        elif line := lines.other.get(route.dst):
            message = f"{prefix}{_place(line)} makes {_described(line)} at every boot; wanted is via {route.via}"
            fix = f"take that line out of {_place(line)}, then run it again"
            found.append(Problem("error", "configured-differently", message, names, route.dst, fix))
    return found


def left_behind(changes: Iterable[Change], configured: Iterable[ConfiguredRoute]) -> list[Problem]:
    """Return problems for CHANGES that delete live routes which the administrator's configuration adds again at the next boot."""
    gone = {change.route.dst for change in changes if change.action == "delete"}
    return [
        Problem(
            "warning",
            "also-configured",
            f"{_place(line)} makes {_described(line)}: it is gone until the network manager reads its files again",
            (),
            line.dst,
            "reload the network manager, or take the line out",
        )
        for line in configured
        if line.dst in gone
    ]


def _place(line: ConfiguredRoute) -> str:
    return f"{escaped(line.path)}:{line.line}"


def _described(line: ConfiguredRoute) -> str:
    kind = "" if line.kind == "unicast" else f"{escaped(line.kind)} "
    via = f" via {line.via}" if line.via else ""
    dev = f" dev {escaped(line.dev)}" if line.dev and not line.by_gateway else ""
    return f"{kind}{line.dst}{via}{dev}"
