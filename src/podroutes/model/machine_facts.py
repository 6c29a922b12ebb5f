"""What an examination of one machine reads, besides its tables."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.host import Host
from podroutes.model.packet_filter import Chain


class Device(NamedTuple):
    """More about a network device: ``kind`` as ip-link(8) names types, ``mac`` only where it speaks ARP."""

    name: str
    ifindex: int
    mtu: int
    kind: str = ""
    mac: str = ""


class CniNetwork(NamedTuple):
    """One plugin of the CNI configuration in use, where it connects pods to this machine."""

    path: str
    plugin: str  # its type: bridge, ptp, ...
    bridge: str = ""  # for the type bridge: the device
    masquerades: bool = False  # ipMasq
    subnets: tuple[Prefix, ...] = ()  # of host-local; empty where addresses are given out by others


class NetworkdLink(NamedTuple):
    """What systemd-networkd has to do with a device."""

    file: str  # NETWORK_FILE
    routes: frozenset[Prefix]  # destinations in [Route] sections of the file and its drop-ins
    accepts_ra: bool  # IPv6AcceptRA= says so itself, so that forwarding does not change it


class Managers(NamedTuple):
    """The network managers that run in this network namespace."""

    running: tuple[str, ...]
    claims: Mapping[str, tuple[tuple[str, str], ...]]  # by device: who manages it, and how that is known
    networkd: Mapping[str, NetworkdLink]  # by device
    keeps_foreign_routes: str  # the file and value of ManageForeignRoutes= when that is off, else ""
    unreadable: tuple[tuple[str, int], ...]  # files that networkd cannot read, with their permissions


class Cloud(NamedTuple):
    """The cloud that a machine runs in, and the firmware's word for it."""

    name: str
    evidence: str


class Facts(NamedTuple):
    """One machine as it was found. ``unexamined`` says what could not be read, and why."""

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


class Question(NamedTuple):
    """Ask who has ADDRESS on the network of DEVICE, in the name of SOURCE."""

    address: Address
    device: Device
    source: Address
