"""Findings about policy rules that override the main table for pod traffic."""

from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.model.address import BITS
from podroutes.model.finding import Finding
from podroutes.model.host import DEFAULT_RULES
from podroutes.model.route import NextHop
from podroutes.verify.rule_takers import Here, Taken, Way, merged, taken
from podroutes.views.iproute import line

_SHOWN = 5


def takers(context: MachineContext) -> Iterator[Finding]:
    """Find policy rules that send pod traffic to other next hops than the main table."""
    cidrs = {*context.own_cidrs, *context.other_cidrs}
    for version in (4, 6):
        for each in overruling(context, version):
            if not (
                each.route and any(cidr.covers(each.route.dst) for cidr in cidrs)
            ):  # another finding reports the route
                yield finding(each, version)


def overruling(context: MachineContext, version: int) -> list[Taken]:
    """Return the rules that override the main table for one IP version."""
    rules = context.facts.host.rules.get(version)
    if rules is None or tuple(rules) == DEFAULT_RULES[version]:
        return []
    return taken(context.facts.host, version, list(_ways(context, version)), _here(context, version))


def finding(taker: Taken, version: int) -> Finding:
    """Return the finding for TAKER."""
    whose = "packets to pods" if taker.pods else "what this machine itself sends to pods"
    dsts = ", ".join(map(str, merged(taker.dsts)[:_SHOWN]))
    cause = f"{taker.said} takes {whose} of {dsts}: {taker.way}"
    rule = f"ip rule: {taker.said}" if taker.rule else "ip rule: none looks up table 254"
    evidence = [rule, *([f"ip route show table all: {line(taker.route)}"] if taker.route else [])]
    return Finding("rule-takes-pods", cause, tuple(evidence), taker.fix(version))


def _here(context: MachineContext, version: int) -> Here:
    host, own = context.facts.host, context.own
    cidrs = tuple(cidr for cidr in context.own_cidrs if cidr.version == version)
    internal = own.internal_ips if own else ()
    address = next(
        (
            internal_address
            for internal_address in internal
            if internal_address.version == version and host.owns(internal_address)
        ),
        None,
    )
    bridge = next(iter(context.bridges), "")
    return Here(cidrs, bridge, frozenset(context.uplinks(version)) - {bridge}, address)


def _ways(context: MachineContext, version: int) -> Iterator[Way]:
    """Yield the next hops of the main table: those of our routes, else the first on-link InternalIP of each node."""
    host = context.facts.host
    by_dst = {route.dst: route for route in context.ours if route.via}
    for cidr, node in context.other_cidrs.items():
        if cidr.version != version:
            continue
        ours = by_dst.get(cidr)
        right = tuple(node.internal_ips) if node else ()
        if ours and ours.via:
            yield Way(cidr, ours.next_hops[0], right or (ours.via,))
        elif right:
            dev = next(
                (
                    address.dev
                    for address in host.addresses
                    if address.length < BITS[version] and address.prefix.covers(right[0])
                ),
                None,
            )
            yield Way(cidr, NextHop(right[0], dev), right)
    bridge = next(iter(context.bridges), "")
    if bridge:
        yield from (Way(cidr, NextHop(None, bridge)) for cidr in context.own_cidrs if cidr.version == version)
