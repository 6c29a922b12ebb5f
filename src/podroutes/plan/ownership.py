"""Ownership of routes: a route is ours if it has our protocol number, or if one of our files made a network manager add it.

netplan and NetworkManager profiles have no protocol setting and add static routes. With such a file our routes are static in the
kernel, too, or each would exist twice after the next boot; the file shows which static routes are ours. The difference is then
computed as if these had our number (``claimed``), and converted back to their real protocol (``restored``).
"""

from collections.abc import Collection, Iterator

from podroutes.model.address import LINK_LOCAL, Prefix
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.linux import RouteProtocol
from podroutes.model.persisted import OwnedRoutes, PersistedRoute, written
from podroutes.model.plan import Change, Plan
from podroutes.model.route import PROTOCOL, NextHop, Route
from podroutes.plan.desired import Desired
from podroutes.plan.difference import Difference, in_order

_STATIC = int(RouteProtocol.STATIC)


def ours(fib: Fib, owned: OwnedRoutes) -> Iterator[Route]:
    """Yield our routes in the main table as they are in the kernel, in no particular order."""
    yield from fib.ours()
    yield from _by_file(fib, owned)


def _by_file(fib: Fib, owned: OwnedRoutes) -> list[Route]:
    """Return the static routes that are ours because one of our files has them."""
    if not owned.static:
        return []
    rows = (route for route in fib.others if route.protocol == _STATIC and written(route) in owned.static)
    return [route for route in rows if _is_plain_but_static(route)]


def _is_plain_but_static(route: Route) -> bool:
    """Return whether a static ROUTE has a device, and no attribute that podroutes does not write."""
    return route.dev is not None and route == Route(route.dst, route.next_hops, route.metric, _STATIC)


def claimed(fib: Fib, owned: OwnedRoutes) -> Fib:
    """Return FIB with our protocol number on all our routes; the same object if all have it."""
    static = _by_file(fib, owned)
    if not static:
        return fib
    gone = set(static)
    plain = {version: _merged(fib.plain[version], static) for version in fib.plain}
    return fib._replace(plain=plain, others=tuple(route for route in fib.others if route not in gone))


def _merged(columns: PlainRoutes, static: list[Route]) -> PlainRoutes:
    """Return COLUMNS with rows added for STATIC routes of the same IP version, in the order of a dump."""
    rows = list(zip(*columns[1:], strict=True))
    rows += [
        (route.dst.value, route.dst.length, route.via.value, route.dev or "", route.metric)
        for route in static
        if route.via and route.dst.version == columns.version
    ]
    if not rows:
        return columns
    rows.sort()
    return PlainRoutes(columns.version, *map(list, zip(*rows, strict=True)))


def restored(difference: Difference, fib: Fib, owned: OwnedRoutes, desired: Desired) -> Difference:
    """Return DIFFERENCE, a difference against ``claimed``, with the real present protocols and the desired ones.

    A correct route with another protocol is replaced by the same route with the desired one.
    """
    static = {written(route) for route in _by_file(fib, owned)}
    if not static and owned.protocol == PROTOCOL:
        return difference

    def real(route: Route) -> Route:
        return route._replace(protocol=_STATIC) if route.ours and written(route) in static else route

    changes = [
        Change(change.action, real(change.route))
        if change.action == "delete"
        else change._replace(
            route=change.route._replace(protocol=owned.protocol), was=real(change.was) if change.was else None
        )
        for change in difference.changes
    ]
    leaving = {change.was or change.route for change in changes if change.action != "add"}
    names = node_names(desired)
    renumbered = [
        Change("replace", route._replace(protocol=owned.protocol), names.get(route.dst), route)
        for route in ours(fib, owned)
        if route.protocol != owned.protocol and route not in leaving
    ]
    return difference._replace(
        changes=tuple(sorted([*changes, *renumbered], key=in_order)), unchanged=difference.unchanged - len(renumbered)
    )


def node_names(desired: Desired) -> dict[Prefix, str]:
    """Return the node of each honoured destination."""
    names = {claim.dst: claim.node.name for wanted in desired.wanted.values() for claim in wanted.claims}
    return names | {problem.dst: problem.nodes[0] for problem in desired.problems if problem.dst}


def standing(plan: Plan, desired: Desired, fib: Fib, owned: OwnedRoutes) -> list[PersistedRoute]:
    """Return our routes after PLAN, and those that wait for a link: the routes to persist."""
    names = node_names(desired)
    leaving = {change.was or change.route for change in plan.changes if change.action != "add"}
    there = {
        route: names.get(route.dst) or _incumbent(desired, route) for route in ours(fib, owned) if route not in leaving
    }
    there |= {change.route: change.node for change in plan.changes if change.action != "delete"}
    present = {route.dst for route in there}
    there |= {change.route: change.node for change in plan.held if change.route.dst not in present}  # only in a file
    routes = [PersistedRoute(route, node) for route, node in there.items() if route.via and route.dev]
    if desired.incumbents:
        present = {route.dst for route in there}
        routes += [each for dst, each in _waiting(desired, fib, owned).items() if dst not in present]
    routes += _displaced(plan, desired, fib, owned, {route.route.dst for route in routes})
    return sorted(routes, key=lambda persisted_route: (persisted_route.route.dst, persisted_route.route.metric))


def _displaced(
    plan: Plan, desired: Desired, fib: Fib, owned: OwnedRoutes, present: Collection[Prefix]
) -> Iterator[PersistedRoute]:
    """Yield the desired routes to destinations of our files in whose place a network manager has a static route of its own.

    A manager that still has the administrator's configuration from before routes were moved over adds these when a carrier comes back. The
    next boot reads our files alone, which must not lose the routes meanwhile.
    """
    foreign = {problem.dst for problem in plan.problems if problem.code == "foreign-route"} - set(present)
    if not foreign or not owned.written:
        return
    static = {route.dst for route in fib.others if route.protocol == _STATIC}
    metrics = {dst: metric for dst, _, metric in owned.written if dst in foreign and dst in static}
    for wanted in desired.wanted.values() if metrics else ():
        for claim, via, dev in zip(wanted.claims, wanted.vias, wanted.routes.dev, strict=True):
            if claim.dst in metrics and dev:
                route = Route(claim.dst, (NextHop(via, dev),), metrics[claim.dst], owned.protocol)
                yield PersistedRoute(route, claim.node.name)


def _waiting(desired: Desired, fib: Fib, owned: OwnedRoutes) -> dict[Prefix, PersistedRoute]:
    """Return the persisted routes that went with a link which is down or has lost its addresses: it restores them when up.

    A link that has addresses, even of other networks, will not restore them.
    """
    names = node_names(desired)
    down = {problem.dst for problem in desired.problems if problem.code == "link-down"}
    waiting = {
        dst: PersistedRoute(route._replace(protocol=owned.protocol), names.get(dst))
        for dst, route in desired.out_of_reach.items()
        if dst in down and route.via and route.dev
    }
    up = {link.name for link in fib.links if link.up and link.carrier}
    ready = {
        (address.dev, address.address.version) for address in fib.addresses if not LINK_LOCAL.covers(address.address)
    }
    links = {link.name for link in fib.links}
    for (dst, via, metric), dev in (owned.written or {}).items():
        node = desired.incumbents.get(dst, {}).get(via)
        if node and dev in links and not (dev in up and (dev, via.version) in ready):
            waiting[dst] = PersistedRoute(Route(dst, (NextHop(via, dev),), metric, owned.protocol), node)
    return waiting


def back(then: Fib, before: OwnedRoutes, now: Fib, after: OwnedRoutes) -> tuple[Change, ...]:
    """Return the changes from the present FIB to our routes in the FIB THEN, with ownership BEFORE."""
    old, new = ({_place(route): route for route in ours(*each)} for each in ((then, before), (now, after)))
    changes = [
        Change("replace" if place in new else "add", route, None, new.get(place))
        for place, route in old.items()
        if new.get(place) != route
    ]
    changes += [Change("delete", route) for place, route in new.items() if place not in old]
    return tuple(sorted(changes, key=in_order))


def _place(route: Route) -> tuple[object, ...]:
    return route.dst, route.metric, route.tos


def _incumbent(desired: Desired, route: Route) -> str | None:
    return desired.incumbents.get(route.dst, {}).get(route.via) if route.via else None


def lasts(route: Route, owned: OwnedRoutes) -> bool:
    """Return whether one of our files restores ROUTE at boot."""
    return owned.written is None or written(route) in owned.written
