"""The machines of a lab. Its topology is a Cluster whose ``node_cidrs`` are the LAN, one prefix for each IP version."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from podroutes.errors import LabError
from podroutes.model.address import BITS, Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.text import printable

INTERFACE = "ens18"  # the machines' device in the LAN, unless the inventory names another
SWITCH = "switch"  # the namespace of the LAN's bridge, which is also the machines' default gateway
INTERNET = "internet"  # the namespace of the outside, in a lab with CNI
OUTSIDE = {4: parse_address("203.0.113.10"), 6: parse_address("2001:db8::10")}  # its addresses: RFC 5737, RFC 3849
OUTSIDE_GATEWAY = {4: parse_address("203.0.113.1"), 6: parse_address("2001:db8::1")}  # those of the router
OUTSIDE_LENGTH = {4: 24, 6: 64}
MOST_NODES = 1000  # a Linux bridge has 1023 ports at most: BR_PORT_BITS in net/bridge/br_private.h is 10
_NAME = re.compile(r"\w[\w.-]*")  # a valid file name and `ip -batch` word that cannot be a pod's name (`pod@NODE`)
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ of linux/if.h is 16 with its NUL
_LONGEST_NAME = 200  # NAME_MAX is 255 bytes, less the prefix of pod names
_TAKEN = {"lo", "cni0", "eth0", "pod0"}  # devices that the lab itself makes
_FIRST_NODE = {4: parse_address("192.168.8.20"), 6: parse_address("fd00:192:168:8::20")}
_SERVER = {4: parse_address("192.168.8.10"), 6: parse_address("fd00:192:168:8::10")}
_FIRST_POD_CIDR = {4: parse_prefix("10.200.0.0/24"), 6: parse_prefix("fd00:10:200::/64")}
_LAN_LENGTH = {4: 24, 6: 64}  # the longest prefix length of a LAN, as in the tutorial


def default_cluster(nodes: int, *, ipv6: bool = False, control_plane: bool = False) -> Cluster:
    """Return NODES workers with the names and addresses of the tutorial, optionally dual-stack and with a ``server``.

    Raises LabError if there are too many nodes for a lab, or too few.
    """
    if not 1 <= nodes <= MOST_NODES:
        raise LabError(f"a lab has 1 to {MOST_NODES} nodes (a Linux bridge has 1023 ports), not {nodes}")
    versions = (4, 6) if ipv6 else (4,)
    machines = [
        Node(
            name=f"worker-{index}",
            internal_ips=tuple(_plus(_FIRST_NODE[version], index) for version in versions),
            pod_cidrs=tuple(_following(_FIRST_POD_CIDR[version], index) for version in versions),
        )
        for index in range(nodes)
    ]
    if control_plane:
        machines.insert(0, Node("server", tuple(_SERVER[version] for version in versions)))
    return fitted(Cluster(tuple(machines), source="the lab"))


def fitted(cluster: Cluster) -> Cluster:
    """Return CLUSTER with its LAN as ``node_cidrs`` and a device for each machine.

    Raises LabError with machine and value if the lab cannot be built: invalid names, conflicting addresses or podCIDRs,
        machines without an address, podCIDRs without room for a gateway and a pod.
    """
    _check_machines(cluster)
    _check_claims(cluster)
    lans = []
    for version in (4, 6):
        inside = [address for node in cluster.nodes for address in node.internal_ips if address.version == version]
        if inside:
            lans.append(_lan(version, inside, cluster.node_cidrs))
    for lan in lans:
        for node in cluster.nodes:
            for cidr in node.pod_cidrs:
                if cidr.overlaps(lan):
                    raise LabError(
                        f"{cluster.place(node)}: podCIDR {cidr} of {printable(node.name)} overlaps {lan}, the one LAN "
                        "that all InternalIPs fit in: choose pod addresses outside it, or InternalIPs closer together"
                    )
    machines = tuple(node._replace(interface=node.interface or INTERFACE) for node in cluster.nodes)
    return cluster._replace(nodes=machines, node_cidrs=tuple(lans))


def gateway(cluster: Cluster, lan: Prefix) -> Address:
    """Return the router's address in LAN: the first that no machine has."""
    used = {address.value for node in cluster.nodes for address in node.internal_ips if address.version == lan.version}
    value = next(value for value in range(lan.value + 1, lan.last) if value not in used)
    return Address(lan.version, value)


def namespaces(cluster: Cluster, *, cni: bool = False) -> list[str]:
    """Return the names of the lab's network namespaces: the switch, the machines, their pods.

    With CNI pods come later, and there is an outside.
    """
    names = [node.name for node in cluster.nodes]
    if cni:
        return [SWITCH, INTERNET, *names]
    return [SWITCH, *names, *(pod_name(node.name) for node in cluster.nodes if node.pod_cidrs)]


def pod_name(node: str) -> str:
    """Return the name of the namespace of NODE's pod."""
    return f"pod@{node}"


def pod_address(cidr: Prefix) -> Address:
    """Return the pod's address in CIDR: the second; the first is the bridge's, as with CNI's host-local."""
    return Address(cidr.version, cidr.value + 2)


def to_document(cluster: Cluster) -> dict[str, Any]:
    """Return CLUSTER in podroutes' own inventory format, in which a holder also describes its lab."""
    limits = {"podCIDRs": cluster.pod_cidrs, "nodeCIDRs": cluster.node_cidrs, "serviceCIDRs": cluster.service_cidrs}
    nodes = [
        {
            "name": node.name,
            "internalIPs": [str(address) for address in node.internal_ips],
            **({"podCIDRs": [str(cidr) for cidr in node.pod_cidrs]} if node.pod_cidrs else {}),
            "interface": node.interface,
        }
        for node in cluster.nodes
    ]
    return {"cluster": {key: [str(cidr) for cidr in cidrs] for key, cidrs in limits.items() if cidrs}, "nodes": nodes}


def from_document(document: dict[str, Any]) -> Cluster:
    """Return the Cluster of a DOCUMENT made by ``to_document``."""
    limits = {key: tuple(map(parse_prefix, cidrs)) for key, cidrs in document["cluster"].items()}
    nodes = tuple(
        Node(
            node["name"],
            tuple(map(parse_address, node["internalIPs"])),
            tuple(map(parse_prefix, node.get("podCIDRs", ()))),
            node["interface"],
        )
        for node in document["nodes"]
    )
    no: tuple[Prefix, ...] = ()
    return Cluster(
        nodes, limits.get("podCIDRs", no), limits.get("nodeCIDRs", no), limits.get("serviceCIDRs", no), source="the lab"
    )


def _plus(address: Address, count: int) -> Address:
    return address._replace(value=address.value + count)


def _following(prefix: Prefix, count: int) -> Prefix:
    """Return the COUNTth prefix of the same length after PREFIX."""
    return prefix._replace(value=prefix.value + (count << (BITS[prefix.version] - prefix.length)))


def _lan(version: int, inside: Sequence[Address], wanted: Iterable[Prefix]) -> Prefix:
    """Return the LAN of one IP version: one of WANTED if it contains all addresses, else the longest prefix that does."""
    for prefix in wanted:
        if _roomy(prefix, inside):
            return prefix
    lengths = range(_LAN_LENGTH[version], -1, -1)
    return next(prefix for length in lengths if _roomy(prefix := network(inside[0], length), inside))


def _roomy(prefix: Prefix, inside: Sequence[Address]) -> bool:
    """Return whether PREFIX has room for the hosts INSIDE, without its first and last address, and for a gateway."""
    hosts = prefix.last - prefix.value - 1
    return len(inside) < hosts and all(
        address.version == prefix.version and prefix.value < address.value < prefix.last for address in inside
    )


def _check_machines(cluster: Cluster) -> None:
    if not cluster.nodes:
        raise LabError(f"{cluster.source}: has no nodes to make a lab of")
    if len(cluster.nodes) > MOST_NODES:
        raise LabError(
            f"{cluster.source}: has {len(cluster.nodes)} nodes; a lab has at most {MOST_NODES} (a Linux bridge has 1023 ports)"
        )
    for node in cluster.nodes:
        where = f"{cluster.place(node)}: node {printable(node.name)}"
        if not _NAME.fullmatch(node.name) or len(node.name.encode()) > _LONGEST_NAME or node.name == SWITCH:
            raise LabError(
                f'{where} cannot name a namespace of the lab: use letters, digits, ".", "-" and "_", at most '
                f'{_LONGEST_NAME} bytes, and not "{SWITCH}"'
            )
        if node.interface and (not _INTERFACE_NAME.fullmatch(node.interface) or node.interface in _TAKEN):
            raise LabError(
                f"{where}: interface {printable(node.interface)} cannot be made: use up to 15 letters, digits, "
                f'".", "-" and "_", and none of {", ".join(sorted(_TAKEN))}'
            )
        if not node.internal_ips:
            raise LabError(f"{where} has no InternalIP, so it cannot be put on the lab's LAN: add one")
        for cidr in node.pod_cidrs:
            if BITS[cidr.version] - cidr.length < 2:
                raise LabError(f"{where}: podCIDR {cidr} has no room for a gateway and a pod: make it shorter")


def _check_claims(cluster: Cluster) -> None:
    """Raise LabError for duplicate names, addresses or podCIDRs."""
    owners: dict[str | Address, Node] = {}
    for node in cluster.nodes:
        keys: tuple[str | Address, ...] = (node.name, *node.internal_ips)
        for key in keys:
            if key in owners:
                what = "the name" if isinstance(key, str) else "InternalIP"
                raise LabError(
                    f"{cluster.place(node)}: {what} {printable(str(key))} of node {printable(node.name)} is already that of "
                    f"{printable(owners[key].name)}: a lab needs an inventory without conflicts"
                )
            owners[key] = node
    claims = sorted((cidr, node.name) for node in cluster.nodes for cidr in node.pod_cidrs)
    for (cidr, owner), (other, rival) in pairwise(claims):
        if cidr.overlaps(other):
            raise LabError(
                f"{cluster.source}: podCIDR {other} of {printable(rival)} overlaps {cidr} of {printable(owner)}: "
                "a lab needs an inventory without conflicts"
            )
