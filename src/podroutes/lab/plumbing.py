"""The ip(8) commands that make the lab's links, addresses and routes."""

from collections.abc import Iterator

from podroutes.lab.topology import (
    INTERNET,
    OUTSIDE,
    OUTSIDE_GATEWAY,
    OUTSIDE_LENGTH,
    SWITCH,
    gateway,
    pod_address,
    pod_name,
)
from podroutes.model.address import LINK_LOCAL, Address, Prefix
from podroutes.model.cluster import Cluster, Node

BRIDGE = "lan"  # the device of the switch, which carries the gateway's address
# Neighbour entries of all namespaces together are limited by net.ipv4.neigh.default.gc_thresh3 (1024), which can be set
# only in the initial namespace; permanent ones are exempt (neigh_alloc in net/core/neighbour.c). Smaller labs resolve
# addresses like real machines and stay below the limit: 17 machines have at most 16 neighbours and a pod each.
RESOLVING_NODES = 16
# The first byte of our MAC addresses is 02: locally administered, unicast (IEEE 802 section 8.4).
_PORT, _NODE, _BRIDGE, _POD, _SWITCH = range(5)
_INTERFACE_ID = (1 << 64) - 1  # the interface identifier of an IPv6 address, RFC 4291 section 2.5.1
_LINK_LOCAL_LENGTH = 64  # RFC 4291 section 2.5.6


def sysctls(cluster: Cluster, namespace: str, *, cni: bool = False) -> dict[str, str]:
    """Return the sysctls below /proc/sys/net for NAMESPACE, to be written before it has devices other than ``lo``."""
    settings = {
        "ipv6/conf/default/accept_dad": "0",  # addresses are usable at once: no other host can have them
        "ipv6/conf/default/accept_ra": "0",  # no router here sends advertisements
    }
    if namespace.startswith(pod_name("")):
        return settings
    settings["ipv4/ip_forward"] = "1"
    if any(lan.version == 6 for lan in cluster.node_cidrs):
        settings["ipv6/conf/all/forwarding"] = "1"
    # Hundreds of bridge ports would each get a link-local address; the commands below add them where needed. A bridge that a
    # plugin makes gets its own, without which the kernel solicits no neighbour for packets that it forwards.
    if not cni or namespace in (SWITCH, INTERNET):
        settings["ipv6/conf/default/addr_gen_mode"] = "1"
    return settings


def commands(cluster: Cluster, *, cni: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield (namespace, lines for ``ip -batch``), in an order in which each peer exists when it is needed.

    With CNI the pods and their bridges are left to plugins, and the router leads to an outside that has no route to pods.
    """
    everyone = _neighbours(cluster) if len(cluster.nodes) > RESOLVING_NODES else []
    yield SWITCH, [*_switch(cluster, everyone), *(_outside(cluster) if cni else ())]
    if cni:
        yield INTERNET, _internet(cluster)
        cluster = cluster._replace(nodes=tuple(node._replace(pod_cidrs=()) for node in cluster.nodes))
    for index, node in enumerate(cluster.nodes):
        # The pod first: then cni0 has a carrier when it is set up, and no route is linkdown.
        if node.pod_cidrs:
            yield pod_name(node.name), _pod(index, node, static=bool(everyone))
        yield node.name, _machine(cluster, index, node, everyone)


def _switch(cluster: Cluster, everyone: list[str]) -> list[str]:
    lines = [
        "link set lo up",
        # No multicast snooping: the groups of each machine would be reported to hundreds of ports.
        f"link add {BRIDGE} address {_mac(_SWITCH, 0)} type bridge mcast_snooping 0",
    ]
    for index, node in enumerate(cluster.nodes):
        lines.append(
            f"link add port{index} master {BRIDGE} up address {_mac(_PORT, index)} type veth "
            f"peer name {node.interface} netns {node.name} address {_mac(_NODE, index)}"
        )
    addresses = [(gateway(cluster, lan), lan.length) for lan in cluster.node_cidrs]
    return [*lines, *_raise(BRIDGE, addresses), *(f"{line} dev {BRIDGE}" for line in everyone)]


def _outside(cluster: Cluster) -> list[str]:
    """Return the router's side of the link to the outside."""
    addresses = [(OUTSIDE_GATEWAY[lan.version], OUTSIDE_LENGTH[lan.version]) for lan in cluster.node_cidrs]
    return [f"link add {INTERNET} type veth peer name eth0 netns {INTERNET}", *_raise(INTERNET, addresses)]


def _internet(cluster: Cluster) -> list[str]:
    lans = cluster.node_cidrs
    addresses = [(OUTSIDE[lan.version], OUTSIDE_LENGTH[lan.version]) for lan in lans]
    routes = [f"route add {lan} via {OUTSIDE_GATEWAY[lan.version]} dev eth0" for lan in lans]
    return ["link set lo up", *_raise("eth0", addresses), *routes]


def _machine(cluster: Cluster, index: int, node: Node, everyone: list[str]) -> list[str]:
    lans = {lan.version: lan for lan in cluster.node_cidrs}
    own = [(address, lans[address.version].length) for address in node.internal_ips]
    lines = ["link set lo up", *_raise(str(node.interface), own)]
    lines += [
        f"route add default via {gateway(cluster, lans[version])} dev {node.interface} proto static"
        for version in sorted({address.version for address in node.internal_ips})
    ]
    lines += [f"{line} dev {node.interface}" for line in everyone]
    if node.pod_cidrs:
        bridge = [(Address(cidr.version, cidr.value + 1), cidr.length) for cidr in node.pod_cidrs]
        lines += [
            f"link add cni0 address {_mac(_BRIDGE, index)} type bridge mcast_snooping 0",
            "link set pod0 master cni0 up",
            *_raise("cni0", bridge),
        ]
        if everyone:
            lines += [_neighbour(pod_address(cidr), _mac(_POD, index)) + " dev cni0" for cidr in node.pod_cidrs]
    return lines


def _pod(index: int, node: Node, *, static: bool) -> list[str]:
    own = [(pod_address(cidr), cidr.length) for cidr in node.pod_cidrs]
    lines = [
        "link set lo up",
        f"link add eth0 up address {_mac(_POD, index)} type veth peer name pod0 netns {node.name}",
        *(_address(address, length, "eth0") for address, length in own),
    ]
    first: dict[int, Prefix] = {}
    for cidr in node.pod_cidrs:
        first.setdefault(cidr.version, cidr)
        router = Address(cidr.version, cidr.value + 1)
        if static:
            lines.append(_neighbour(router, _mac(_BRIDGE, index)) + " dev eth0")
    lines += [f"route add default via {Address(version, cidr.value + 1)} dev eth0" for version, cidr in first.items()]
    return lines


def _raise(dev: str, addresses: list[tuple[Address, int]]) -> list[str]:
    """Add ADDRESSES to DEV and set it up; for IPv6 also a link-local address, which neighbour discovery needs.

    The kernel adds one only once the device has a carrier, some time after it is set up.
    """
    alone = [link_local(address) for address, _ in addresses if address.version == 6][:1]
    own = [*addresses, *((address, _LINK_LOCAL_LENGTH) for address in alone)]
    return [*(_address(address, length, dev) for address, length in own), f"link set {dev} up"]


def link_local(address: Address) -> Address:
    """Return a link-local address with the interface identifier of the IPv6 ADDRESS."""
    return Address(6, LINK_LOCAL.value | address.value & _INTERFACE_ID)


def _address(address: Address, length: int, dev: str) -> str:
    return f"address add {address}/{length} dev {dev} {'broadcast +' if address.version == 4 else 'nodad'}"


def _neighbours(cluster: Cluster) -> list[str]:
    """Return commands for permanent neighbour entries of all machines and the gateway; the caller appends the device."""
    return [
        *(_neighbour(gateway(cluster, lan), _mac(_SWITCH, 0)) for lan in cluster.node_cidrs),
        *(
            _neighbour(address, _mac(_NODE, index))
            for index, node in enumerate(cluster.nodes)
            for address in node.internal_ips
        ),
    ]


def _neighbour(address: Address, mac: str) -> str:
    return f"neighbour replace {address} lladdr {mac} nud permanent"


def _mac(kind: int, index: int) -> str:
    return f"02:00:{kind:02x}:00:{index >> 8:02x}:{index & 255:02x}"
