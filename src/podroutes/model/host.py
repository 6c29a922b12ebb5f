"""Everything about one machine that decides where a packet goes: policy rules, the routes of all tables, links, sysctls."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.fib import IfAddress, Link
from podroutes.model.route import MAIN, Route

LOCAL, DEFAULT = 255, 253  # RT_TABLE_LOCAL, RT_TABLE_DEFAULT, linux/rtnetlink.h
ANY_TABLE = 0  # RT_TABLE_UNSPEC: stands in rules without a table
LOOPBACK = "lo"  # what packets that the machine itself sends come in by, fib_rules' ``iif lo``

RuleAction = Literal["lookup", "goto", "nop", "blackhole", "unreachable", "prohibit", "l3mdev"]


class Rule(NamedTuple):
    """One policy rule, ip-rule(8). ``unmodelled`` names its selectors that routes and addresses alone cannot judge."""

    priority: int
    action: RuleAction = "lookup"
    table: int = ANY_TABLE
    target: int = 0  # the priority that ``goto`` jumps to
    src: Prefix | None = None
    dst: Prefix | None = None
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    mask: int = 0
    tos: int = 0
    inverted: bool = False
    suppress_prefixlength: int = -1
    unmodelled: str = ""


class Peculiarity(NamedTuple):
    """What sets a few routes apart: an IPv6 router preference (1, 0, -1: high, medium, low), or a trait that has no model here."""

    preference: int = 0
    unmodelled: str = ""


DEFAULT_RULES = {
    4: (Rule(0, table=LOCAL), Rule(32766, table=MAIN), Rule(32767, table=DEFAULT)),
    6: (Rule(0, table=LOCAL), Rule(32766, table=MAIN)),
}


class Medium(NamedTuple):
    """What a device is, as far as it decides who receives what is sent by it; ip-link(8)."""

    kind: str | None = None  # its type, "" where it has none (hardware); None where that was not collected
    resolves: bool = True  # finds the hardware address of a next hop by ARP and neighbour discovery
    reports: bool = True  # tells its operational state, which tunnels and dummies do not
    outside: bool | None = None  # of a veth: whether the other end is in another network namespace; None: not known


_ORDINARY = Medium()
# What carries packets to whoever has the next hop's address. All other types choose their peers by themselves.
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
    """One machine's forwarding state. Equal routes of different hosts are best the same object: 25 million do not fit else."""

    name: str
    links: Mapping[str, Link]
    masters: Mapping[str, str]  # device: the bridge, bond or VRF that it belongs to
    addresses: tuple[IfAddress, ...]
    rules: Mapping[int, tuple[Rule, ...] | None]  # by IP version, in order of evaluation; None: not known
    routes: tuple[Route, ...]  # of all tables, in the kernel's order
    peculiar: Mapping[Route, Peculiarity]
    table_names: Mapping[int, str]  # of tables whose number is not known; these have negative numbers
    sysctls: Mapping[str, int]  # those that are known, by their name as sysctl(8) has it
    media: Mapping[str, Medium] = {}
    unread: tuple[str, ...] = ()  # what is wrong with the routes and rules that are not understood

    def sysctl(self, version: int, dev: str, key: str) -> int | None:
        """Return ``net.ipvV.conf.DEV.KEY``, None where it is not known."""
        return self.sysctls.get(f"net.ipv{version}.conf.{dev}.{key}")

    def forwards(self, version: int, dev: str) -> bool | None:
        """Whether packets that come in by DEV are forwarded; None where it is not known.

        IPv4 asks the device; ip_forward is the name of conf.all's, whose change is copied to every device. IPv6 asks
        conf.all, and since Linux 6.17 force_forwarding of the device (Documentation/networking/ip-sysctl.rst).
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
        """Return the higher of ``net.ipvV.conf.all.KEY`` and DEV's own, None where neither is known."""
        found = [each for name in ("all", dev) if (each := self.sysctl(version, name, key)) is not None]
        return max(found, default=None)

    def medium(self, dev: str) -> Medium:
        """Return what DEV is."""
        return self.media.get(dev, _ORDINARY)

    def is_wire(self, dev: str) -> bool | None:
        """Whether DEV carries packets to whoever on it has the next hop's address; None where it was not collected what DEV is."""
        medium = self.medium(dev)
        if not medium.resolves:
            return False
        if medium.kind is None:
            return True if medium.reports or self.ports(dev) else None
        return medium.kind in _WIRES

    def ports(self, dev: str) -> list[str]:
        """Return the devices that belong to DEV, a bridge for instance."""
        return [name for name, master in self.masters.items() if master == dev]

    def works(self, dev: str) -> bool:
        """Whether DEV is up and has a carrier."""
        link = self.links.get(dev)
        return link is not None and link.up and link.carrier

    def reverse_path(self, dev: str) -> int | None:
        """Return the effective rp_filter of DEV: the higher of its own and that of conf.all; None where not known."""
        own, everywhere = self.sysctl(4, dev, "rp_filter"), self.sysctl(4, "all", "rp_filter")
        return None if own is None or everywhere is None else max(own, everywhere)

    def owns(self, address: Address) -> str | None:
        """Return the device that has ADDRESS, None where this machine has not."""
        return next((each.dev for each in self.addresses if each.address == address), None)
