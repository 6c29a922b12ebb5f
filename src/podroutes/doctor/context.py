"""The input of all finders: a machine, and what the inventory expects of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import LOCAL, LOOPBACK
from podroutes.model.machine_facts import Facts, Question
from podroutes.model.prefix_table import PrefixTable
from podroutes.model.route import MAIN, Route

T = TypeVar("T")


class Prefixes(Generic[T]):
    """Prefixes of both IP versions, each with a value."""

    def __init__(self, entries: Iterable[tuple[Prefix, T]]) -> None:
        rows = list(entries)
        self._tables = {version: PrefixTable(version, rows) for version in BITS}

    def find(self, inner: Prefix) -> tuple[bool, T | None]:
        """Return whether a prefix covers INNER, and the value of the longest one; of equal ones the last counts."""
        host_bits = BITS[inner.version] - inner.length
        values = next(self._tables[inner.version].covering(inner.value, host_bits), None)
        return (True, values[-1]) if values else (False, None)


class MachineContext(NamedTuple):
    """One machine. Without an inventory ``cluster`` and ``own`` are None, and only its own tables are used.

    ``answers`` has the hardware addresses that answered for each next hop that was asked for; where there are several ``one_machine``
    tells whether all of them belong to one machine, None: unknown. ``configured`` has the next hop of each
    route that the administrator's own files make, ``not_restored`` why the next boot does not bring back what files of ours say.
    """

    facts: Facts
    cluster: Cluster | None = None
    own: Node | None = None
    answers: Mapping[Address, tuple[str, ...]] = {}
    configured: Mapping[Prefix, Address | None] = {}
    not_restored: tuple[str, ...] = ()
    one_machine: Mapping[Address, bool | None] = {}

    @property
    def ours(self) -> list[Route]:
        """The routes of our protocol in the main table."""
        return [route for route in self.facts.host.routes if route.ours and route.table == MAIN]

    @property
    def bridges(self) -> list[str]:
        """The pod devices: those of the CNI configuration, else the default bridge of its plugin."""
        configured = [network.bridge for network in self.facts.networks if network.bridge]
        return [name for name in dict.fromkeys(configured or ["cni0"]) if name in self.facts.devices]

    @property
    def own_cidrs(self) -> tuple[Prefix, ...]:
        """The podCIDRs of this machine: from the inventory, else the network of the pod bridge."""
        if self.own:
            return self.own.pod_cidrs
        bridges = set(self.bridges)
        return tuple(
            address.prefix
            for address in self.facts.host.addresses
            if address.dev in bridges and not LINK_LOCAL.covers(address.address)
        )

    @property
    def other_cidrs(self) -> dict[Prefix, Node | None]:
        """The podCIDRs of the other machines with their nodes: from the inventory, else the destinations of our routes."""
        if self.cluster is None:
            return dict.fromkeys((route.dst for route in self.ours), None)
        others = (node for node in self.cluster.nodes if not self.own or node.name != self.own.name)
        return {cidr: node for node in others for cidr in node.pod_cidrs}

    @property
    def pod_range(self) -> Prefixes[Node | None]:
        """All prefixes of pods, here and on other machines."""
        limits = self.cluster.pod_cidrs if self.cluster else ()
        own = ((cidr, self.own) for cidr in self.own_cidrs)
        return Prefixes([*((limit, None) for limit in limits), *own, *self.other_cidrs.items()])

    @property
    def forwards(self) -> set[int]:
        """The IP versions that this machine must forward: none without pods, unless it is a router; IPv4 without an inventory."""
        if self.own:
            passing = self.own.internal_ips if self.own.router else ()
            return {cidr.version for cidr in self.own.pod_cidrs} | {address.version for address in passing}
        return {4} | {cidr.version for cidr in (*self.own_cidrs, *self.other_cidrs)}

    def uplinks(self, version: int) -> list[str]:
        """Return the devices towards the other machines: of the InternalIP, of our routes, else of the default route."""
        host = self.facts.host
        internal = (
            [host.owns(address) for address in self.own.internal_ips if address.version == version] if self.own else []
        )
        routed = [hop.dev for route in self.ours if route.dst.version == version for hop in route.next_hops]
        devices = [*internal, *routed]
        if not any(devices):
            default = Prefix(version, 0, 0)
            devices = [hop.dev for route in host.routes if route.dst == default for hop in route.next_hops]
        return [dev for dev in dict.fromkeys(filter(None, devices)) if dev in self.facts.devices and dev != LOOPBACK]

    def questions(self) -> Iterator[Question]:
        """Yield each next hop that must answer on a network of this machine: the other nodes', else those of our routes."""
        next_hops = {route.via for route in self.ours if route.via}
        if self.cluster:
            next_hops = {
                via for node in self.cluster.nodes if node != self.own and node.pod_cidrs for via in node.internal_ips
            }
        host = self.facts.host
        own = {interface_address.address for interface_address in host.addresses}
        networks = [
            interface_address
            for interface_address in host.addresses
            if interface_address.length < BITS[interface_address.address.version]
        ]
        for address in sorted(next_hops - own):
            on = next(
                (network for network in networks if network.prefix.covers(address) and self._hears(network.dev)), None
            )
            if on:
                yield Question(address, self.facts.devices[on.dev], on.address)

    def _hears(self, dev: str) -> bool:
        link = self.facts.host.links[dev]
        return link.up and link.carrier and bool(self.facts.devices[dev].mac)


def connected(context: MachineContext) -> Prefixes[str]:
    """Return the connected networks of the machine, with their devices."""
    routes = (route for route in context.facts.host.routes if route.table != LOCAL and route.kind == "unicast")
    return Prefixes((route.dst, route.dev) for route in routes if route.dev and not route.via)
