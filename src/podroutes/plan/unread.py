"""Finds the routes that may belong to nodes whose podCIDR cannot be read, or is refused.

A route through an address of such a node belongs to it, unless the node claims that podCIDR anyway. If not all of its addresses
can be read either, each route that no other node explains by a podCIDR or an address belongs to it, too.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from podroutes.model.address import Address, Prefix
from podroutes.model.claims import Claim, Disputes, Loss
from podroutes.model.cluster import Node
from podroutes.plan.claims import outside_limits, unread_loss
from podroutes.plan.incumbents import Incumbents, is_of
from podroutes.plan.overlaps import Owners


def kept_for_unread(disputes: Disputes, incumbents: Incumbents, own: Node) -> list[tuple[Claim, Loss]]:
    """Return claims for the routes, in place or saved, that may belong to nodes with an unread podCIDR; each route once."""
    losses: dict[Prefix, tuple[Claim, Loss]] = {}
    for node in sorted(disputes.unread, key=_in_order):
        if node.is_entry_of(own):
            continue
        for dst, via in _candidates(incumbents, node):
            mine = dst in node.pod_cidrs or any(cidr.overlaps(dst) for cidr in own.pod_cidrs)
            if dst in losses or mine or outside_limits(disputes.cluster, dst):
                continue
            claimants = _claimants(disputes, dst)
            explained = any(via in claim.node.internal_ips for claim in claimants)
            unexplained = _may_lead_to(incumbents, node, dst, via) and not claimants
            if unexplained or (incumbents.reports(node, via) and not explained):
                losses[dst] = Claim(dst, node, (via,)), unread_loss(node, "podCIDR")
    return list(losses.values())


def kept_for_refused(
    disputes: Disputes, incumbents: Incumbents, own: Node, refused: Mapping[str, Loss], honoured: Iterable[Claim]
) -> list[tuple[Claim, Loss]]:
    """Return as claims the routes in place, or saved, of the nodes in REFUSED that nobody has now; HONOURED are the winners.

    Such a node has no podCIDR of that IP version that is routed: what it says instead of its former one is a mistake.
    """
    won = list(honoured)
    served = {(claim.node.name, claim.dst.version) for claim in won}
    owners = Owners(won)
    losses: dict[Prefix, tuple[Claim, Loss]] = {}
    for node in sorted(disputes.cluster.nodes, key=_in_order):
        if node.name not in refused or node.is_entry_of(own):
            continue
        versions = {dst.version for dst in node.pod_cidrs}
        for dst, via in _candidates(incumbents, node):
            free = dst not in node.pod_cidrs and not owners.contended(dst, node.name)
            wanted = dst.version in versions and (node.name, dst.version) not in served
            near = incumbents.reports(node, via) or _may_lead_to(incumbents, node, dst, via)
            if free and wanted and near and dst not in losses and not outside_limits(disputes.cluster, dst):
                losses[dst] = Claim(dst, node, (via,)), refused[node.name]
    return list(losses.values())


def _may_lead_to(incumbents: Incumbents, node: Node, dst: Prefix, via: Address) -> bool:
    """Return whether a route to DST through VIA, an address that NODE does not report, may lead to it all the same."""
    return incumbents.may_be_of(node, via) or incumbents.leads_to(node, dst, via) or incumbents.is_astray(node, via)


def _in_order(node: Node) -> tuple[object, ...]:
    return node.name, node.internal_ips, node.pod_cidrs


def _candidates(incumbents: Incumbents, node: Node) -> Iterator[tuple[Prefix, Address]]:
    """Yield destination and next hop of the routes that may belong to NODE."""
    there = incumbents.gateways
    saved = incumbents.saved
    whose = {record.dst: record.node for record in saved.routes}
    for dst, via in incumbents.routes():
        if whose.get(dst, node.name) == node.name or incumbents.reports(node, via):
            yield dst, via
    for record in saved.routes:
        if record.dst not in there and is_of(record, node):
            yield record.dst, record.via
    for record in saved.expired:
        if record.dst not in there and is_of(record, node):
            incumbents.expired.append(record)


def _claimants(disputes: Disputes, dst: Prefix) -> list[Claim]:
    """Return the claims to exactly DST."""
    claims = [claim for claim in disputes.claims if claim.dst == dst]
    place = bisect_left(disputes.clean, dst, key=lambda claim: claim.dst)
    if place < len(disputes.clean) and disputes.clean[place].dst == dst:
        claims.append(disputes.clean[place])
    return claims
