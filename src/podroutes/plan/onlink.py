"""Finds the device of a next hop: the one whose connected prefix contains it, like the kernel's fib_check_nh()."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.prefix_table import PrefixTable
from podroutes.model.route import SCOPE_LINK


class Resolver(Protocol):
    """Finds the device of a next hop."""

    def resolve(self, via: Address) -> tuple[str, str]:
        """Return the device towards VIA ("" if none) and the code of the problem that forbids to use it ("" if none)."""

    def resolve_all(self, routes: PlainRoutes, lowest: Address, highest: Address) -> str | None:
        """Return the one device of all gateways of ROUTES, from LOWEST to HIGHEST, if there are no problems; None: resolve each one."""


class AssumedOnLink:
    """The resolver for a remote machine: assumes that all next hops are on-link on one device."""

    def __init__(self, interface: str | None) -> None:
        self._interface = interface or ""

    def resolve(self, via: Address) -> tuple[str, str]:  # noqa: ARG002, every next hop alike
        """Return the named interface ("" if none), and no problem."""
        return self._interface, ""

    def resolve_all(self, routes: PlainRoutes, lowest: Address, highest: Address) -> str | None:  # noqa: ARG002
        """Return the named interface."""
        return self._interface


class AssumedSubnets:
    """The resolver for the remote machine OWN where there are routers: a node in another of the SUBNETS than OWN is off-link."""

    def __init__(self, interface: str | None, own: Node, subnets: Sequence[Prefix]) -> None:
        self._interface = interface or ""
        self._subnets = subnets
        self._own = [subnet for subnet in subnets if any(map(subnet.covers, own.internal_ips))]

    def resolve(self, via: Address) -> tuple[str, str]:
        """Return the named interface ("" if none), and the problem of a next hop in another subnet."""
        elsewhere = any(subnet.covers(via) for subnet in self._subnets)
        if elsewhere and self._own and not any(subnet.covers(via) for subnet in self._own):
            return "", "next-hop-off-link"
        return self._interface, ""

    def resolve_all(self, routes: PlainRoutes, lowest: Address, highest: Address) -> str | None:  # noqa: ARG002
        """Return None: each next hop may be another matter."""
        return None


class OnLink:
    """The connected prefixes of one machine, indexed for look-ups."""

    def __init__(self, fib: Fib) -> None:
        self._own = {address.address: address.dev for address in fib.addresses}
        self._no_carrier = {link.name for link in fib.links if not (link.up and link.carrier)}
        self._connected = {version: PrefixTable(version, _connected(fib, version)) for version in BITS}
        self._down = [address for address in fib.addresses if address.dev in self._no_carrier]

    def resolve(self, via: Address) -> tuple[str, str]:
        """Return the device towards VIA ("" if none) and the code of the problem that forbids to use it ("" if none)."""
        if via in self._own:
            return self._own[via], "next-hop-is-self"
        for devices in self._connected[via.version].covering(via.value):
            return devices[0], "link-down" if devices[0] in self._no_carrier else ""
        for address in self._down:  # the kernel removed its connected route with the link
            if address.prefix.covers(via):
                return address.dev, "link-down"
        return "", "next-hop-off-link"

    def resolve_all(self, routes: PlainRoutes, lowest: Address, highest: Address) -> str | None:
        """Return the one device of all gateways of ROUTES, from LOWEST to HIGHEST: a typical cluster has one network with thousands of nodes."""
        between = [own.value for own in self._own if lowest <= own <= highest]
        if any(value in routes.via for value in between):  # a next hop that is this machine itself
            return None
        for host_bits, devices in self._connected[lowest.version].lengths:
            first, last = lowest.value >> host_bits, highest.value >> host_bits
            if first == last and first in devices:
                dev = devices[first][0]
                return None if dev in self._no_carrier else dev
            if any(first <= device <= last for device in devices):
                return None  # a longer prefix covers some of them
        return None


def _connected(fib: Fib, version: int) -> Iterator[tuple[Prefix, str]]:
    """Yield the connected prefixes with their devices; of equal prefixes that with the lowest metric comes first."""
    for route in sorted(fib.others, key=lambda route: route.metric):
        hop = route.next_hops[0] if len(route.next_hops) == 1 else None
        if hop is None or hop.via or hop.dev is None or route.kind != "unicast" or route.dst.version != version:
            continue
        if version == 4 and route.scope < SCOPE_LINK:  # a route with a gateway does not resolve next hops
            continue
        yield route.dst, hop.dev
