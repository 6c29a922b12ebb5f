"""Machines in memory: kernels with the devices of the lab's machines, readable by the proof."""

from collections.abc import Iterable, Iterator

from podroutes.errors import LabError
from podroutes.kernel.memory import MemoryKernel
from podroutes.lab.plumbing import link_local
from podroutes.lab.topology import SWITCH, gateway
from podroutes.model.address import BITS, Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import IfAddress, Link
from podroutes.model.host import LOCAL, LOOPBACK, Host, Rule
from podroutes.model.linux import RouteProtocol, Scope
from podroutes.model.plan import Change
from podroutes.model.route import MAIN, PROTOCOL, NextHop, Route, protocol_name
from podroutes.verify.lookup import MULTICAST6
from podroutes.views import iproute

_BRIDGE, _PORT, _LAN = "cni0", "pod0", "lan"  # devices of a lab's machine and of its switch
_ANYWHERE = {4: Prefix(4, 0, 0), 6: Prefix(6, 0, 0)}
_LOOPBACK = (IfAddress(parse_address("127.0.0.1"), 8, LOOPBACK), IfAddress(parse_address("::1"), 128, LOOPBACK))


class Machine:
    """One machine: its kernel. It forwards packets, and rp_filter is 0."""

    def __init__(
        self, name: str, links: Iterable[str], addresses: Iterable[IfAddress], routes: Iterable[Route] = ()
    ) -> None:
        self.name = name
        up = [Link(index, link, up=True, carrier=True) for index, link in enumerate((LOOPBACK, *links), 1)]
        self.kernel = MemoryKernel(up, addresses, routes)

    def host(self) -> Host:
        """Return the machine's state as read by `ip -j` and sysctl(8)."""
        links = self.kernel.links
        own = self.kernel.addresses
        six = {address.dev: address.address for address in reversed(own) if address.address.version == 6}
        alone = (IfAddress(link_local(address), 64, dev) for dev, address in six.items())
        addresses = (*_LOOPBACK, *own, *alone)
        return Host(
            self.name,
            links,
            {_PORT: _BRIDGE} if _PORT in links else {},
            addresses,
            {version: tuple(rules) for version, rules in self.kernel.rules.items()},
            (
                *self.kernel.routes,
                *(route for address in addresses for route in _local(address)),
                *(_multicast(dev) for dev in six if dev != LOOPBACK),
            ),
            {},
            {},
            {
                "net.ipv4.ip_forward": 1,
                "net.ipv6.conf.all.forwarding": 1,
                **{f"net.ipv4.conf.{dev}.forwarding": 1 for dev in ("all", *links)},
                **{
                    f"net.ipv4.conf.{dev}.{key}": 0
                    for dev in ("all", *links)
                    for key in ("rp_filter", "proxy_arp", "arp_ignore")
                },
            },
        )

    def ip(self, words: tuple[str, ...]) -> list[str]:
        """Run ip(8) with WORDS, of which a few forms are supported, and return its output. Raises LabError for others."""
        match words:
            case ("route",):
                return self._table()
            case ("route", "add", "unreachable", dst, "table", number):
                self._change(
                    "add", Route(parse_prefix(dst), protocol=RouteProtocol.BOOT, table=int(number), kind="unreachable")
                )
            case ("route", "delete", dst):
                self._change("delete", self.route(parse_prefix(dst)))
            case ("rule", "add", "priority", priority, "lookup", table):
                self.kernel.rules[4] = sorted([*self.kernel.rules[4], Rule(int(priority), table=int(table))])
            case ("rule", "delete", "priority", priority):
                self.kernel.rules[4] = [rule for rule in self.kernel.rules[4] if rule.priority != int(priority)]
            case _:
                raise LabError(f"not simulated: ip {' '.join(words)}")
        return []

    def route(self, dst: Prefix) -> Route:
        """Return the route to DST in the main table that a manual deletion would delete. Raises LabError if there is none."""
        present = next((route for route in self.kernel.routes if route.dst == dst and route.table == MAIN), None)
        if present is None:
            raise LabError(f"{self.name} has no route to {dst}")
        return present

    def _change(self, action: str, route: Route) -> None:
        for why in self.kernel.apply([Change("add" if action == "add" else "delete", route)]).values():
            raise LabError(f"{self.name}: {why.text}")

    def _table(self) -> list[str]:
        """Return the IPv4 routes of the main table in the kernel's order: by destination, the longest prefix first."""
        own = [route for route in self.kernel.routes if route.dst.version == 4 and route.table == MAIN]
        own.sort(key=lambda route: (route.dst.value, -route.dst.length, route.metric))
        named = f"proto {protocol_name(PROTOCOL)}"  # as iproute2 prints a protocol without a name
        lines = (iproute.line(route).replace(named, f"proto {PROTOCOL}") for route in own)
        return [line.replace("0.0.0.0/0", "default", 1) for line in lines]


def machines(cluster: Cluster) -> dict[str, Machine]:
    """Return the machines of CLUSTER, which is a lab's, and their switch, which is also their router."""
    lans = {lan.version: lan for lan in cluster.node_cidrs}
    router = [IfAddress(gateway(cluster, lan), lan.length, _LAN) for lan in cluster.node_cidrs]
    nodes = [
        _machine(node, lans, {address.address.version: address.address for address in router}) for node in cluster.nodes
    ]
    return {machine.name: machine for machine in (Machine(SWITCH, [_LAN], router), *nodes)}


def _machine(node: Node, lans: dict[int, Prefix], routers: dict[int, Address]) -> Machine:
    lan = str(node.interface)
    addresses = [IfAddress(address, lans[address.version].length, lan) for address in node.internal_ips]
    addresses += [IfAddress(Address(cidr.version, cidr.value + 1), cidr.length, _BRIDGE) for cidr in node.pod_cidrs]
    out = [
        Route(_ANYWHERE[version], (NextHop(routers[version], lan),), 0 if version == 4 else 1024, RouteProtocol.STATIC)
        for version in sorted({address.version for address in node.internal_ips})
    ]
    return Machine(node.name, [lan, _BRIDGE, _PORT] if node.pod_cidrs else [lan], addresses, out)


def _multicast(dev: str) -> Route:
    """Return the route that the kernel adds with a device on which IPv6 is enabled: addrconf_add_mroute()."""
    return Route(MULTICAST6, (NextHop(None, dev),), 256, RouteProtocol.KERNEL, LOCAL, "multicast")


def _local(address: IfAddress) -> Iterator[Route]:
    """Yield the routes in table local that the kernel adds with an address; on lo also the one for its IPv4 network."""
    version = address.address.version
    source, scope = (address.address, Scope.HOST) if version == 4 else (None, Scope.UNIVERSE)
    for dst in dict.fromkeys((network(address.address, BITS[version]), address.prefix)):
        if dst.length == BITS[version] or (version == 4 and address.dev == LOOPBACK):
            yield Route(dst, (NextHop(None, address.dev),), 0, RouteProtocol.KERNEL, LOCAL, "local", scope, 0, source)
