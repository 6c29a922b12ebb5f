"""Chooses the routes to save: the present ones, and those of listed nodes that went with a link."""

from collections.abc import Iterable

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.plan import Outcome
from podroutes.model.saved_route import SavedRoute
from podroutes.plan.desired import Desired


def remembered(
    desired: Desired, missing: frozenset[Prefix], cluster: Cluster, before: Iterable[SavedRoute], now: float
) -> tuple[SavedRoute, ...]:
    """Return the routes to save: those of DESIRED at NOW (seconds since the epoch), except those to MISSING.

    Routes saved BEFORE stay if their node may still have them: it is listed, and claims the podCIDR, or has an unreadable one, or none
    of the podCIDRs that it claims instead is routed. So a route is restored after a link flap, or once a mistake is corrected.
    """
    records = {
        claim.dst: SavedRoute(claim.dst, via, dev, claim.node.name, claim.node.uid, now)
        for rows in desired.wanted.values()
        for claim, via, dev in zip(rows.claims, rows.vias, rows.routes.dev, strict=True)
        if claim.dst not in missing
    }
    old = [route for route in before if route.dst not in records]
    if old:
        standing = frozenset(records)
        nodes: dict[str, Node] = {node.name: node for node in cluster.nodes}
        for route in old:
            node = nodes.get(route.node)
            if node and (route.dst in node.pod_cidrs or _uncertain(node, route.dst.version, standing)):
                records[route.dst] = route
    return tuple(records.values())


def _uncertain(node: Node, version: int, standing: frozenset[Prefix]) -> bool:
    """Whether it is not sure what NODE has now: a podCIDR cannot be read, or no route to one that it claims is STANDING."""
    claimed = [dst for dst in node.pod_cidrs if dst.version == version]
    return any(field.field == "podCIDR" for field in node.unread) or (bool(claimed) and standing.isdisjoint(claimed))


def not_standing(outcome: Outcome) -> frozenset[Prefix]:
    """Return the destinations of a plan that did not get their route: the last change of it failed, or somebody else holds them."""
    refusals = {result.change.route.dst: result.refusal for result in outcome.routes}
    foreign = {problem.dst for problem in outcome.plan.problems if problem.dst and problem.code == "foreign-route"}
    return frozenset(foreign.union(dst for dst, refusal in refusals.items() if refusal))
