"""The desired routes of one machine: the honoured claims of the other nodes, each with its next hop and device."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import PlainRoutes
from podroutes.model.problem import Problem
from podroutes.model.route import NextHop, Route
from podroutes.model.text import printable
from podroutes.plan.claims import Claim, Claims
from podroutes.plan.onlink import Resolver


class Wanted(NamedTuple):
    """The desired routes of one IP version, by destination. Row i serves ``claims[i]`` through ``vias[i]``.

    The metric is not included: a present route keeps its own, and a new route gets one later.
    """

    routes: PlainRoutes
    claims: list[Claim]
    vias: list[Address]


class Desired(NamedTuple):
    """The desired routes of a machine, the routes to leave as they are, and the problems."""

    wanted: dict[int, Wanted]  # by IP version
    incumbents: dict[Prefix, dict[Address, str]]  # addresses of unreachable claims: routes through these stay
    out_of_reach: dict[Prefix, Route]  # routes of honoured claims that no interface leads to
    problems: tuple[Problem, ...]


def desired(claims: Claims, own: Node, links: Resolver) -> Desired:
    """Resolve the claims of other nodes against the links of machine OWN.

    The next hop is the claim's first address that is on-link, else a router. If there is none, the problem of the first address is
    reported.
    """
    incumbents: dict[Prefix, dict[Address, str]] = {}
    out_of_reach: dict[Prefix, Route] = {}
    problems = []
    others: list[Claim] = []
    wanted = {version: Wanted(PlainRoutes.empty(version), [], []) for version in (4, 6)}
    for version, columns in _columns(claims.honoured, own).items():
        dev = links.resolve_all(columns.routes, *columns.ends) if columns.ends else None
        if dev is None:
            others += columns.claims
        else:
            routes = columns.routes._replace(dev=[dev] * len(columns.claims))
            wanted[version] = Wanted(routes, columns.claims, columns.vias)
    reachable: list[tuple[Claim, Address, str]] = []
    for claim in others:
        via, dev, obstacle = _next_hop(claim, links)
        if obstacle == "next-hop-off-link" and (through := _through_router(claims.cluster, own, claim, links)):
            via, dev, obstacle = *through, ""
        if not obstacle:
            reachable.append((claim, via, dev))
            continue
        problems.append(_problem(claim, via, obstacle, dev))
        out_of_reach[claim.dst] = Route(claim.dst, (NextHop(via, dev or None),))
        if obstacle != "next-hop-is-self":  # a route through this machine itself is useless
            incumbents.setdefault(claim.dst, {}).update(dict.fromkeys(claim.vias, claim.node.name))
    for version in (4, 6):
        rows = [row for row in reachable if row[1].version == version]
        if rows:
            wanted[version] = _wanted(*map(list, zip(*rows, strict=True)))
    return Desired(wanted, incumbents, out_of_reach, tuple(problems))


class _Columns(NamedTuple):
    """What follows from the claims of one IP version that a machine honours, whatever its links are."""

    claims: list[Claim]  # those of other nodes
    vias: list[Address]  # their first addresses
    ends: tuple[Address, Address] | None  # the lowest and the highest of these; None if one is of the other IP version
    routes: PlainRoutes  # without devices


_Key = tuple[tuple[Claim, ...], Node]
_last: list[
    tuple[_Key, dict[int, _Columns]]
] = []  # of the latest plan: an agent compares the same claims again and again


def expected(claims: Claims, own: Node) -> dict[int, PlainRoutes]:
    """Return the routes to the first addresses of all claims of other nodes, by IP version, without devices."""
    return {version: columns.routes for version, columns in _columns(claims.honoured, own).items() if columns.ends}


def _columns(honoured: tuple[Claim, ...], own: Node) -> dict[int, _Columns]:
    """Return the columns of each IP version that there are claims of."""
    if _last and _last[0][0][0] is honoured and _last[0][0][1] == own:
        return _last[0][1]
    others = [claim for claim in honoured if claim.node.name != own.name or not claim.node.is_entry_of(own)]
    found = {}
    for version in (4, 6):
        claims = others
        if (
            others and not others[0].dst.version == others[-1].dst.version == version
        ):  # they are in order of destination
            claims = [claim for claim in others if claim.dst.version == version]
        if claims:
            found[version] = _columns_of(version, claims)
    _last[:] = [((honoured, own), found)]
    return found


def _columns_of(version: int, claims: list[Claim]) -> _Columns:
    vias = [claim.vias[0] for claim in claims]
    if {via.version for via in vias} != {version}:  # what is in place may lead through IPv6
        return _Columns(claims, vias, None, PlainRoutes.empty(version))
    gateways = [via.value for via in vias]
    ends = Address(version, min(gateways)), Address(version, max(gateways))
    _, networks, lengths = map(list, zip(*[claim.dst for claim in claims], strict=True))
    routes = PlainRoutes(version, networks, lengths, gateways, [], [0] * len(claims))
    return _Columns(claims, vias, ends, routes)


def _wanted(claims: list[Claim], vias: list[Address], devs: list[str]) -> Wanted:
    """Return claims of one IP version, at least one, as columns."""
    _, networks, lengths = map(list, zip(*[claim.dst for claim in claims], strict=True))
    gateways = [via.value for via in vias]
    return Wanted(PlainRoutes(vias[0].version, networks, lengths, gateways, devs, [0] * len(vias)), claims, vias)


def _next_hop(claim: Claim, links: Resolver) -> tuple[Address, str, str]:
    """Return next hop, device and the code of the problem that makes it unusable ("" if none)."""
    for via in claim.vias:
        dev, obstacle = links.resolve(via)
        if not obstacle:
            return via, dev, ""
    return claim.vias[0], *links.resolve(claim.vias[0])


def _through_router(cluster: Cluster, own: Node, claim: Claim, links: Resolver) -> tuple[Address, str] | None:
    """Return address and device of the router that leads to the node of CLAIM, None if there is none.

    It has an address on a network of this machine. Of several, one that is in the node's subnet as well comes first: a subnet is one of
    ``cluster.nodeCIDRs``. Otherwise the order of the inventory decides, so that all machines of a subnet choose the same.
    """
    target = claim.vias[0]
    subnets = [subnet for subnet in cluster.node_cidrs if subnet.covers(target)]
    found = None
    for router in cluster.nodes:
        if not router.router or router.is_entry_of(own):
            continue
        beyond = any(subnet.covers(address) for subnet in subnets for address in router.internal_ips)
        for via in router.internal_ips:
            dev, obstacle = links.resolve(via) if via.version == target.version else ("", "off")
            if not obstacle and (beyond or not subnets):
                return via, dev
            if not obstacle and found is None:
                found = via, dev
    return found


def _problem(claim: Claim, via: Address, code: str, dev: str) -> Problem:
    where = f"node {printable(claim.node.name)}: next hop {via} of {claim.dst}"
    message, fix = {
        "next-hop-is-self": (f"{where} is an address of this machine ({dev})", ""),
        "next-hop-off-link": (f"{where} is on no network that this machine is connected to", ""),
        "link-down": (
            f"{where} is behind {dev}, which is down or has no carrier",
            f"ip link set {dev} up, or check its cable",
        ),
    }[code]
    return Problem("error", code, message, (claim.node.name,), claim.dst, fix)
