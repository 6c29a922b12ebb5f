"""Traces one packet between two named ends."""

from podroutes.errors import PodroutesError
from podroutes.model.address import BITS, Address, network, parse_address
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import LOOPBACK
from podroutes.model.proof import Block, Finding, Target, Trace
from podroutes.model.text import listing, printable
from podroutes.plan.claims import Claims
from podroutes.verify.causes import Judge
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.network import Network
from podroutes.verify.pods import Pods, pods_of
from podroutes.verify.remedies import Remedies
from podroutes.verify.walk import follow


def trace(nodes: Network, claims: Claims, src: str, dst: str) -> Trace:
    """Follow a packet from SRC to DST, addresses or names of nodes. Raises ``PodroutesError`` if one of them is invalid."""
    version = _version(nodes, src, dst)
    target, destination = _named(nodes, dst, version), _address(nodes, dst, version)
    source = _address(nodes, src, version)
    start, iif = _start(nodes, claims, source, _named(nodes, src, version))
    flow = Flow(destination, source, iif)
    neighbours = Neighbours(nodes)
    forwarding_path = follow(neighbours, nodes.look, start, flow)
    target_of_packet = _whole(nodes, claims, destination, target)
    cause = Judge(neighbours).judge(
        forwarding_path, target_of_packet, _pods(nodes, target_of_packet), target_of_packet.prefix
    )
    if cause and not target_of_packet.owner and all(end.fate in ("left", "on-link") for end in forwarding_path.ends):
        cause = None  # the address of an unknown machine: the packet only has to leave
    if cause is None:
        return Trace(start, flow, forwarding_path, None)
    finding = Finding(cause, (Block((start,), (target_of_packet.prefix,)),))
    completed = Remedies(nodes, {target_of_packet.prefix: target_of_packet.owner}).completed(finding)
    return Trace(start, flow, forwarding_path, completed.cause, completed.remedy)


def _whole(nodes: Network, claims: Claims, destination: Address, name: str | None) -> Target:
    """Return the target of the destination: a pod CIDR, if no machine has that address itself, or an address of NAME."""
    alone = Target(
        network(destination, BITS[destination.version]), name or nodes.node_with(destination) or "", pods=False
    )
    if nodes.owners(destination):
        return alone
    candidates = (Target(claim.dst, claim.node.name) for claim in claims.honoured if claim.dst.covers(destination))
    return next(candidates, alone)


def _pods(nodes: Network, target: Target) -> Pods:
    host = nodes.hosts.get(target.owner)
    if host is None or not target.pods:
        return Pods()
    return pods_of(host, target, nodes.nodes[target.owner].internal_ips, host.routes)


def _version(nodes: Network, src: str, dst: str) -> int:
    """Return the IP version of both ends. A name follows the other end, and prefers IPv4."""
    named = {
        text: {address.version for address in nodes.nodes[text].internal_ips}
        for text in (src, dst)
        if text in nodes.nodes
    }
    given = {text: {_parsed(nodes, text).version} for text in (src, dst) if text not in named}
    both = set.intersection(*(named | given).values())
    if not both:
        raise PodroutesError(f"{printable(src)} and {printable(dst)} have no IP version in common")
    return min(both)


def _parsed(nodes: Network, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        names = listing([printable(name) for name in nodes.nodes])
        raise PodroutesError(f"{printable(text)} {error}, and no node is named so; there are {names}") from None


def _named(nodes: Network, text: str, version: int) -> str | None:
    """Return the node with the name or address TEXT."""
    return text if text in nodes.nodes else nodes.node_with(_address(nodes, text, version))


def _address(nodes: Network, text: str, version: int) -> Address:
    if text not in nodes.nodes:
        return _parsed(nodes, text)
    return next(address for address in nodes.nodes[text].internal_ips if address.version == version)


def _start(nodes: Network, claims: Claims, source: Address, name: str | None) -> tuple[str, str]:
    """Return the first machine of a packet from SOURCE, and its incoming device."""
    if name in nodes.hosts:
        return str(name), LOOPBACK
    owner = name or next((claim.node.name for claim in claims.honoured if claim.dst.covers(source)), None)
    if owner is None:
        raise PodroutesError(f"{source} is neither in a pod CIDR nor an address of a machine whose tables are known")
    if owner not in nodes.hosts:
        seen = listing([printable(host) for host in nodes.hosts])
        raise PodroutesError(
            f"{source} is at {printable(owner)}, whose tables have not been seen; seen are those of {seen}"
        )
    decision = nodes.look(owner, source).decide(Flow(source))
    if decision.kind != "unicast" or decision.hops[0].via is not None:
        raise PodroutesError(
            f"{printable(owner)} has no device that leads to {source}, so no packet of it can come in there"
        )
    return owner, str(decision.hops[0].dev)
