"""Protects what a machine depends on from our routes: gateways, name servers, the API server, the session's peer, its networks.

A route redirects an address if it is more specific than the present route to it. Without a present route nothing is protected. If
the present route is ours, only gateways are: a name server or an API server may be a pod.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix, network
from podroutes.model.claims import Claim
from podroutes.model.cluster import Cluster, Node
from podroutes.model.dependencies import Dependencies, Dependency
from podroutes.model.fib import Fib
from podroutes.model.linux import RouteProtocol
from podroutes.model.route import Route

_KERNEL = RouteProtocol.KERNEL  # connected routes


class _Need(NamedTuple):
    """A needed address. A ``hard`` one is protected even if the present route is ours."""

    what: Dependency
    hard: bool = False


class Needs:
    """The dependencies of one machine. In TABLE all our routes have our protocol number."""

    def __init__(self, table: Fib, own: Node, cluster: Cluster, dependencies: Dependencies) -> None:
        self.table = table
        self.own = own
        self._cluster = cluster
        self._dead = {link.name for link in table.links if not (link.up and link.carrier)}
        self._needs: dict[Address, _Need] = {}
        for address in dependencies:
            self._needs.setdefault(address.address, _Need(address))
        for dependency in self._gateways():
            self._needs[dependency.address] = _Need(dependency, hard=True)
        self._connected = [
            (route.dst, route.dev or "")
            for route in table.others
            if route.protocol == _KERNEL and route.dst.length < BITS[route.dst.version] and self._is_network(route)
        ]
        self._lengths: dict[Address, tuple[int, bool] | None] = {}
        self._pods_here = tuple(
            dict.fromkeys(
                route.dst
                for route in table.others
                if route.protocol == _KERNEL and any(cidr.overlaps(route.dst) for cidr in own.pod_cidrs)
            )
        )

    def has_pods_in(self, dst: Prefix) -> bool:
        """Whether a network of this machine's own pods is in DST: one that an address of this machine connects."""
        return any(cidr.overlaps(dst) for cidr in self._pods_here)

    @property
    def places(self) -> Iterator[Address]:
        """Yield an address for each dependency."""
        yield from self._needs
        yield from (Address(dst.version, dst.value) for dst, _ in self._connected)

    def taken(self, claim: Claim, neighbours: Iterable[tuple[Address, Node]] = (), *, in_place: bool) -> str:
        """Return the dependency that a route for CLAIM, IN_PLACE already or not, would redirect; "" for none.

        NEIGHBOURS are addresses of nodes that CLAIM covers.
        """
        dst = claim.dst
        for address, (what, hard) in self._needs.items():
            if dst.covers(address) and self._takes(dst, what, hard=hard, in_place=in_place):
                return f"{what.name} {address}"
        if in_place:
            return ""
        for connected, dev in self._connected:
            if dst.covers(connected):
                return f"the network {connected} of {dev}"
        for address, node in neighbours:
            if node.name in (claim.node.name, self.own.name) or not dst.covers(address) or not self._is_near(address):
                continue
            if self._takes(dst, Dependency(address, ""), hard=False, in_place=False):
                return f"{address}, the InternalIP of {node.name},"
        return ""

    def _takes(self, dst: Prefix, what: Dependency, *, hard: bool, in_place: bool) -> bool:
        if not hard and (
            in_place or (not what.certain and any(limit.covers(dst) for limit in self._cluster.pod_cidrs))
        ):
            return False
        path = self._path(what.address)
        if path is None:
            return False
        length, ours = path
        return length < dst.length and (hard or not ours)

    def _path(self, address: Address) -> tuple[int, bool] | None:
        """Return the prefix length of the foreign route to ADDRESS, and whether a route of ours is longer; None if there is no foreign route."""
        if address not in self._lengths:
            theirs = max((route.dst.length for route in self._usable() if route.dst.covers(address)), default=-1)
            ours = max((dst.length for dst in self._ours_above(address)), default=-1)
            self._lengths[address] = None if theirs < 0 else (theirs, ours > theirs)
        return self._lengths[address]

    def _usable(self) -> Iterator[Route]:
        return (
            route
            for route in self.table.others
            if not route.ours
            and route.kind == "unicast"
            and any(not hop.dead and hop.dev not in self._dead for hop in route.next_hops)
        )

    def _ours_above(self, address: Address) -> Iterator[Prefix]:
        """Yield the destinations of our routes that contain ADDRESS."""
        for version, length in {dst[::2] for dst in self._ours}:
            if version == address.version and (dst := network(address, length)) in self._ours:
                yield dst

    @cached_property
    def _ours(self) -> set[Prefix]:
        return {route.dst for route in self.table.ours()}

    def _gateways(self) -> Iterator[Dependency]:
        seen = set()
        for route in self.table.others:
            for hop in route.next_hops:
                if hop.via and hop.via not in seen and not route.ours:
                    seen.add(hop.via)
                    yield Dependency(
                        hop.via, "the default gateway" if not route.dst.length else f"the gateway to {route.dst},"
                    )

    def _is_network(self, route: Route) -> bool:
        """Return whether ROUTE is the connected route of a network other than that of the machine's own pods."""
        hop = route.next_hops[0] if len(route.next_hops) == 1 else None
        if hop is None or hop.via or hop.dead or hop.dev in self._dead or LINK_LOCAL.covers(route.dst):
            return False
        return not any(cidr.overlaps(route.dst) for cidr in self.own.pod_cidrs)

    def _is_near(self, address: Address) -> bool:
        return any(dst.covers(address) for dst, _ in self._connected)


def covering(claims: Sequence[Claim], address: Address) -> Claim | None:
    """Return the claim of CLAIMS (sorted, without overlaps) that contains ADDRESS."""
    place = bisect_right(claims, (address.version, address.value, BITS[address.version]), key=lambda claim: claim.dst)
    found = claims[place - 1] if place else None
    return found if found and found.dst.covers(address) else None


def covered_by(claims: Sequence[Claim], cidr: Prefix) -> Iterator[Claim]:
    """Yield those of CLAIMS, sorted by destination and without overlaps, that CIDR covers."""
    place = bisect_left(claims, cidr, key=lambda claim: claim.dst)
    while place < len(claims) and cidr.covers(claims[place].dst):
        yield claims[place]
        place += 1
