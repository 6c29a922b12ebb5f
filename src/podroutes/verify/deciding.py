"""Finds what overrides the desired routes of one machine for pod traffic.

Possible are a policy rule before the main table, a more specific route, and for the machine's own pods a route to another next
hop. All of these take effect although each desired route is in place.
"""

from collections.abc import Iterable, Iterator, Sequence

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib
from podroutes.model.host import Host
from podroutes.model.problem import Problem
from podroutes.model.route import NextHop, Route, protocol_name
from podroutes.model.rule import DEFAULT_RULES, LOOPBACK
from podroutes.model.text import listing, printable
from podroutes.plan.desired import Desired
from podroutes.plan.planning import Planned
from podroutes.verify.rule_takers import Here, Taken, Way, merged, taken
from podroutes.views.iproute import deletable, deletion, line

_REFUSING = {"blackhole", "unreachable", "prohibit", "throw"}


def problems(own: Node, fib: Fib, desired: Desired) -> Iterator[tuple[Problem, tuple[Prefix, ...]]]:
    """Yield problems about rules and routes that override desired routes of machine OWN, each with the affected destinations."""
    yield from _of_a_pod(own, fib, desired)
    yield from _of_own_pods(own, fib)
    yield from _of_parts(own, fib, desired)
    for version in (4, 6):
        rules = fib.policy.rules.get(version, DEFAULT_RULES[version])
        if tuple(rules) != DEFAULT_RULES[version]:
            links = {link.name: link for link in fib.links}
            routes = tuple(route for route in fib.policy.routes if route.dst.version == version)
            host = Host("", links, {}, fib.addresses, {version: tuple(rules)}, routes, {}, {}, {})
            names = {claim.dst: claim.node.name for claim in desired.wanted[version].claims}
            for rule in taken(host, version, list(_ways(own, fib, desired, version)), here(own, fib, version)):
                yield _of_rule(rule, version, names)


def with_deciding(planned: Planned, own: Node, fib: Fib) -> Planned:
    """Return PLANNED with these problems added."""
    new_problems = list(problems(own, fib, planned.desired))
    if not new_problems:
        return planned
    plan = planned.plan
    overruled = frozenset(dst for problem, dsts in new_problems if problem.severity == "error" for dst in dsts)
    all_problems = (*plan.problems, *(problem for problem, _ in new_problems))
    return planned._replace(plan=plan._replace(problems=all_problems, overruled=overruled))


def here(own: Node, fib: Fib, version: int) -> Here:
    """Return the pods, devices and address of machine OWN for one IP version."""
    cidrs = tuple(cidr for cidr in own.pod_cidrs if cidr.version == version)
    devices = [
        interface_address.dev
        for interface_address in fib.addresses
        if interface_address.dev != LOOPBACK and any(cidr.covers(interface_address.address) for cidr in cidrs)
    ]
    internal = [
        interface_address for interface_address in fib.addresses if interface_address.address in own.internal_ips
    ]
    address = next(
        (internal_address.address for internal_address in internal if internal_address.address.version == version), None
    )
    return Here(
        cidrs, next(iter(devices), ""), frozenset(internal_address.dev for internal_address in internal), address
    )


def _ways(own: Node, fib: Fib, desired: Desired, version: int) -> Iterator[Way]:
    wanted = desired.wanted[version]
    for claim, via, dev in zip(wanted.claims, wanted.vias, wanted.routes.dev, strict=True):
        yield Way(claim.dst, NextHop(via, dev), tuple(claim.node.internal_ips))
    mine = here(own, fib, version)
    if mine.bridge:
        yield from (Way(cidr, NextHop(None, mine.bridge)) for cidr in mine.cidrs)


def _of_rule(taker: Taken, version: int, names: dict[Prefix, str]) -> tuple[Problem, tuple[Prefix, ...]]:
    whose = "pod traffic" if taker.pods else "what this machine itself sends to pods"
    dsts = listing([str(dst) for dst in merged(taker.dsts)])
    message = f"{taker.said} takes {whose} for {dsts}: {taker.way}"
    if taker.rule is None:
        message = f"{taker.said}, so that {whose} for {dsts} goes nowhere"
    commands = "; ".join(f"`{command}`" for command in taker.fix(version))
    fix = (
        f"have the main table asked first: {commands}"
        if commands
        else "move that rule behind the one of the main table"
    )
    nodes = tuple(dict.fromkeys(names[dst] for dst in taker.dsts if dst in names))
    dst = taker.dsts[0] if len(taker.dsts) == 1 else None
    problem = Problem("error" if taker.pods else "warning", "rule-takes-pods", message, nodes, dst, fix)
    return problem, tuple(dst for dst in taker.dsts if dst in names)


def _of_a_pod(own: Node, fib: Fib, desired: Desired) -> Iterator[tuple[Problem, tuple[Prefix, ...]]]:
    """Yield that this is the network of a pod: it has no address of OWN, and none that is not of pods."""
    given = [
        address.address
        for address in fib.addresses
        if address.dev != LOOPBACK and not LINK_LOCAL.covers(address.address)
    ]
    if not given or not own.internal_ips or any(address in own.internal_ips for address in given):
        return
    claims = (claim.dst for wanted in desired.wanted.values() for claim in wanted.claims)
    cidrs = [*own.pod_cidrs, *claims, *desired.out_of_reach]
    if all(any(cidr.covers(address) for cidr in cidrs) for address in given):
        message = (
            f"this is the network of a pod with the address {given[0]}, and not that of node {printable(own.name)}"
        )
        yield Problem("error", "not-the-machines-network", message, (own.name,)), ()


def _of_own_pods(own: Node, fib: Fib) -> Iterator[tuple[Problem, tuple[Prefix, ...]]]:
    """Yield the foreign routes that send packets for this machine's own pods elsewhere."""
    for route in leading_away(own, fib.addresses, fib.others):
        message = f"{_subject(route)} leads packets for the pods of this machine away: `{line(route)}`"
        yield Problem("error", "own-pod-cidr-routed", message, (own.name,), route.dst, _removal(route)), ()


def leading_away(own: Node, addresses: Iterable[object], routes: Sequence[Route]) -> list[Route]:
    """Return those of ROUTES, the main table in its order, that send packets for OWN's pods elsewhere."""
    if not own.pod_cidrs:
        return []
    internal = {address.address: address.dev for address in addresses if address.address in own.internal_ips}  # type: ignore[attr-defined]
    inside = [
        route
        for route in routes
        if any(
            cidr.version == route.dst.version and cidr.length <= route.dst.length and cidr.covers(route.dst)
            for cidr in own.pod_cidrs
        )
    ]
    suspects = [route for route in inside if not route.ours and _leads_away(route, internal)]
    if not suspects:
        return []
    behind = [
        route for route in routes if _connected(route) and any(cidr.overlaps(route.dst) for cidr in own.pod_cidrs)
    ]
    return [
        route
        for route in suspects
        if not any(_decides_over(other, route, routes) for other in behind if other.dst == route.dst)
        and (route.kind == "unicast" or any(other.dst.covers(route.dst) for other in behind))
    ]


def _leads_away(route: Route, internal: dict[Address, str]) -> bool:
    if route.kind != "unicast":
        return route.kind in _REFUSING
    ways = [hop for hop in route.next_hops if hop.via]
    return bool(ways) and any(hop.via in internal or hop.dev in internal.values() for hop in ways)


def _connected(route: Route) -> bool:
    return route.kind == "unicast" and bool(route.next_hops) and all(hop.via is None for hop in route.next_hops)


def _decides_over(one: Route, other: Route, routes: Sequence[Route]) -> bool:
    """Return whether the kernel prefers ONE to OTHER, which has the same destination. ROUTES are in the table's order."""
    return one.metric < other.metric or (one.metric == other.metric and routes.index(one) < routes.index(other))


def _of_parts(own: Node, fib: Fib, desired: Desired) -> Iterator[tuple[Problem, tuple[Prefix, ...]]]:
    """Yield foreign routes to a part of another node's pod CIDR with a next hop that is not that node."""
    for version in (4, 6):
        claims = desired.wanted[version].claims
        by_network = {(claim.dst.length, claim.dst.value): claim for claim in claims}
        lengths = sorted({claim.dst.length for claim in claims})
        if not lengths:
            continue
        bits = BITS[version]
        for route in fib.others:
            dst = route.dst
            if dst.version != version or dst.length <= lengths[0] or route.ours:
                continue
            candidates = (
                by_network.get((length, dst.value >> (bits - length) << (bits - length)))
                for length in reversed(lengths)
                if length < dst.length
            )
            claim = next(filter(None, candidates), None)
            if claim is None or any(cidr.covers(dst) for cidr in own.pod_cidrs):
                continue
            if (
                route.kind == "unicast"
                and route.next_hops
                and all(hop.via in claim.node.internal_ips for hop in route.next_hops)
            ):
                continue
            if route.kind == "unicast" or route.kind in _REFUSING:
                message = (
                    f"{_subject(route)} takes a part of {claim.dst} of {claim.node.name} elsewhere: `{line(route)}`"
                )
                yield (
                    Problem("error", "part-routed-elsewhere", message, (claim.node.name,), dst, _removal(route)),
                    (claim.dst,),
                )


def _subject(route: Route) -> str:
    return f"a route of protocol {protocol_name(route.protocol)}"


def _removal(route: Route) -> str:
    if deletable(route):
        return f"where it is not needed: `{deletion(route)}`"
    if route.nhid or len(route.next_hops) != 1:
        return f"have protocol {protocol_name(route.protocol)} leave the podCIDR out"
    return "move what it is for out of the pod network, or give the node another podCIDR"
