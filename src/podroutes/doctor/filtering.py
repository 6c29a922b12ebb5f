"""Whether a packet filter drops what is forwarded between pods.

Every base chain of the hook is asked about packets like those of real pods: TCP, the first of a connection, unmarked.
What cannot be judged from here is taken to favour them, so that what is found is certain.
"""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import NamedTuple

from podroutes.doctor.context import MachineContext
from podroutes.model.address import Address, Prefix
from podroutes.model.finding import Finding
from podroutes.model.packet_filter import Chain, Condition, FilterRule
from podroutes.verify.rule_takers import sample

_OTHERS = 16  # podCIDRs that are tried: a filter that knows some nodes and not others is caught by the first few
_DEEPEST = 64  # jumps; nft refuses more than 16, NFT_JUMP_STACK_SIZE


class Packet(NamedTuple):
    """What a rule may look at. Only one without a connection is worth asking about: it is what opens one."""

    src: Address
    dst: Address
    iif: str
    oif: str


class Fate(NamedTuple):
    """What a chain does with a packet, and the rule that decides (None: the policy)."""

    verdict: str
    rule: FilterRule | None = None


_Chains = Mapping[tuple[str, str, str], Chain]


def forward_chains(context: MachineContext) -> Iterator[Finding]:
    """Find base chains of the hook forward that drop packets between the pods of this node and those of others."""
    chains = {(each.tool, each.table, each.name): each for each in context.facts.chains}
    packets = list(_packets(context))
    for chain in chains.values():
        if chain.policy is None:
            continue
        for packet in packets:
            fate = _walk(chain, packet, chains, 0) if packet.src.version in chain.versions else None
            if fate and fate.verdict == "drop":
                yield _finding(context, chain, packet, fate)
                break


def _packets(context: MachineContext) -> Iterator[Packet]:
    """Yield a packet to and one from the pods here, for some of the other podCIDRs."""
    bridge = next(iter(context.bridges), "cni0")
    for own in context.own_cidrs:
        uplink = next(iter(context.uplinks(own.version)), "")
        others = (cidr for cidr in context.other_cidrs if cidr.version == own.version)
        for other in islice(others, _OTHERS):
            yield Packet(sample(other), sample(own), uplink, bridge)
            yield Packet(sample(own), sample(other), bridge, uplink)


def _walk(chain: Chain, packet: Packet, chains: _Chains, depth: int) -> Fate:
    """Return what CHAIN does with PACKET; a chain that settles nothing says "return"."""
    for rule in chain.rules:
        matches = _all(rule, packet)
        if matches is False or rule.verdict == "continue":
            continue
        fate = Fate(rule.verdict, rule)
        if rule.verdict in ("jump", "goto"):
            target = chains.get((chain.tool, chain.table, rule.target))
            fate = _walk(target, packet, chains, depth + 1) if target and depth < _DEEPEST else Fate("return")
        if fate.verdict == "accept" or (matches and fate.verdict == "drop"):
            return fate
        if matches and rule.verdict in ("goto", "return"):
            break
    return Fate(chain.policy or "return")


def _all(rule: FilterRule, packet: Packet) -> bool | None:
    """Whether RULE matches PACKET, None where that cannot be told."""
    answers = [_holds(condition, packet) for condition in rule.conditions]
    return False if False in answers else None if None in answers else True


def _holds(condition: Condition, packet: Packet) -> bool | None:
    if condition.field == "other":
        return None
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
    return Finding(
        "forward-chain-drops",
        f"{chain.place} drops packets from {packet.src} to {packet.dst}",
        (f"{chain.tool}: {chain.place}: {why}",),
        tuple(_acceptances(context, chain, packet.src.version)),
    )


def _acceptances(context: MachineContext, chain: Chain, version: int) -> Iterator[str]:
    """Yield the commands that let the pods of this node through: everything it forwards for pods is to or from these."""
    own = [cidr for cidr in context.own_cidrs if cidr.version == version]
    for cidr, end in product(own, ("src", "dst")):
        if chain.tool == "nft":
            family = "ip6" if version == 6 else "ip"
            field = {"src": "saddr", "dst": "daddr"}[end]
            yield f"nft insert rule {chain.table} {chain.name} {family} {field} {cidr} accept"
        else:
            option = {"src": "-s", "dst": "-d"}[end]
            table = chain.table.partition(" ")[2]
            yield f"{chain.tool.removesuffix('-save')} -t {table} -I {chain.name} {option} {cidr} -j ACCEPT"
