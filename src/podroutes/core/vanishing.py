"""Which deletions of a plan take a prefix away for good: no listed node claims it, and its owner has no new one instead.

A change of next hop, a renamed node and a renumbered one are no such deletions; neither is the removal of a second route to a
prefix that keeps one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from podroutes.core.ownership import ours
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.lasting import Lasting, Ledger
from podroutes.model.plan import Plan
from podroutes.model.route import NextHop, Route


class Leaving(NamedTuple):
    """What a plan leaves without a route of ours.

    ``routes`` has one route for each such prefix, of the kernel or, where it has none, of a file of ours or held before;
    ``standing`` are all prefixes that routes of ours lead to before the plan is carried out.
    """

    routes: tuple[Route, ...] = ()
    standing: frozenset[Prefix] = frozenset()


def leaving(
    plan: Plan, stay: Callable[[], Iterable[Lasting]], fib: Fib, ledger: Ledger, *, held: Iterable[Route] = ()
) -> Leaving:
    """Return what PLAN, made from FIB and LEDGER, leaves without a route of ours; STAY tells what is there after it.

    HELD are routes that were held before: they count as there although a link may have taken them along.
    """
    if not ledger.written and not held and not any(change.action == "delete" for change in plan.changes):
        return Leaving()
    there = {route.dst: route for route in ours(fib, ledger) if route.next_hops}
    links = {link.name for link in fib.links}
    for (dst, via, metric), dev in (ledger.written or {}).items():
        if dev in links:  # what leaves by a device that is gone cannot be written down again
            there.setdefault(dst, Route(dst, (NextHop(via, dev),), metric, ledger.protocol))
    for route in held:
        there.setdefault(route.dst, route)
    staying = {lasting.route.dst for lasting in stay()}
    return Leaving(tuple(route for dst, route in there.items() if dst not in staying), frozenset(there))


def vanishing(found: Leaving, cluster: Cluster, former: Mapping[Prefix, str]) -> dict[Prefix, str]:
    """Return the prefixes of FOUND that vanish, each with the name of the node it served, or its next hop where that is unknown.

    FORMER tells the node that each prefix served before. A route whose next hop is another node's by now does not count: what
    is sent there is lost already.
    """
    if not found.routes:
        return {}
    claims: defaultdict[str, set[Prefix]] = defaultdict(set)
    holders: defaultdict[Address, set[str]] = defaultdict(set)
    for node in cluster.nodes:
        claims[node.name].update(dst for dst in node.pod_cidrs if _within_limits(cluster, node, dst))
        for address in node.internal_ips:
            holders[address].add(node.name)
    claimed = set().union(*claims.values())
    had: defaultdict[str, set[Prefix]] = defaultdict(set)
    for dst, name in former.items():
        had[name].add(dst)
    gone: dict[Prefix, str] = {}
    for route in found.routes:
        dst, via = route.dst, route.via
        there = holders.get(via, set()) if via else set()
        owner = former.get(dst) or min(there, default=str(via))
        if dst in claimed or (there and owner not in there):
            continue
        before = had.get(owner, found.standing)  # without a record of it, what has no route is new
        if not any(new.version == dst.version and new not in before for new in claims.get(owner, ())):
            gone[dst] = owner
    return gone


def _within_limits(cluster: Cluster, node: Node, dst: Prefix) -> bool:
    """Whether the limits of CLUSTER let NODE have DST: a wrong limit is no proof that the pods are gone."""
    if cluster.pod_cidrs and not any(limit.covers(dst) for limit in cluster.pod_cidrs):
        return False
    return not cluster.node_cidrs or any(
        limit.covers(address) for limit in cluster.node_cidrs for address in node.internal_ips
    )
