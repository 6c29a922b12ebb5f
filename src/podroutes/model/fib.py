"""What the kernel has: links, addresses and the routes of the main table."""

from collections.abc import Iterator
from typing import NamedTuple

from podroutes.model.address import Address, Prefix, network
from podroutes.model.route import NextHop, Route


class Link(NamedTuple):
    """A network device. ``up`` is its administrative state, ``carrier`` whether its lower layer works (IFF_LOWER_UP)."""

    ifindex: int
    name: str
    up: bool
    carrier: bool


class IfAddress(NamedTuple):
    """An address of this machine, with the prefix length and the device it was given with."""

    address: Address
    length: int
    dev: str

    @property
    def prefix(self) -> Prefix:
        """The prefix that this address says is connected."""
        return network(self.address, self.length)


class PlainRoutes(NamedTuple):
    """Routes of the form podroutes writes, column by column; row i of every list is one route.

    All are unicast routes of one IP version in the main table, of our protocol, with one gateway, TOS 0 and no flags.
    Ten thousand of them are compared as lists in a fraction of the time it takes to make ten thousand objects.
    """

    version: int
    dst: list[int]  # first address of the destination
    length: list[int]  # its prefix length
    via: list[int]  # gateway
    dev: list[str]  # "" where it is not known
    metric: list[int]

    @classmethod
    def empty(cls, version: int) -> "PlainRoutes":
        """Return columns without rows."""
        return cls(version, [], [], [], [], [])

    def route(self, row: int) -> Route:
        """Return row ROW as a value."""
        hop = NextHop(Address(self.version, self.via[row]), self.dev[row] or None)
        return Route(Prefix(self.version, self.dst[row], self.length[row]), (hop,), self.metric[row])

    def routes(self) -> Iterator[Route]:
        """Yield every row as a value."""
        return (self.route(row) for row in range(len(self.dst)))


class Fib(NamedTuple):
    """A snapshot of one machine."""

    links: tuple[Link, ...]
    addresses: tuple[IfAddress, ...]
    plain: dict[int, PlainRoutes]  # ours, by IP version: 4 and 6
    others: tuple[Route, ...]  # every other route of the main table, whoever made it, in the kernel's order

    def ours(self) -> Iterator[Route]:
        """Yield every route of the main table that carries our protocol number, in no particular order."""
        for columns in self.plain.values():
            yield from columns.routes()
        yield from (route for route in self.others if route.ours)


def empty_fib() -> Fib:
    """Return the snapshot of a machine about which nothing is known."""
    return Fib((), (), {version: PlainRoutes.empty(version) for version in (4, 6)}, ())
