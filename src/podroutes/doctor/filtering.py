"""Findings about packet filters that drop packets between pods, or change their addresses.

Each base chain of the hooks that such packets pass is evaluated for packets like those of real pods: TCP, the first of a
connection, unmarked. Conditions that cannot be evaluated are assumed to let them pass, so that findings are certain.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import NamedTuple

from podroutes.doctor.context import MachineContext
from podroutes.model.address import Address, Prefix
from podroutes.model.finding import Finding
from podroutes.model.forwarding_path import Flow
from podroutes.model.packet_filter import Chain, Condition, FilterRule
from podroutes.verify.lookup import Tables
from podroutes.verify.rule_takers import merged, sample

_OTHERS = 16  # podCIDRs that are tried; enough to find a filter that permits only some nodes
_DEEPEST = 64  # jumps; nft refuses more than 16, NFT_JUMP_STACK_SIZE


class Packet(NamedTuple):
    """The fields of a packet that a rule may test. It is the first packet of a connection."""

    src: Address
    dst: Address
    iif: str
    oif: str
    back: frozenset[str] | None  # the possible outgoing devices of answers; None: unknown


class Fate(NamedTuple):
    """The verdict of a chain about a packet, and the rule that decides (None: the policy)."""

    verdict: str
    rule: FilterRule | None = None


_Chains = Mapping[tuple[str, str, str], Chain]
_UNKNOWN = "?"  # a device whose name is unknown
# Codes by the verdict of a chain outside of the hook forward.
_CODES = {"drop": "filter-drops", "snat": "pods-masqueraded", "dnat": "pod-traffic-redirected"}
_DOES = {
    "drop": "drops packets from",
    "snat": "replaces the source address of packets (masquerade, SNAT) from",
    "dnat": "replaces the destination of packets (DNAT, redirect) from",
}


def forward_chains(context: MachineContext) -> Iterator[Finding]:
    """Find base chains that drop packets between the pods of this node and those of others, or change their addresses."""
    chains = {
        (other_chain.tool, other_chain.table, other_chain.name): other_chain for other_chain in context.facts.chains
    }
    packets = list(_packets(context))
    for chain in chains.values():
        if chain.policy is None:
            continue
        for packet in packets:
            seen = _seen(chain, packet)
            fate = _walk(chain, seen, chains, 0) if seen else None
            if fate and fate.verdict in _CODES:
                yield _finding(context, chain, packet, fate)
                break


def _packets(context: MachineContext) -> Iterator[Packet]:
    """Yield a packet to and one from the pods here, for some other podCIDRs."""
    bridge = next(iter(context.bridges), "cni0")
    for version in sorted({cidr.version for cidr in context.own_cidrs}):
        tables = Tables(context.facts.host, version)
        uplink = next(iter(context.uplinks(version)), "")
        others = [cidr for cidr in context.other_cidrs if cidr.version == version]
        for own in (cidr for cidr in context.own_cidrs if cidr.version == version):
            for other in islice(others, _OTHERS):
                here, there = sample(own), sample(other)
                yield Packet(there, here, uplink, bridge, _back(tables, there))
                yield Packet(here, there, bridge, uplink, _back(tables, here))


def _back(tables: Tables, source: Address) -> frozenset[str] | None:
    """Return the possible outgoing devices of answers to SOURCE."""
    decision = tables.decide(Flow(source))
    return None if decision.kind == "unknown" else frozenset(hop.dev for hop in decision.hops if hop.dev)


def _seen(chain: Chain, packet: Packet) -> Packet | None:
    """Return PACKET as seen by CHAIN, None if it does not pass there; before the routing decision there is no outgoing device."""
    if packet.src.version not in chain.versions:
        return None
    if chain.table.startswith("bridge "):  # its devices are bridge ports
        return packet._replace(iif=_UNKNOWN, oif=_UNKNOWN)
    if chain.hook in ("ingress", "egress"):
        dev = packet.iif if chain.hook == "ingress" else packet.oif
        if chain.devices and dev not in chain.devices:
            return None
        return packet._replace(oif="") if chain.hook == "ingress" else packet
    if chain.hook == "prerouting":
        return packet._replace(oif="")
    return packet if chain.hook in ("forward", "postrouting") else None


def _walk(chain: Chain, packet: Packet, chains: _Chains, depth: int) -> Fate:
    """Return the verdict of CHAIN about PACKET; "return" if it decides nothing."""
    certain = True
    for rule in chain.rules:
        matches = _all(rule, packet)
        if matches is False or rule.verdict == "continue":
            continue
        fate = Fate(rule.verdict, rule)
        if rule.verdict in ("jump", "goto"):
            target = chains.get((chain.tool, chain.table, rule.target))
            fate = _walk(target, packet, chains, depth + 1) if target and depth < _DEEPEST else Fate("return")
        if fate.verdict == "accept" or (matches and certain and fate.verdict in _CODES):
            return fate
        if rule.verdict in ("goto", "return"):
            if matches:
                break
            certain = False  # an earlier rule may have dropped it
    return Fate(chain.policy or "return")


def _all(rule: FilterRule, packet: Packet) -> bool | None:
    """Return whether RULE matches PACKET, None if unknown."""
    answers = [_holds(condition, packet) for condition in rule.conditions]
    return False if False in answers else None if None in answers else True


def _holds(condition: Condition, packet: Packet) -> bool | None:
    if condition.field == "other":
        return None
    if condition.field == "no-way-back":
        if packet.back is None or packet.iif == _UNKNOWN:
            return None
        missing = packet.iif not in packet.back if "strict" in condition.values else not packet.back
        return missing != condition.negated
    if condition.field in ("iif", "oif"):
        name = packet.iif if condition.field == "iif" else packet.oif
        if name in ("", _UNKNOWN):
            return None if name else False
    if condition.field in ("src", "dst"):
        versions = {value.version for value in condition.values if isinstance(value, Prefix)}
        if versions and packet.src.version not in versions:
            return False
    return any(_equals(condition.field, value, packet) for value in condition.values) != condition.negated


def _equals(field: str, value: object, packet: Packet) -> bool:
    if isinstance(value, Prefix):
        return value.covers(packet.src if field == "src" else packet.dst)
    if field in ("iif", "oif"):
        name, wanted = packet.iif if field == "iif" else packet.oif, str(value)
        return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
    if field == "mark" and isinstance(value, tuple):
        return bool(value[0] == 0)  # the mark is 0, under any mask
    return (field, value) in {("state", "new"), ("protocol", "tcp"), ("version", packet.src.version)}


def _finding(context: MachineContext, chain: Chain, packet: Packet, fate: Fate) -> Finding:
    why = f"rule: {fate.rule.text}" if fate.rule else f"policy {chain.policy}, and no rule accepts them"
    code = "forward-chain-drops" if (fate.verdict, chain.hook) == ("drop", "forward") else _CODES[fate.verdict]
    hook = "" if chain.hook == "forward" else f" (hook {chain.hook})"
    return Finding(
        code,
        f"{chain.place}{hook} {_DOES[fate.verdict]} {packet.src} to {packet.dst}",
        (f"{chain.tool}: {chain.place}: {why}",),
        tuple(_acceptances(context, chain, packet.src.version, between=fate.verdict != "drop")),
    )


def _acceptances(context: MachineContext, chain: Chain, version: int, *, between: bool) -> Iterator[str]:
    """Yield the commands that accept packets to and from the pods of this node.

    BETWEEN limits them to packets between pods, where other packets should be translated as before.
    """
    own = [cidr for cidr in context.own_cidrs if cidr.version == version]
    limits = [cidr for cidr in context.cluster.pod_cidrs if cidr.version == version] if context.cluster else []
    others = merged(limits or [cidr for cidr in (*context.other_cidrs, *own) if cidr.version == version])
    for cidr, end in product(own, ("src", "dst")):
        far = {"src": "dst", "dst": "src"}[end]
        if chain.tool == "nft":
            family = "ip6" if version == 6 else "ip"
            field = {"src": "saddr", "dst": "daddr"}
            rest = f" {family} {field[far]} {_nft_set(others)}" if between else ""
            place = shlex.join([*chain.table.split(), chain.name])
            yield f"nft insert rule {place} {family} {field[end]} {cidr}{rest} accept"
        else:
            option = {"src": "-s", "dst": "-d"}
            rest = f" {option[far]} {','.join(map(str, others))}" if between else ""
            table = chain.table.partition(" ")[2]
            tool = chain.tool.removesuffix("-save")
            yield f"{tool} -t {table} -I {chain.name} {option[end]} {cidr}{rest} -j ACCEPT"


def _nft_set(prefixes: Sequence[Prefix]) -> str:
    return str(prefixes[0]) if len(prefixes) == 1 else f"'{{ {', '.join(map(str, prefixes))} }}'"
