"""A snapshot of the kernel: links, addresses and the routes of the main table."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.route import NextHop, Route
from podroutes.model.rule import DEFAULT_RULES, Rule


class Link(NamedTuple):
    """A network device. ``up`` is its administrative state, ``carrier`` that of its lower layer (IFF_LOWER_UP)."""

    ifindex: int
    name: str
    up: bool
    carrier: bool
    mtu: int = 0  # bytes; 0 if unknown


class IfAddress(NamedTuple):
    """An address of this machine, with its prefix length and device.

    ``peer`` is the other end of a point-to-point link; the prefix is then that of the peer, ip-address(8).
    """

    address: Address
    length: int
    dev: str
    peer: Address | None = None

    @property
    def prefix(self) -> Prefix:
        """The connected prefix of this address."""
        return network(self.peer or self.address, self.length)


class Unusable(NamedTuple):
    """An IPv6 address that this machine was given and does not have, or not yet: duplicate address detection, RFC 4862.

    ``failed``: another machine on the link has it. Else the detection has not come to its end.
    """

    address: IfAddress
    failed: bool


class PlainRoutes(NamedTuple):
    """Routes in the form that podroutes writes, as columns: row i of all lists is one route.

        All are unicast routes of one IP version in the main table, of our protocol, with one gateway, TOS 0 and no flags.
    To compare the lists of ten thousand routes takes a fraction of the time that it takes to create ten thousand objects.
    """

    version: int
    dst: list[int]  # first address of the destination
    length: list[int]  # its prefix length
    via: list[int]  # gateway
    dev: list[str]  # "" if unknown
    metric: list[int]

    @classmethod
    def empty(cls, version: int) -> "PlainRoutes":
        """Return empty columns."""
        return cls(version, [], [], [], [], [])

    def route(self, row: int) -> Route:
        """Return row ROW as a Route."""
        hop = NextHop(Address(self.version, self.via[row]), self.dev[row] or None)
        return Route(Prefix(self.version, self.dst[row], self.length[row]), (hop,), self.metric[row])

    def routes(self) -> Iterator[Route]:
        """Yield each row as a Route."""
        return (self.route(row) for row in range(len(self.dst)))


class Policy(NamedTuple):
    """The policy rules of one machine by IP version, and the routes of the tables besides local and main that they look up."""

    rules: Mapping[int, tuple[Rule, ...]] = DEFAULT_RULES
    routes: tuple[Route, ...] = ()


class Fib(NamedTuple):
    """A snapshot of one machine."""

    links: tuple[Link, ...]
    addresses: tuple[IfAddress, ...]
    plain: dict[int, PlainRoutes]  # ours, by IP version: 4 and 6
    others: tuple[Route, ...]  # all other routes of the main table, in the kernel's order
    policy: Policy = Policy()
    unusable: tuple[Unusable, ...] = ()  # failed ones are not among ``addresses``, tentative ones are
    hidden: Mapping[
        int, bytes
    ] = {}  # by IP version, the first addresses of the routes of others that are left out, packed

    def hides(self, dst: Prefix) -> bool:
        """Return whether a route of somebody else to DST may be left out. A wrong yes is possible, a wrong no is not."""
        return dst.value.to_bytes(BITS[dst.version] >> 3, "big") in self.hidden.get(dst.version, b"")

    def ours(self) -> Iterator[Route]:
        """Yield the routes of the main table with our protocol number, in no particular order."""
        for columns in self.plain.values():
            yield from columns.routes()
        yield from (route for route in self.others if route.ours)


def empty_fib() -> Fib:
    """Return the snapshot of a machine about which nothing is known: no links and no routes."""
    return Fib((), (), {version: PlainRoutes.empty(version) for version in (4, 6)}, ())
