"""Finds the deletions that leave a prefix without a route: no listed node claims it, and its owner has no new one instead.

A change of next hop, a renamed node and a renumbered one are not such deletions, nor is the removal of one of two routes to a
prefix.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.changes import counts
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes, PersistedRoute
from podroutes.model.plan import Plan
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import outside_limits
from podroutes.plan.ownership import ours


class Leaving(NamedTuple):
    """The prefixes that a plan leaves without a route of ours.

    ``routes`` has one route for each such prefix: of the kernel or else of a file of ours or a held one. ``standing`` are all
        prefixes with a route of ours before the plan.
    """

    routes: tuple[Route, ...] = ()
    standing: AbstractSet[tuple[int, int, int]] = frozenset()  # equal to prefixes, but much cheaper to create


def leaving(
    plan: Plan,
    stay: Callable[[], Iterable[PersistedRoute]],
    fib: Fib,
    owned: OwnedRoutes,
    *,
    held: Iterable[Route] = (),
) -> Leaving:
    """Return the prefixes that PLAN, made from FIB and OWNED, leaves without a route of ours. STAY are the routes after it.

    HELD are routes that were held before. They count as present although a link may have removed them.
    """
    deletes = plan.changes if counts(plan.changes)["delete"] else ()
    deleted = [change.route for change in deletes if change.action == "delete" and change.route.next_hops]
    if not owned.written and not held:
        return _of_kernel(plan, deleted, fib, owned) if deleted else Leaving()
    there = {route.dst: route for route in ours(fib, owned) if route.next_hops}
    links = {link.name for link in fib.links}
    for (dst, via, metric), dev in (owned.written or {}).items():
        if dev in links:  # a route over a missing device cannot be persisted again
            there.setdefault(dst, Route(dst, (NextHop(via, dev),), metric, owned.protocol))
    for route in held:
        there.setdefault(route.dst, route)
    staying = {persisted_route.route.dst for persisted_route in stay()}
    return Leaving(tuple(route for dst, route in there.items() if dst not in staying), frozenset(there))


def _of_kernel(plan: Plan, deleted: list[Route], fib: Fib, owned: OwnedRoutes) -> Leaving:
    """Return the prefixes without a route if only the kernel has routes: by columns, for one deleted node of thousands."""
    others = [route.dst for route in ours(fib._replace(plain={}), owned) if route.next_hops]
    rows: list[tuple[int, int, int]] = [*others]
    for version, columns in fib.plain.items():
        rows += zip([version] * len(columns.dst), columns.dst, columns.length, strict=True)
    gone = {route.dst: route for route in reversed(deleted)}
    staying = {change.route.dst for change in plan.changes if change.action != "delete"}
    left = Counter(row for row in rows if row in gone)
    left.subtract(route.dst for route in deleted)
    routes = (route for dst, route in gone.items() if left[dst] <= 0 and dst not in staying)
    return Leaving(tuple(routes), frozenset(rows))


def vanishing(found: Leaving, cluster: Cluster, former: Mapping[Prefix, str]) -> dict[Prefix, str]:
    """Return the prefixes of FOUND that vanish, each with the name of its node, or its next hop if the node is unknown.

    FORMER has the node that each prefix served. A route whose next hop is now another node's does not count: its packets are
        lost already.
    """
    if not found.routes:
        return {}
    gone = {route.dst for route in found.routes}
    claimed = {
        dst
        for node in cluster.nodes
        if not gone.isdisjoint(node.pod_cidrs)
        for dst in gone.intersection(node.pod_cidrs)
        if _within_limits(cluster, node, dst)
    }
    lost = [route for route in found.routes if route.dst not in claimed]
    if not lost:
        return {}
    vias = {route.via for route in lost}
    holders: defaultdict[Address | None, set[str]] = defaultdict(set)
    for node in cluster.nodes:
        if not vias.isdisjoint(node.internal_ips):
            for address in vias.intersection(node.internal_ips):
                holders[address].add(node.name)
    owners = {route.dst: former.get(route.dst) or min(holders[route.via], default=str(route.via)) for route in lost}
    names = set(owners.values())
    claims = [
        (node.name, dst)
        for node in cluster.nodes
        if node.name in names
        for dst in node.pod_cidrs
        if _within_limits(cluster, node, dst)
    ]
    new = _new(names, claims, found, former)
    return {
        route.dst: owner
        for route in lost
        if ((owner := owners[route.dst]) in holders[route.via] or not holders[route.via])
        and (owner, route.dst.version) not in new
    }


def _new(
    owners: AbstractSet[str], claims: Iterable[tuple[str, Prefix]], found: Leaving, former: Mapping[Prefix, str]
) -> set[tuple[str, int]]:
    """Return the OWNERS that claim a prefix which they did not have before, each with its IP version.

    Without a record of an owner, a prefix without a route is new.
    """
    known = owners & set(former.values())
    return {
        (name, dst.version)
        for name, dst in claims
        if name in owners and (former.get(dst) != name if name in known else dst not in found.standing)
    }


def _within_limits(cluster: Cluster, node: Node, dst: Prefix) -> bool:
    """Return whether the limits of CLUSTER permit DST for NODE: a wrong limit does not prove that the pods are gone."""
    if not any(cluster.limits):
        return True
    if outside_limits(cluster, dst):
        return False
    return not cluster.node_cidrs or any(
        limit.covers(address) for limit in cluster.node_cidrs for address in node.internal_ips
    )
