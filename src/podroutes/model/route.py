"""Routes and next hops, with the kernel's keys."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.linux import NextHopFlag, Scope, Table

PROTOCOL = 107  # rtm_protocol of our routes; no other program is known to use it
MAIN = int(Table.MAIN)
SCOPE_LINK = int(Scope.LINK)  # an IPv4 route without a gateway; IPv6 has no scopes
_NO_WAY_OUT = int(NextHopFlag.DEAD | NextHopFlag.LINKDOWN)

# /etc/iproute2/rt_protos, and the numbers that kube-router (17), Calico (80) and others use.
_PROTOCOL_NAMES = {
    0: "unspec",
    1: "redirect",
    2: "kernel",
    3: "boot",
    4: "static",
    9: "ra",
    11: "zebra",
    12: "bird",
    16: "dhcp",
    42: "babel",
    PROTOCOL: "podroutes",
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    192: "eigrp",
}


def protocol_name(protocol: int) -> str:
    """Return the name of a route protocol as in ip(8), or its number if it has no name."""
    return _PROTOCOL_NAMES.get(protocol, str(protocol))


class NextHop(NamedTuple):
    """One next hop: the gateway ``via``, or the link itself if ``via`` is None. ``flags`` are RTNH_F_* of rtnetlink.h."""

    via: Address | None
    dev: str | None
    flags: int = 0

    @property
    def dead(self) -> bool:
        """Whether the next hop is unusable: the device is down or has no carrier."""
        return bool(self.flags & _NO_WAY_OUT)


class Route(NamedTuple):
    """One FIB entry. Its key in a table is destination, TOS, metric and, in IPv4, next hop."""

    dst: Prefix
    next_hops: tuple[NextHop, ...] = ()  # more than one: ECMP; none: blackhole, unreachable, prohibit, throw
    metric: int = 0
    protocol: int = PROTOCOL
    table: int = MAIN
    kind: str = "unicast"  # rtm_type as ip(8) names it
    scope: int = 0  # RT_SCOPE_UNIVERSE; 253 is link
    tos: int = 0
    prefsrc: Address | None = None
    metrics: tuple[tuple[str, int], ...] = ()  # RTA_METRICS by their names in ip-route(8), such as ("mtu", 1400)
    nhid: int = (
        0  # the nexthop object that it leads by; ``next_hops`` are those of the object, as far as they are known
    )

    @property
    def via(self) -> Address | None:
        """The gateway, if the route has exactly one next hop, which has a gateway."""
        return self.next_hops[0].via if len(self.next_hops) == 1 else None

    @property
    def dev(self) -> str | None:
        """The device of the only next hop."""
        return self.next_hops[0].dev if len(self.next_hops) == 1 else None

    @property
    def ours(self) -> bool:
        """Whether the route carries our protocol number."""
        return self.protocol == PROTOCOL

    @property
    def plain(self) -> bool:
        """Whether this route has the form that podroutes writes: one gateway of its IP version, no special attributes."""
        if self.protocol != PROTOCOL or self.table != MAIN or self.kind != "unicast" or len(self.next_hops) != 1:
            return False
        if self.scope or self.tos or self.prefsrc or self.metrics or self.nhid:
            return False
        via, dev, flags = self.next_hops[0]
        return via is not None and via.version == self.dst.version and dev is not None and not flags
