"""All machines of a proof: the owners of addresses, and the devices on one link.

Two devices are assumed to be on one link if they have addresses in one subnet. Tables show nothing else about links.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix, network
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import LOCAL, LOOPBACK, Host
from podroutes.model.route import Route
from podroutes.verify.lookup import MULTICAST6, Tables, is_custom_local, is_of_kernel
from podroutes.verify.shared_routes import Shared
from podroutes.verify.wires import Arrival, Wires

Look = Callable[[str, Address], Tables]  # the tables of a machine for one destination
_KEPT = 64  # indexed tables that are cached; each may have thousands of routes


class Network:
    """The machines whose tables are known, by name, and all nodes of the inventory.

    ``closed``: there is no other machine on their networks. An address that none of them has is nobody's then.
    """

    def __init__(self, hosts: Iterable[Host], cluster: Cluster, *, closed: bool = False) -> None:
        self.closed = closed
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self.nodes: Mapping[str, Node] = {node.name: node for node in cluster.nodes}
        self._pods = sorted({cidr for node in cluster.nodes for cidr in node.pod_cidrs})
        self._pod_set, self._pod_lengths = set(self._pods), {cidr.length for cidr in self._pods}
        self._owners: dict[Address, list[Arrival]] = {}
        for host in self.hosts.values():
            for each in host.addresses:
                self._owners.setdefault(each.address, []).append(Arrival(host.name, each.dev))
        self._unseen = {
            address: node.name for node in cluster.nodes if node.name not in self.hosts for address in node.internal_ips
        }
        self._claimed = {
            address: node.name for node in cluster.nodes if node.name in self.hosts for address in node.internal_ips
        }
        self._double = {
            address: owners
            for address, owners in self._owners.items()
            if len({owner.host for owner in owners}) > 1 and not _everywhere(address)
        }
        self._segments: dict[tuple[str, str], tuple[Prefix, ...]] = {}
        self._tables: dict[tuple[str, int], Tables] = {}
        self._close: dict[tuple[str, int], Tables] = {}

    @cached_property
    def wires(self) -> Wires:
        """The links of devices."""
        return Wires(self)

    @property
    def unseen(self) -> list[str]:
        """The nodes of the inventory whose tables are not known."""
        return [name for name in self.nodes if name not in self.hosts]

    @cached_property
    def shared(self) -> Shared:
        """The routes of all machines."""
        return Shared(self.hosts.values())

    def look(self, name: str, dst: Address) -> Tables:
        """Return the complete tables of a machine."""
        return self._ready(self._tables, name, dst.version, lambda host: host.routes)

    def close(self, name: str, version: int) -> Tables:
        """Return the tables of a machine for the networks that it is in."""
        return self._ready(self._close, name, version, lambda host: self.shared.pick(host, self.underlay))

    def _ready(
        self,
        known: dict[tuple[str, int], Tables],
        name: str,
        version: int,
        routes: Callable[[Host], Iterable[Route]],
    ) -> Tables:
        key = name, version
        if key not in known:
            while len(known) >= _KEPT:
                del known[next(iter(known))]
            host = self.hosts[name]
            known[key] = Tables(host, version, routes(host), custom_local=self.custom_local(host))
        return known[key]

    def custom_local(self, host: Host) -> bool:
        """Return whether HOST has a local IPv4 route that was added by a person."""
        return bool(self.shared.held(host, self._typed))

    def owners(self, address: Address) -> list[Arrival]:
        """Return the known machines that have ADDRESS, with the device."""
        return self._owners.get(address, [])

    def unseen_node(self, address: Address) -> str | None:
        """Return the node with ADDRESS in the inventory whose tables are not known."""
        return self._unseen.get(address)

    @property
    def unseen_addresses(self) -> Iterable[Address]:
        """The InternalIPs of the nodes whose tables are not known."""
        return self._unseen

    def claimed_by(self, address: Address) -> str | None:
        """Return the node with ADDRESS in the inventory but not in its own tables."""
        return self._claimed.get(address) if not self._owners.get(address) else None

    def doubles(self, name: str) -> list[str]:
        """Return the other machines that have an address of the machine NAME, too."""
        found = (owner.host for each in self.hosts[name].addresses for owner in self._double.get(each.address, ()))
        return [other for other in dict.fromkeys(found) if other != name]

    def node_with(self, address: Address) -> str | None:
        """Return the node that has ADDRESS in its tables or else in the inventory."""
        return next((owner.host for owner in self.owners(address)), self._unseen.get(address))

    def segment(self, host: str, dev: str) -> tuple[Prefix, ...]:
        """Return the subnets of the link of a device: without link-local ones and those of pods; none for the loopback.

        These are the subnets of its addresses; for an address without a subnet, the address and the device's on-link routes.
        """
        key = host, dev
        if key not in self._segments:
            self._segments[key] = self.wires.segment(host, dev) if dev != LOOPBACK else ()
        return self._segments[key]

    def cached(self, host: Host, dev: str, address: Address) -> bool | None:
        """Return whether HOST has an entry for ADDRESS in its neighbour table; None if that was not collected."""
        return None if host.neighbours is None else (dev, address) in host.neighbours.entries

    def strays(self, host: Host) -> frozenset[tuple[str, Address]]:
        """Return the device and address of the neighbours of HOST that are no known machine's, without pods."""
        entries = host.neighbours.entries if host.neighbours else ()
        return frozenset(
            (dev, address)
            for dev, address in entries
            if address not in self._owners
            and not LINK_LOCAL.covers(address)
            and not self.is_of_pods(network(address, BITS[address.version]))
        )

    def has_pods(self, name: str, dev: str, address: Address) -> bool:
        """Return whether a device has an address in the pod network of ADDRESS."""
        return any(
            each.dev == dev and each.prefix.covers(address) and self.is_of_pods(each.prefix)
            for each in self.hosts[name].addresses
        )

    def on_wire(self, segment: Iterable[Prefix], host: str) -> list[str]:
        """Return the devices of HOST on the link of SEGMENT."""
        devices = dict.fromkeys(each.dev for each in self.hosts[host].addresses)
        return [dev for dev in devices if meet(segment, self.segment(host, dev))]

    def is_of_pods(self, prefix: Prefix) -> bool:
        """Return whether PREFIX overlaps a pod CIDR."""
        inside = bisect_left(self._pods, prefix) < bisect_left(self._pods, Prefix(prefix.version, prefix.last + 1, 0))
        address = Address(prefix.version, prefix.value)
        return inside or any(
            network(address, length) in self._pod_set for length in self._pod_lengths if length <= prefix.length
        )

    @cached_property
    def _typed(self) -> dict[int, Route]:
        return {id(route): route for route in self.shared.routes() if is_custom_local(route)}

    @cached_property
    def _wide_local(self) -> dict[int, Route]:
        return {
            id(route): route
            for route in self.shared.routes()
            if route.dst.version == 4
            and route.dst.value >> 24 != 127
            and route.dst.length > 0
            and (
                route.dst.length < BITS[4]
                if route.kind == "local"
                else route.kind in ("broadcast", "multicast", "anycast") and not is_of_kernel(route)
            )
        }

    def receives6(self, host: Host, dst: Prefix, dev: str) -> bool:
        """Return whether table local of HOST has the IPv6 route to DST, a link-local address or all of multicast, that the kernel makes."""
        routes = self.shared.pick(host, self._received6)
        return any(route.dst == dst and (route.dev == dev or dst != MULTICAST6) for route in routes)

    @cached_property
    def _received6(self) -> dict[int, Route]:
        return {
            id(route): route
            for route in self.shared.routes()
            if route.table == LOCAL
            and (route.dst == MULTICAST6 or (route.kind == "local" and LINK_LOCAL.covers(route.dst)))
        }

    def takes_networks(self, host: Host) -> bool:
        """Return whether HOST takes more IPv4 addresses than those of its devices for its own or for nobody's, except the loopback's."""
        return bool(self.shared.held(host, self._wide_local))

    @cached_property
    def underlay(self) -> dict[int, Route]:
        """The routes that cover an address of some link."""
        every = {
            prefix for host in self.hosts.values() for dev in host.links for prefix in self.segment(host.name, dev)
        }
        spans: dict[int, list[Prefix]] = {4: [], 6: []}
        for prefix in sorted(every):
            covered = spans[prefix.version][-1:]
            if not (covered and covered[0].covers(prefix)):
                spans[prefix.version].append(prefix)
        first = {version: [prefix.value for prefix in found] for version, found in spans.items()}
        last = {version: [prefix.last for prefix in found] for version, found in spans.items()}
        return {
            id(route): route
            for route in self.shared.routes()
            if bisect_left(last[route.dst.version], route.dst.value)
            < bisect_left(first[route.dst.version], route.dst.last + 1)
        }


def _everywhere(address: Address) -> bool:
    """Return whether ADDRESS exists on many machines: a loopback or link-local address."""
    return LINK_LOCAL.covers(address) or (address.version == 6 and address.value == 1) or address.value >> 24 == 127


def meet(one: Iterable[Prefix], other: Iterable[Prefix]) -> bool:
    """Return whether two segments overlap."""
    return any(prefix.overlaps(each) for prefix in one for each in other)
