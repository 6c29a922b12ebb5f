"""What one machine should route: the honoured claims of the other nodes, each with the next hop and device from here."""

from typing import NamedTuple

from podroutes.core.claims import Claim, Claims
from podroutes.core.onlink import Resolver
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Node
from podroutes.model.fib import PlainRoutes
from podroutes.model.problem import Problem
from podroutes.model.route import NextHop, Route
from podroutes.model.text import printable


class Wanted(NamedTuple):
    """The routes wanted in one IP version, by destination; row i serves ``claims[i]`` through ``vias[i]``.

    The metric is not part of what is wanted: a route of ours keeps the one it has, and a new one gets its own.
    """

    routes: PlainRoutes
    claims: list[Claim]
    vias: list[Address]


class Desired(NamedTuple):
    """What a machine should route, what it should leave as it is, and why."""

    wanted: dict[int, Wanted]  # by IP version
    incumbents: dict[
        Prefix, dict[Address, str]
    ]  # undecided or unreachable claims: a route through one of these stays, as that node's
    out_of_reach: dict[Prefix, Route]  # honoured claims that no interface leads to, as the routes they would be
    problems: tuple[Problem, ...]


def desired(claims: Claims, own: Node, links: Resolver) -> Desired:
    """Resolve every claim of another node against the links of machine OWN.

    The next hop is the claim's first address that is on-link, else the problem of its first address is reported.
    """
    wanted = {version: Wanted(PlainRoutes.empty(version), [], []) for version in (4, 6)}
    incumbents: dict[Prefix, dict[Address, str]] = {}
    out_of_reach: dict[Prefix, Route] = {}
    problems = []
    for claim in claims.honoured:
        if claim.node.name == own.name:
            continue
        via, dev, obstacle = _next_hop(claim, links)
        if obstacle:
            problems.append(_problem(claim, via, obstacle, dev))
            out_of_reach[claim.dst] = Route(claim.dst, (NextHop(via, dev or None),))
            if obstacle == "next-hop-is-self":
                continue  # a route through ourselves leads nowhere: nothing worth keeping
            incumbents.setdefault(claim.dst, {}).update(dict.fromkeys(claim.vias, claim.node.name))
            continue
        columns, served, vias = wanted[claim.dst.version]
        columns.dst.append(claim.dst.value)
        columns.length.append(claim.dst.length)
        columns.via.append(via.value)
        columns.dev.append(dev)
        served.append(claim)
        vias.append(via)
    for claim in claims.contested:
        if claim.node.name != own.name and not any(cidr.covers(claim.dst) for cidr in own.pod_cidrs):
            incumbents.setdefault(claim.dst, {}).update(dict.fromkeys(claim.vias, claim.node.name))
    return Desired(wanted, incumbents, out_of_reach, tuple(problems))


def _next_hop(claim: Claim, links: Resolver) -> tuple[Address, str, str]:
    """Return next hop, device and, where it cannot be used, the problem's code ("" otherwise)."""
    for via in claim.vias:
        dev, obstacle = links.resolve(via)
        if not obstacle:
            return via, dev, ""
    return claim.vias[0], *links.resolve(claim.vias[0])


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
