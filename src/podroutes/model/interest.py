"""Which routes of others a plan depends on: a machine with a BGP daemon has hundreds of thousands that it does not."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix


class Interest(NamedTuple):
    """``networks`` are, by IP version, the first addresses of the destinations of interest and of all networks that hold an address of interest.

    Prefix lengths are left out: a few more routes than necessary are read.
    """

    networks: Mapping[int, frozenset[int]]

    def with_addresses(self, version: int, addresses: Iterable[int]) -> frozenset[int]:
        """Return the networks of VERSION, and those that hold one of ADDRESSES."""
        return self.networks[version] | _networks(version, addresses)


def interest(destinations: Iterable[Prefix], addresses: Iterable[Address]) -> Interest:
    """Return the interest in all routes to DESTINATIONS, and in all that lead to one of ADDRESSES."""
    exact: dict[int, set[int]] = {4: set(), 6: set()}
    held: dict[int, set[int]] = {4: set(), 6: set()}
    for dst in destinations:
        exact[dst.version].add(dst.value)
    for address in addresses:
        held[address.version].add(address.value)
    return Interest({version: _networks(version, held[version]) | exact[version] for version in (4, 6)})


def _networks(version: int, addresses: Iterable[int]) -> frozenset[int]:
    """Return the first address of every network that holds one of ADDRESSES."""
    found, level = set[int](), set(addresses)
    found |= level
    for bits in range(1, BITS[version] + 1):
        level = {value >> bits << bits for value in level}
        found |= level
    return frozenset(found)
