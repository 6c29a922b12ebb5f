"""Which routes of others a plan depends on: a machine with a BGP daemon has hundreds of thousands that it does not."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.fib import PlainRoutes


class Interest(NamedTuple):
    """``networks`` are, by IP version, the first addresses of the destinations of interest and of all networks that hold an address of interest.

    Prefix lengths are left out: a few more routes than necessary are read. ``expected`` are the routes of ours that are probably there,
    by IP version and in order of destination: what is read does not depend on them, only how fast. Their metrics and devices do not count.
    """

    networks: Mapping[int, frozenset[int]]
    expected: Mapping[int, PlainRoutes] = {}

    def with_addresses(self, version: int, addresses: Iterable[int]) -> frozenset[int]:
        """Return the networks of VERSION, and those that hold one of ADDRESSES."""
        return self.networks[version] | _networks(version, addresses)


class _Networks(Mapping[int, frozenset[int]]):
    """The networks by IP version, each made when it is asked for: most machines have no routes of others that it is for."""

    def __init__(self, destinations: Iterable[Prefix], addresses: Iterable[Address]) -> None:
        self._destinations = destinations
        self._addresses = addresses
        self._made: dict[int, frozenset[int]] = {}

    def __getitem__(self, version: int) -> frozenset[int]:
        if not self._made:
            exact: dict[int, set[int]] = {4: set(), 6: set()}
            held: dict[int, set[int]] = {4: set(), 6: set()}
            for dst in self._destinations:
                exact[dst.version].add(dst.value)
            for address in self._addresses:
                held[address.version].add(address.value)
            self._made = {each: _networks(each, held[each]) | exact[each] for each in (4, 6)}
        return self._made[version]

    def __iter__(self) -> Iterator[int]:
        return iter((4, 6))

    def __len__(self) -> int:
        return 2


def interest(
    destinations: Iterable[Prefix], addresses: Iterable[Address], expected: Mapping[int, PlainRoutes] | None = None
) -> Interest:
    """Return the interest in all routes to DESTINATIONS, and in all that lead to one of ADDRESSES. Both are read when they matter."""
    return Interest(_Networks(destinations, addresses), expected or {})


def _networks(version: int, addresses: Iterable[int]) -> frozenset[int]:
    """Return the first address of every network that holds one of ADDRESSES."""
    found, level = set[int](), set(addresses)
    found |= level
    for bits in range(1, BITS[version] + 1):
        level = {value >> bits << bits for value in level}
        found |= level
    return frozenset(found)
