"""Which deletions of a plan take a prefix away for good: no listed node claims it, and its owner has no new one instead.

A change of next hop, a renamed node and a renumbered one are no such deletions; neither is the removal of a second route to a
prefix that keeps one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes, PersistedRoute
from podroutes.model.plan import Plan
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import outside_limits
from podroutes.plan.ownership import ours


class Leaving(NamedTuple):
    """What a plan leaves without a route of ours.

    ``routes`` has one route for each such prefix, of the kernel or, where it has none, of a file of ours or held before;
    ``standing`` are all prefixes that routes of ours lead to before the plan is carried out.
    """

    routes: tuple[Route, ...] = ()
    standing: AbstractSet[tuple[int, int, int]] = frozenset()  # equal to prefixes, and made in a fraction of the time


def leaving(
    plan: Plan,
    stay: Callable[[], Iterable[PersistedRoute]],
    fib: Fib,
    owned: OwnedRoutes,
    *,
    held: Iterable[Route] = (),
) -> Leaving:
    """Return what PLAN, made from FIB and OWNED, leaves without a route of ours; STAY tells what is there after it.

    HELD are routes that were held before: they count as there although a link may have taken them along.
    """
    deleted = [change.route for change in plan.changes if change.action == "delete" and change.route.next_hops]
    if not owned.written and not held:
        return _of_kernel(plan, deleted, fib, owned) if deleted else Leaving()
    there = {route.dst: route for route in ours(fib, owned) if route.next_hops}
    links = {link.name for link in fib.links}
    for (dst, via, metric), dev in (owned.written or {}).items():
        if dev in links:  # what leaves by a device that is gone cannot be written down again
            there.setdefault(dst, Route(dst, (NextHop(via, dev),), metric, owned.protocol))
    for route in held:
        there.setdefault(route.dst, route)
    staying = {persisted_route.route.dst for persisted_route in stay()}
    return Leaving(tuple(route for dst, route in there.items() if dst not in staying), frozenset(there))


def _of_kernel(plan: Plan, deleted: list[Route], fib: Fib, owned: OwnedRoutes) -> Leaving:
    """Return what the plan leaves without a route where the kernel alone has any: by columns, as one node often goes of thousands."""
    others = [route.dst for route in ours(fib._replace(plain={}), owned) if route.next_hops]
    rows: list[tuple[int, int, int]] = [*others]
    for version, each in fib.plain.items():
        rows += zip([version] * len(each.dst), each.dst, each.length, strict=True)
    gone = {route.dst: route for route in reversed(deleted)}
    staying = {change.route.dst for change in plan.changes if change.action != "delete"}
    left = Counter(row for row in rows if row in gone)
    left.subtract(route.dst for route in deleted)
    routes = (route for dst, route in gone.items() if left[dst] <= 0 and dst not in staying)
    return Leaving(tuple(routes), frozenset(rows))


def vanishing(found: Leaving, cluster: Cluster, former: Mapping[Prefix, str]) -> dict[Prefix, str]:
    """Return the prefixes of FOUND that vanish, each with the name of the node it served, or its next hop where that is unknown.

    FORMER tells the node that each prefix served before. A route whose next hop is another node's by now does not count: what
    is sent there is lost already.
    """
    if not found.routes:
        return {}
    claims = [
        (node.name, dst) for node in cluster.nodes for dst in node.pod_cidrs if _within_limits(cluster, node, dst)
    ]
    claimed = {dst for _, dst in claims}
    lost = [route for route in found.routes if route.dst not in claimed]
    vias = {route.via for route in lost}
    holders: defaultdict[Address | None, set[str]] = defaultdict(set)
    for node in cluster.nodes if lost else ():
        for address in vias.intersection(node.internal_ips):
            holders[address].add(node.name)
    owners = {route.dst: former.get(route.dst) or min(holders[route.via], default=str(route.via)) for route in lost}
    new = _new(set(owners.values()), claims, found, former)
    return {
        route.dst: owner
        for route in lost
        if ((owner := owners[route.dst]) in holders[route.via] or not holders[route.via])
        and (owner, route.dst.version) not in new
    }


def _new(
    owners: AbstractSet[str], claims: Iterable[tuple[str, Prefix]], found: Leaving, former: Mapping[Prefix, str]
) -> set[tuple[str, int]]:
    """Return which of OWNERS claim a prefix that they did not have before, each with the IP version of that.

    Without a record of an owner, what has no route is new.
    """
    known = owners & set(former.values())
    return {
        (name, dst.version)
        for name, dst in claims
        if name in owners and (former.get(dst) != name if name in known else dst not in found.standing)
    }


def _within_limits(cluster: Cluster, node: Node, dst: Prefix) -> bool:
    """Whether the limits of CLUSTER let NODE have DST: a wrong limit is no proof that the pods are gone."""
    if not any(cluster[1:4]):
        return True
    if outside_limits(cluster, dst):
        return False
    return not cluster.node_cidrs or any(
        limit.covers(address) for limit in cluster.node_cidrs for address in node.internal_ips
    )
