"""Facts about one machine that doctor reads, besides its tables."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.host import Host
from podroutes.model.packet_filter import Chain


class Device(NamedTuple):
    """More about a network device: ``kind`` is a type of ip-link(8); ``mac`` is set only if the device uses ARP."""

    name: str
    ifindex: int
    mtu: int
    kind: str = ""
    mac: str = ""


class CniNetwork(NamedTuple):
    """A plugin of the CNI configuration in use that connects pods to this machine."""

    path: str
    plugin: str  # its type: bridge, ptp, ...
    bridge: str = ""  # for the type bridge: the device
    masquerades: bool = False  # ipMasq
    subnets: tuple[Prefix, ...] = ()  # of host-local; empty for other IPAM plugins
    full: tuple[Prefix, ...] = ()  # those of them that have no free address


class CniFile(NamedTuple):
    """One file of the CNI configuration that describes a network, and its plugins that connect pods to this machine."""

    path: str
    networks: tuple[CniNetwork, ...]
    missing: tuple[str, ...] = ()  # plugins that it names and that are not installed


class NetworkdLink(NamedTuple):
    """What systemd-networkd does with a device."""

    file: str  # NETWORK_FILE
    routes: frozenset[Prefix]  # destinations in [Route] sections of the file and its drop-ins
    accepts_ra: bool  # IPv6AcceptRA= is set, so that forwarding does not change it


class Managers(NamedTuple):
    """The network managers that run in this network namespace."""

    running: tuple[str, ...]
    claims: Mapping[str, tuple[tuple[str, str], ...]]  # by device: its manager, and how that is known
    networkd: Mapping[str, NetworkdLink]  # by device
    keeps_foreign_routes: str  # the file and value of ManageForeignRoutes= if it is off, else ""
    unreadable: tuple[tuple[str, int], ...]  # files that networkd cannot read, with their modes


class Cloud(NamedTuple):
    """The cloud that a machine runs in, and the firmware string that shows it."""

    name: str
    evidence: str


class Facts(NamedTuple):
    """The facts of one machine. ``unexamined`` names what could not be read, and why."""

    host: Host
    devices: Mapping[str, Device]
    temporary: frozenset[Address]  # addresses of RFC 8981
    thresholds: Mapping[int, tuple[int, int, int]]  # gc_thresh1 to 3 by IP version
    chains: tuple[Chain, ...]
    networks: tuple[CniNetwork, ...]
    managers: Managers
    cloud: Cloud | None
    protocol_named: bool
    unexamined: tuple[str, ...] = ()
    cni_files: tuple[CniFile, ...] = ()  # in the order of their names, of which the runtime uses the first
    kubelet: str = ""  # how it is known that there is one, "" if there is none
    service_proxy: str = ""  # the program that makes services reachable, such as kube-proxy
    masquerade_file: str = ""  # our file with the masquerade table, "" if there is none
    bridge_filter_off: str = ""  # how it is known that bridged packets pass by iptables


class Question(NamedTuple):
    """An ARP or neighbour request for ADDRESS on DEVICE, with the source address SOURCE."""

    address: Address
    device: Device
    source: Address
