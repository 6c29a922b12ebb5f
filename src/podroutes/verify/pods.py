"""Where a node's pods are: the devices that they are behind, and the addresses that a pod can have.

Either one bridge (or another device) has the whole pod CIDR, and every address of it may be a pod's but the bridge's own and the
first and last one; or there is a host route for every pod, as ptp and Calico make them, and no other address is a pod's.
"""

from collections.abc import Iterable
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.linux import RouteProtocol
from podroutes.model.proof import Target
from podroutes.model.route import Route

_KERNEL = int(RouteProtocol.KERNEL)  # what it makes for an address
_SMALLEST = 2  # host bits of a network that has a first and a last address which no host gets; RFC 3021


class Pods(NamedTuple):
    """The pods of one node in one pod CIDR. Neither ``devices`` nor ``routed``: there are none."""

    devices: tuple[str, ...] = ()  # several: it is not known which has them
    routed: frozenset[Prefix] = frozenset()  # the addresses of all pods, where each has a host route
    entries: tuple[str, ...] = ()  # where what pods send may come in
    reserved: frozenset[Address] = frozenset()  # addresses that no pod has

    def may_have(self, address: Address) -> bool:
        """Whether a pod may have ADDRESS."""
        return address not in self.reserved


def pods_of(host: Host, target: Target, internal_ips: Iterable[Address], routes: Iterable[Route]) -> Pods:
    """Return where the pods of TARGET are on HOST, its owner. ROUTES has all of its routes to addresses of the pod CIDR."""
    cidr = target.prefix
    uplinks = {each.dev for each in host.addresses if each.address in set(internal_ips)}
    inside = [each for each in host.addresses if each.dev != LOOPBACK and cidr.covers(each.address)]
    onlink = [
        route
        for route in routes
        if route.kind == "unicast"
        and len(route.next_hops) == 1
        and route.via is None
        and route.dev not in (None, LOOPBACK)
    ]
    full = BITS[cidr.version]
    own = {each.address for each in host.addresses}
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
    subnets = [each for each in inside if each.length < full]
    whole = [*((route.dst, str(route.dev)) for route in wide), *((each.prefix, each.dev) for each in subnets)]
    if single and cidr.length < full and not any(each == cidr and _may_have_pods(host, dev) for each, dev in whole):
        devices = tuple(dict.fromkeys(str(route.dev) for route in single))
        entries = tuple(dict.fromkeys(outermost(host, dev) for dev in devices))
        taken = [each.dst for each in routes if each.dst.length == full and cidr.covers(each.dst) and _is_typed(each)]
        return Pods((), frozenset((*(route.dst for route in single), *taken)), entries)
    behind = [outermost(host, each.dev) for each in subnets]
    if not any(_may_have_pods(host, dev) for dev in behind):
        behind += [outermost(host, str(each.dev)) for each in wide]
    devices = _likely(host, tuple(dict.fromkeys(behind)))
    gateway = next((each.address for each in subnets if outermost(host, each.dev) in devices), None)
    return Pods(devices, frozenset(), devices, ends(cidr).union({gateway} if gateway else ()))


def _is_typed(route: Route) -> bool:
    """Whether somebody has a route here, maybe instead of the one to a pod."""
    return route.kind != "throw" and route.protocol != _KERNEL


def ends(cidr: Prefix) -> frozenset[Address]:
    """Return the addresses of CIDR that stand for all of it: the first one, and in IPv4 the last one, which is for broadcasts."""
    if BITS[cidr.version] - cidr.length < _SMALLEST:
        return frozenset()
    return frozenset({Address(cidr.version, cidr.value), *([Address(4, cidr.last)] if cidr.version == 4 else [])})


def _may_have_pods(host: Host, dev: str) -> bool:
    return host.works(dev) and host.attached(dev) and leads_outside(host, dev) and host.is_wire(dev) is not False


def leads_outside(host: Host, dev: str) -> bool:
    """Whether a pod may be behind DEV: not where all that is attached has its other end on this machine."""
    ends = host.ports(dev) if host.medium(dev).kind == "bridge" else [dev]
    return any(host.medium(end).outside is not False for end in ends)


def outermost(host: Host, dev: str) -> str:
    """Return the bridge that DEV is a port of, or DEV itself."""
    master = host.masters.get(dev)
    return master if master in host.links and host.medium(str(master)).kind == "bridge" else dev  # type: ignore[return-value]


def _likely(host: Host, devices: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of DEVICES that something outside of this machine is attached to, all where that does not decide."""
    if len(devices) < 2:
        return devices
    attached = [dev for dev in devices if any(host.medium(port).outside for port in (dev, *host.ports(dev)))]
    certain = all(host.medium(port).outside is not None for dev in devices for port in host.ports(dev))
    return tuple(attached) if certain and len(attached) == 1 else devices
