"""Finds policy rules that override the main table for pod traffic: for a VPN's table before it, or that of a second network card."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.forwarding_path import Decision, Flow
from podroutes.model.host import Host
from podroutes.model.route import MAIN, NextHop, Route
from podroutes.model.rule import LOCAL, Rule
from podroutes.verify.lookup import Tables
from podroutes.views.iproute import line

_SPECIFIC = 8  # the number of prefixes in rules and their tables up to which destinations are checked by class
_COMMANDS = 8  # maximum advised commands for one rule


class Way(NamedTuple):
    """Packets to DST should use HOP; all of RIGHT are correct next hops. The machine's own pods have none."""

    dst: Prefix
    hop: NextHop
    right: tuple[Address, ...] = ()


class Here(NamedTuple):
    """A machine in one IP version: its pods, their device ("" if none), the devices towards the other nodes."""

    cidrs: tuple[Prefix, ...]
    bridge: str
    uplinks: frozenset[str]
    address: Address | None  # its own source address towards other nodes


class Taken(NamedTuple):
    """RULE sends packets to DSTS over ROUTE instead of the main table's. No rule: no rule looks up the main table."""

    rule: Rule | None
    route: Route | None
    decision: Decision
    dsts: tuple[Prefix, ...]
    pods: bool  # packets of pods; otherwise only the machine's own

    @property
    def said(self) -> str:
        """The rule in the syntax of ip-rule(8)."""
        if self.rule is None:
            return "no policy rule looks up the main table"
        does = f"lookup {self.rule.table}" if self.rule.action == "lookup" else self.rule.action
        return f"policy rule {self.rule.priority} ({does})"

    @property
    def way(self) -> str:
        """The next hop of these packets."""
        if self.route is not None:
            return f"`{line(self.route)}`"
        return f"refuses them ({self.decision.kind})"

    def fix(self, version: int) -> tuple[str, ...]:
        """Return the commands that make pod traffic use the main table first; none if no rule can precede."""
        ip = "ip -6 rule add" if version == 6 else "ip rule add"
        if self.rule is None:
            return (f"{ip} pref 32766 lookup main",)
        if not self.rule.priority:
            return ()
        dsts = merged(self.dsts)
        before = self.rule.priority - 1
        if len(dsts) > _COMMANDS:  # all routes more specific than the default route
            return (f"{ip} pref {before} lookup main suppress_prefixlength 0",)
        return tuple(f"{ip} pref {before} to {dst} lookup main" for dst in dsts)


def taken(host: Host, version: int, ways: Sequence[Way], here: Here) -> list[Taken]:
    """Return the packets of pods, and of HOST itself, that do not use the main table's WAYS, by the deciding rule.

    HOST's routes of the main table are not used: WAYS stand for them.
    """
    elsewhere = [route for route in host.routes if route.dst.version == version and route.table not in (MAIN, LOCAL)]
    specific = {rule.dst for rule in host.rules.get(version) or () if rule.dst and rule.dst.length}
    specific |= {route.dst for route in elsewhere if route.dst.length}
    kinds: dict[tuple[object, ...], list[Way]] = {}
    for way in ways:
        key: tuple[object, ...] = (way.dst,)
        if len(specific) <= _SPECIFIC:
            key = (bool(way.right), *(prefix for prefix in specific if prefix.overlaps(way.dst)))
        kinds.setdefault(key, []).append(way)
    first = [alike[0] for alike in kinds.values()]
    stand_ins = [Route(way.dst, (way.hop,), table=MAIN) for way in first]
    tables = Tables(host, version, [*elsewhere, *stand_ins], custom_local=False)
    by_way: dict[tuple[object, ...], Taken] = {}
    for way, alike in zip(first, kinds.values(), strict=True):
        for pods, flow in _flows(way, here, specific):
            decision = tables.decide(flow)
            if _right(decision, way, here):
                continue
            dsts = tuple(way.dst for way in alike)
            key = decision.rule, decision.route, pods
            before = by_way.get(key)
            old = before.dsts if before else ()
            new = tuple(dict.fromkeys((*old, *dsts)))
            by_way[key] = Taken(decision.rule, decision.route, decision, new, pods)
    of_pods = {each.rule for each in by_way.values() if each.pods}
    return [each for each in by_way.values() if each.pods or each.rule not in of_pods]


def _flows(way: Way, here: Here, specific: Iterable[Prefix]) -> Iterator[tuple[bool, Flow]]:
    """Yield packets to WAY's pods and whether pods send them: to any of these pods, and to the parts in rules and tables."""
    targets = [sample(way.dst)]
    targets += [
        Address(prefix.version, prefix.value) for prefix in specific if way.dst.covers(prefix) and prefix != way.dst
    ]
    pod = sample(here.cidrs[0]) if here.cidrs else None
    for target in targets:
        if way.right:
            if pod:
                yield True, Flow(target, pod, here.bridge)
            yield not here.cidrs, Flow(target)
            if here.address:  # a connection is routed again for its chosen source
                yield not here.cidrs, Flow(target, here.address)
        else:
            for uplink in here.uplinks:
                yield True, Flow(target, None, uplink)


def _right(decision: Decision, way: Way, here: Here) -> bool:
    """Return whether DECISION is equivalent to WAY; an unknown one is."""
    if decision.kind == "unknown":
        return True
    if decision.rule and decision.rule.action == "lookup" and decision.rule.table == MAIN:
        return True
    if decision.kind != "unicast":
        return decision.kind == "local"
    if way.right:
        return all(hop.via in way.right for hop in decision.hops)
    return all(hop.via is None and (hop.dev == here.bridge or not here.bridge) for hop in decision.hops)


def sample(prefix: Prefix) -> Address:
    """Return an address of PREFIX that a pod could have: neither the network's nor the bridge's, the first two."""
    return Address(prefix.version, min(prefix.value + 2, prefix.last))


def merged(prefixes: Iterable[Prefix]) -> list[Prefix]:
    """Return the smallest set of prefixes with exactly the addresses of PREFIXES."""
    merged_prefixes: list[Prefix] = []
    for prefix in sorted(set(prefixes)):
        if merged_prefixes and merged_prefixes[-1].covers(prefix):
            continue
        merged_prefixes.append(prefix)
        while len(merged_prefixes) > 1 and (parent := _parent(merged_prefixes[-2], merged_prefixes[-1])):
            merged_prefixes[-2:] = [parent]
    return merged_prefixes


def _parent(one: Prefix, other: Prefix) -> Prefix | None:
    """Return the prefix whose halves are ONE and OTHER, None if there is none."""
    if one[::2] != other[::2] or not one.length:
        return None
    size = 1 << (BITS[one.version] - one.length)
    parent = Prefix(one.version, one.value & ~size, one.length - 1)
    return parent if {one.value, other.value} == {parent.value, parent.value + size} else None
