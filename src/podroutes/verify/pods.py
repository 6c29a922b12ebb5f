"""Finds a node's pods: their devices, and the addresses that a pod can have.

Either one bridge (or another device) has the whole pod CIDR, and each address may be a pod's except the bridge's own, the first
and the last; or each pod has a host route, as with ptp and Calico, and no other address is a pod's.
"""

from collections.abc import Iterable
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.linux import RouteProtocol
from podroutes.model.proof import Target
from podroutes.model.route import Route
from podroutes.model.text import printable
from podroutes.verify.network import Network

_KERNEL = int(RouteProtocol.KERNEL)  # the protocol of connected routes
_SMALLEST = 2  # host bits of a network whose first and last addresses are reserved; RFC 3021


class Pods(NamedTuple):
    """The pods of one node in one pod CIDR. Without ``devices`` and ``routed`` there are none."""

    devices: tuple[str, ...] = ()  # several: unknown which
    routed: frozenset[Prefix] = frozenset()  # the addresses of all pods, if each has a host route
    entries: tuple[str, ...] = ()  # possible incoming devices of packets from pods
    reserved: frozenset[Address] = frozenset()  # addresses that no pod can have


def pods_of(host: Host, target: Target, internal_ips: Iterable[Address], routes: Iterable[Route]) -> Pods:
    """Return the pods of TARGET on HOST, its owner. ROUTES are all its routes that overlap the pod CIDR."""
    cidr = target.prefix
    uplinks = {address.dev for address in host.addresses if address.address in set(internal_ips)}
    inside = [address for address in host.addresses if address.dev != LOOPBACK and cidr.covers(address.address)]
    onlink = [
        route
        for route in routes
        if route.kind == "unicast"
        and len(route.next_hops) == 1
        and route.via is None
        and route.dev not in (None, LOOPBACK)
    ]
    full = BITS[cidr.version]
    own = {address.address for address in host.addresses}
    single = [
        route
        for route in onlink
        if route.dst.length == full
        and cidr.covers(route.dst)
        and (route.protocol != _KERNEL or Address(cidr.version, route.dst.value) not in own)
    ]
    wide = [
        route for route in onlink if route.dst.length < full and route.dst.overlaps(cidr) and route.dev not in uplinks
    ]
    subnets = [address for address in inside if address.length < full]
    networks = [*((route.dst, str(route.dev)) for route in wide), *((subnet.prefix, subnet.dev) for subnet in subnets)]
    if single and cidr.length < full and not any(each == cidr and _may_have_pods(host, dev) for each, dev in networks):
        devices = tuple(dict.fromkeys(str(route.dev) for route in single))
        entries = tuple(dict.fromkeys(outermost(host, dev) for dev in devices))
        taken = [
            route.dst for route in routes if route.dst.length == full and cidr.covers(route.dst) and _is_typed(route)
        ]
        neighbours = [
            Prefix(cidr.version, address.value, full)
            for dev, address in (host.neighbours.entries if host.neighbours else ())
            if dev in devices and cidr.covers(address) and address not in own
        ]
        return Pods((), frozenset((*(route.dst for route in single), *taken, *neighbours)), entries)
    behind = [outermost(host, subnet.dev) for subnet in subnets]
    if not any(_may_have_pods(host, dev) for dev in behind):
        behind += [outermost(host, str(each.dev)) for each in wide]
    alone = [str(route.dev) for route in single if _is_of_a_pod(host, str(route.dev))]
    devices = _likely(host, tuple(dict.fromkeys(behind)))
    if alone and not set(alone) <= set(devices):
        devices = tuple(dict.fromkeys((*devices, *alone)))  # either may be so
    gateway = next((each.address for each in subnets if outermost(host, each.dev) in devices), None)
    return Pods(devices, frozenset(), devices, ends(cidr).union({gateway} if gateway else ()))


def _is_of_a_pod(host: Host, dev: str) -> bool:
    """Return whether DEV is a veth to another namespace, as each pod has one, and no port of a bridge."""
    return bool(host.medium(dev).outside) and dev not in host.masters and host.works(dev)


def _is_typed(route: Route) -> bool:
    """Return whether a person or program added this route, which may replace the one to a pod."""
    return route.kind != "throw" and route.protocol != _KERNEL


def ends(cidr: Prefix) -> frozenset[Address]:
    """Return the reserved addresses of CIDR: the first one, and for IPv4 the last one, the broadcast address."""
    if BITS[cidr.version] - cidr.length < _SMALLEST:
        return frozenset()
    return frozenset({Address(cidr.version, cidr.value), *([Address(4, cidr.last)] if cidr.version == 4 else [])})


def _may_have_pods(host: Host, dev: str) -> bool:
    return host.works(dev) and host.attached(dev) and leads_outside(host, dev) and host.is_wire(dev) is not False


def leads_outside(host: Host, dev: str) -> bool:
    """Return whether a pod may be behind DEV: not if all attached veths have their peers on this machine."""
    ends = host.ports(dev) if host.medium(dev).kind == "bridge" else [dev]
    return any(host.medium(end).outside is not False for end in ends)


def is_strange(network: Network, host: Host, dev: str, cidr: Prefix) -> bool:
    """Return whether pods are routed to DEV, which is on a network of machines and has no address of their CIDR."""
    inside = any(address.dev == dev and cidr.covers(address.address) for address in host.addresses)
    return not inside and bool(network.segment(host.name, dev))


def strange(host: Host, dev: str) -> str:
    """Return what to say about such a device."""
    return f"whether pods are behind {printable(dev)} of {printable(host.name)}, which is on a network of machines"


def selecting(host: Host, dev: str) -> str:
    """Return what to say about a bridge that does not pass on everything."""
    return f"what the ports of {printable(dev)} of {printable(host.name)} pass on: one is not forwarding, or does not flood, or the bridge filters by VLAN"


def outermost(host: Host, dev: str) -> str:
    """Return the bridge of which DEV is a port, or DEV itself."""
    master = host.masters.get(dev)
    return master if master in host.links and host.medium(str(master)).kind == "bridge" else dev  # type: ignore[return-value]


def _likely(host: Host, devices: tuple[str, ...]) -> tuple[str, ...]:
    """Return the DEVICES to which another namespace is attached, all if that does not decide."""
    if len(devices) < 2:
        return devices
    attached = [dev for dev in devices if any(host.medium(port).outside for port in (dev, *host.ports(dev)))]
    certain = all(host.medium(port).outside is not None for dev in devices for port in host.ports(dev))
    return tuple(attached) if certain and len(attached) == 1 else devices
