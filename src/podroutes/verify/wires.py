"""The links of devices: the subnets on them, and who is on the same one, as far as tables tell."""

from collections.abc import Iterable
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix, network
from podroutes.model.fib import IfAddress
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.linux import NextHopFlag
from podroutes.model.route import MAIN, Route

if TYPE_CHECKING:
    from podroutes.verify.network import Network

_ONLINK = int(NextHopFlag.ONLINK)


class Arrival(NamedTuple):
    """The arrival of a packet at a machine whose tables are known."""

    host: str
    iif: str


class Wires:
    """Finds this in one cluster."""

    def __init__(self, network: "Network") -> None:
        self.network = network

    def segment(self, name: str, dev: str) -> tuple[Prefix, ...]:
        """Return the subnets of the link of a device; see Network.segment()."""
        host = self.network.hosts[name]
        mine = {address.prefix for address in host.addresses if address.dev == dev}
        alone = {prefix for prefix in mine if prefix.length == BITS[prefix.version]}
        own = mine - alone
        if any(map(self.network.is_of_pods, own)):
            # The wire of pods is that of machines, too, where the bridge has a port to it, which is no pod's.
            pods_alone = all(host.medium(port).kind in ("veth", None) for port in host.ports(dev))
            if pods_alone and (host.medium(dev).kind in ("bridge", None) or not self._is_uplink(name, dev)):
                return ()
        elif alone:
            elsewhere = [
                address.prefix
                for address in host.addresses
                if address.dev not in (dev, LOOPBACK) and address.length < BITS[address.address.version]
            ]
            # An address without a subnet, in that of another device, says nothing about the wire: a VIP, or one that was moved.
            strange = {prefix for prefix in alone if any(mate.covers(prefix) for mate in elsewhere)}
            own |= alone - strange
            if own:
                routes = self.network.shared.pick(host, self._onlink)
                own |= {route.dst for route in routes if route.dev == dev and route.dst.length} - strange
        prefixes = self._of_machines(own)
        if not prefixes and not alone and host.masters.get(dev) is None:
            return self._hinted(name, dev)
        return prefixes

    def is_doubtful(self, name: str, dev: str, address: Address) -> bool:
        """Return whether DEV may be on another link than its network of ADDRESS tells: it has one more, and another device has this one, too.

        The device with an InternalIP is where it says, and one that has heard a neighbour of that network.
        """
        host = self.network.hosts[name]
        alike = [
            interface_address
            for interface_address in host.addresses
            if interface_address.dev != LOOPBACK and self._is_wide(interface_address, address)
        ]
        own = [route for route in alike if route.dev == dev]
        more = [
            interface_address
            for interface_address in host.addresses
            if interface_address.dev == dev and self._is_wide(interface_address, interface_address.address)
        ]
        if all(mate.prefix.covers(address) for mate in more):
            return False
        others = [
            route
            for route in alike
            if route.dev != dev and host.works(route.dev) and not self._is_pods(name, route.dev)
        ]
        if not own or not others or any(own_address.address in self._internal for own_address in own):
            return False
        mates = self._mates.get((name, dev), ())
        return not any(
            interface_address.dev == mate.iif and interface_address.prefix.covers(address)
            for mate in mates
            for interface_address in self.network.hosts[mate.host].addresses
        )

    def doubtful(self, name: str) -> set[str]:
        """Return the devices of which this is so for some network."""
        wide = [
            address for address in self.network.hosts[name].addresses if address.length < BITS[address.address.version]
        ]
        if len({address.prefix for address in wide}) == len(wide) and not any(
            one.prefix.overlaps(other.prefix) for one, other in combinations(wide, 2) if one.dev != other.dev
        ):
            return set()
        return {address.dev for address in wide if self.is_doubtful(name, address.dev, address.address)}

    def _is_pods(self, name: str, dev: str) -> bool:
        return not self.network.segment(name, dev)

    def _is_wide(self, if_address: IfAddress, address: Address) -> bool:
        return (
            if_address.length < BITS[address.version]
            and not LINK_LOCAL.covers(address)
            and if_address.prefix.covers(address)
        )

    def _is_uplink(self, name: str, dev: str) -> bool:
        """Return whether DEV has the network of an InternalIP, and pods of the machine have another device."""
        host = self.network.hosts[name]
        node = self.network.nodes.get(name)
        internal = {
            interface_address.dev
            for interface_address in host.addresses
            if interface_address.length < BITS[interface_address.address.version] and not self.network.is_of_pods(interface_address.prefix)
            and any(interface_address.prefix.covers(address) for address in self._internal)
        }  # fmt: skip
        cidrs = node.pod_cidrs if node else ()
        elsewhere = {
            address.dev for address in host.addresses if any(cidr.covers(address.address) for cidr in cidrs)
        } - {dev}
        return dev in internal and (not cidrs or bool(elsewhere - {LOOPBACK}))

    @cached_property
    def _internal(self) -> set[Address]:
        return {address for node in self.network.nodes.values() for address in node.internal_ips}

    def _of_machines(self, prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
        return tuple(
            prefix
            for prefix in sorted(prefixes)
            if not LINK_LOCAL.covers(prefix) and not self.network.is_of_pods(prefix)
        )

    def _hinted(self, name: str, dev: str) -> tuple[Prefix, ...]:
        """Return the subnets of the link of a device without an address in one, as its neighbours or its gateways tell.

        IPv6 routes outlive the address of their device; that their gateways are on its link was checked when they were made.
        """
        host = self.network.hosts[name]
        mates = {mate for mate in self._mates.get((name, dev), ()) if mate.iif != LOOPBACK}
        own = {
            address.prefix
            for mate in mates
            for address in self.network.hosts[mate.host].addresses
            if address.dev == mate.iif
        }
        gateways = {
            network(hop.via, BITS[6])
            for route in self.network.shared.pick(host, self.network.shared.with_gateway)
            for hop in route.next_hops
            if hop.dev == dev and hop.via and hop.via.version == 6 and not hop.flags & _ONLINK
        }
        return self._of_machines({address for address in own if address.length < BITS[address.version]} | gateways)

    @cached_property
    def _mates(self) -> dict[tuple[str, str], set[Arrival]]:
        """The devices on the link of each one, as neighbour tables tell: somebody has been heard there."""
        found: dict[tuple[str, str], set[Arrival]] = {}
        for host in self.network.hosts.values():
            for (dev, _), entry in (host.neighbours.entries if host.neighbours else {}).items():
                mate = self.by_mac.get(entry.mac)
                if mate and not entry.permanent and mate.host != host.name:
                    found.setdefault((host.name, dev), set()).add(mate)
                    found.setdefault((mate.host, mate.iif), set()).add(Arrival(host.name, dev))
        return found

    @cached_property
    def by_mac(self) -> dict[str, Arrival]:
        """The devices by MAC address, those that share it with others left out. A bridge stands for its ports."""
        found: dict[str, set[Arrival]] = {}
        for host in self.network.hosts.values():
            for dev, mac in host.macs.items():
                found.setdefault(mac, set()).add(Arrival(host.name, self.outermost(host, dev)))
        return {mac: next(iter(devices)) for mac, devices in found.items() if len(devices) == 1}

    def outermost(self, host: Host, dev: str) -> str:
        """Return the bridge of which DEV is a port, or DEV itself."""
        master = host.masters.get(dev)
        return master if master in host.links and host.medium(str(master)).kind == "bridge" else dev  # type: ignore[return-value]

    def is_pod_bridge(self, name: str, dev: str) -> bool:
        """Return whether DEV is a bridge with an address of a pod CIDR, and nothing but veths as its ports."""
        host = self.network.hosts[name]
        ports = host.ports(dev)
        return (
            host.medium(dev).kind == "bridge"
            and any(address.dev == dev and self.network.is_of_pods(address.prefix) for address in host.addresses)
            and all(host.medium(port).kind == "veth" for port in ports)
        )

    @cached_property
    def _onlink(self) -> dict[int, Route]:
        """The on-link routes of the main tables."""
        return {
            id(route): route
            for route in self.network.shared.routes()
            if route.table == MAIN
            and route.kind == "unicast"
            and route.via is None
            and route.dev not in (None, LOOPBACK)
        }
