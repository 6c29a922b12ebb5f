"""Which device leads to a next hop: the one whose connected prefix contains it, as fib_check_nh() of the kernel decides."""

from collections.abc import Sequence
from typing import Protocol

from podroutes.model.address import BITS, Address
from podroutes.model.fib import Fib
from podroutes.model.route import SCOPE_LINK


class Resolver(Protocol):
    """Finds the device towards a next hop."""

    def resolve(self, via: Address) -> tuple[str, str]:
        """Return the device towards VIA ("" if none) and the code of the problem that forbids to use it ("" if none)."""

    def resolve_all(self, vias: Sequence[Address]) -> str | None:
        """Return the one device that leads to all of VIAS, of one IP version, without a problem; None: ask for each."""


class AssumedOnLink:
    """Stands in for a machine that we are not on: every next hop is taken to be reachable through one device."""

    def __init__(self, interface: str | None) -> None:
        self._interface = interface or ""

    def resolve(self, via: Address) -> tuple[str, str]:  # noqa: ARG002, every next hop alike
        """Return the interface that was named ("" if none was), and no problem."""
        return self._interface, ""

    def resolve_all(self, vias: Sequence[Address]) -> str | None:  # noqa: ARG002
        """Return the interface that was named."""
        return self._interface


class OnLink:
    """The connected prefixes of one machine, ready for many look-ups."""

    def __init__(self, fib: Fib) -> None:
        self._own = {address.address: address.dev for address in fib.addresses}
        self._no_carrier = {link.name for link in fib.links if not (link.up and link.carrier)}
        self._connected: dict[int, list[tuple[int, dict[int, str]]]] = {
            version: self._by_length(fib, version) for version in (4, 6)
        }
        self._down = [each for each in fib.addresses if each.dev in self._no_carrier]

    @staticmethod
    def _by_length(fib: Fib, version: int) -> list[tuple[int, dict[int, str]]]:
        """Return (host bits, {network: device}) with the longest prefixes first; of equals the lowest metric wins."""
        networks: dict[int, dict[int, str]] = {}
        for route in sorted(fib.others, key=lambda route: route.metric):
            hop = route.next_hops[0] if len(route.next_hops) == 1 else None
            if hop is None or hop.via or hop.dev is None or route.kind != "unicast" or route.dst.version != version:
                continue
            if version == 4 and route.scope < SCOPE_LINK:  # with a gateway itself, it resolves no next hop
                continue
            host_bits = BITS[version] - route.dst.length
            networks.setdefault(host_bits, {}).setdefault(route.dst.value >> host_bits, hop.dev)
        return sorted(networks.items())

    def resolve(self, via: Address) -> tuple[str, str]:
        """Return the device towards VIA ("" if none) and the code of the problem that forbids to use it ("" if none)."""
        if via in self._own:
            return self._own[via], "next-hop-is-self"
        for host_bits, devices in self._connected[via.version]:
            dev = devices.get(via.value >> host_bits)
            if dev is not None:
                return dev, "link-down" if dev in self._no_carrier else ""
        for address in self._down:  # its connected route went with the link
            if address.prefix.covers(via):
                return address.dev, "link-down"
        return "", "next-hop-off-link"

    def resolve_all(self, vias: Sequence[Address]) -> str | None:
        """Return the one device that leads to all of VIAS: the usual cluster has one network, and thousands of nodes in it."""
        if not self._own.keys().isdisjoint(vias):
            return None
        lowest, highest = min(vias), max(vias)
        for host_bits, devices in self._connected[lowest.version]:
            first, last = lowest.value >> host_bits, highest.value >> host_bits
            if first == last and first in devices:
                dev = devices[first]
                return None if dev in self._no_carrier else dev
            if any(first <= each <= last for each in devices):
                return None  # a longer prefix leads some of them elsewhere
        return None
