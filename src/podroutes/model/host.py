"""The state of one machine that decides about packets: policy rules, the routes of all tables, links, sysctls."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from podroutes.model.address import Address
from podroutes.model.fib import IfAddress, Link, Unusable
from podroutes.model.route import Route
from podroutes.model.rule import ANY_TABLE, DEFAULT, DEFAULT_RULES, LOCAL, LOOPBACK, Rule, RuleAction

__all__ = [
    "ANY_TABLE",
    "DEFAULT",
    "DEFAULT_RULES",
    "LOCAL",
    "LOOPBACK",
    "Host",
    "Medium",
    "Neighbour",
    "NeighbourTable",
    "Peculiarity",
    "Rule",
    "RuleAction",
]


class Peculiarity(NamedTuple):
    """A rare property of a route: an IPv6 router preference (1, 0, -1: high, medium, low), or one that has no model here."""

    preference: int = 0
    unmodelled: str = ""


class Medium(NamedTuple):
    """The properties of a device that decide who receives what it sends; ip-link(8)."""

    kind: str | None = None  # its type, "" for hardware; None if not collected
    resolves: bool = True  # resolves next hops by ARP or neighbour discovery
    reports: bool = True  # reports its operational state; tunnels and dummies do not
    outside: bool | None = None  # of a veth: whether its peer is in another network namespace; None: unknown
    blocked: bool = False  # of a bridge port: it passes nothing on (its state is not forwarding)
    selects: bool = (
        False  # of a bridge or port: it passes on a part of what comes, which links do not tell (VLANs, no flooding)
    )


class Neighbour(NamedTuple):
    """An entry of the neighbour table: the link-layer address of a next hop, and whether a person or program wrote it down."""

    mac: str
    permanent: bool = False


class NeighbourTable(NamedTuple):
    """What a machine knows of its neighbours, by device and address; ip-neighbour(8). Entries without a MAC address are left out.

    ``proxied`` are the addresses that it answers for; None: not collected.
    """

    entries: Mapping[tuple[str, Address], Neighbour]
    proxied: frozenset[tuple[str, Address]] | None


_ORDINARY = Medium()
# Types that deliver packets to the owner of the next hop's address. Other types choose the peer themselves.
_WIRES = {
    "",
    "veth",
    "bridge",
    "bond",
    "team",
    "vlan",
    "macvlan",
    "macvtap",
    "ipvlan",
    "ipvtap",
    "failover",
    "net_failover",
}
_FORCE_FORWARDING = 6_017  # Linux 6.17 has net.ipv6.conf.DEV.force_forwarding


class Host(NamedTuple):
    """The forwarding state of one machine. Equal routes of different hosts should be the same object: 25 million need the memory."""

    name: str
    links: Mapping[str, Link]
    masters: Mapping[str, str]  # by device: its bridge, bond or VRF
    addresses: tuple[IfAddress, ...]
    rules: Mapping[int, tuple[Rule, ...] | None]  # by IP version, in order of evaluation; None: unknown
    routes: Sequence[Route]  # of all tables, in the kernel's order
    peculiar: Mapping[Route, Peculiarity]
    table_names: Mapping[int, str]  # names of tables whose number is unknown; these have negative numbers here
    sysctls: Mapping[str, int]  # the known ones, by their sysctl(8) name
    media: Mapping[str, Medium] = {}
    unread: tuple[str, ...] = ()  # why some routes and rules could not be read
    unusable: tuple[Unusable, ...] = ()  # failed ones are not among ``addresses``, tentative ones are
    neighbours: NeighbourTable | None = None  # None: not collected
    macs: Mapping[str, str] = {}  # of its devices; none if not collected
    leases: tuple[Address, ...] = ()  # addresses of pods, by the files of the IPAM plugin host-local

    def sysctl(self, version: int, dev: str, key: str) -> int | None:
        """Return ``net.ipvV.conf.DEV.KEY``, None if unknown."""
        return self.sysctls.get(f"net.ipv{version}.conf.{dev}.{key}")

    def forwards(self, version: int, dev: str) -> bool | None:
        """Return whether packets that arrive on DEV are forwarded; None if unknown.

        For IPv4 the device's value decides; ip_forward is that of conf.all, and a write to it is copied to all devices. For IPv6
                conf.all decides, and since Linux 6.17 force_forwarding of the device (Documentation/networking/ip-sysctl.rst).
        """
        if version == 6:
            found = self.sysctl(6, "all", "forwarding")
            if found == 0 and self.sysctls.get("kernel.osrelease", _FORCE_FORWARDING) >= _FORCE_FORWARDING:
                found = self.sysctl(6, dev, "force_forwarding")
        else:
            found = self.sysctl(4, dev, "forwarding")
            if found is None:
                found = self.sysctls.get("net.ipv4.ip_forward", self.sysctl(4, "all", "forwarding"))
        return None if found is None else bool(found)

    def either(self, version: int, dev: str, key: str) -> int | None:
        """Return the higher of ``net.ipvV.conf.all.KEY`` and DEV's own, None if both are unknown."""
        found = [each for name in ("all", dev) if (each := self.sysctl(version, name, key)) is not None]
        return max(found, default=None)

    def medium(self, dev: str) -> Medium:
        """Return the properties of DEV."""
        return self.media.get(dev, _ORDINARY)

    def is_wire(self, dev: str) -> bool | None:
        """Return whether DEV delivers packets to the owner of the next hop's address; None if the type of DEV was not collected."""
        medium = self.medium(dev)
        if not medium.resolves:
            return False
        if medium.kind is None:
            return True if medium.reports or self.ports(dev) else None
        return medium.kind in _WIRES

    def ports(self, dev: str) -> list[str]:
        """Return the devices whose master is DEV, for example a bridge."""
        return [name for name, master in self.masters.items() if master == dev]

    def attached(self, dev: str) -> bool:
        """Whether anything can be behind DEV: of a bridge one of its ports has to work, and to pass packets on."""
        return self.medium(dev).kind != "bridge" or any(
            self.works(port) and not self.medium(port).blocked for port in self.ports(dev)
        )

    def selects(self, dev: str) -> bool:
        """Return whether DEV is a bridge of which a working port passes nothing on, or it or a port not everything."""
        ports = [port for port in self.ports(dev) if self.works(port)] if self.medium(dev).kind == "bridge" else []
        return any(self.medium(each).selects for each in (dev, *ports)) or any(
            self.medium(port).blocked for port in ports
        )

    def works(self, dev: str) -> bool:
        """Return whether DEV is up and has a carrier."""
        link = self.links.get(dev)
        return link is not None and link.up and link.carrier

    def reverse_path(self, dev: str) -> int | None:
        """Return the effective rp_filter of DEV: the higher of its own and that of conf.all; None if unknown."""
        own, everywhere = self.sysctl(4, dev, "rp_filter"), self.sysctl(4, "all", "rp_filter")
        return None if own is None or everywhere is None else max(own, everywhere)

    def owns(self, address: Address) -> str | None:
        """Return the device that has ADDRESS, None if none does."""
        return next((each.dev for each in self.addresses if each.address == address), None)
