"""Longest prefix match: what belongs to the prefixes of one IP version, found by an address or a prefix that they cover."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from podroutes.model.address import BITS, Prefix

T = TypeVar("T")


class PrefixTable(Generic[T]):
    """Values by prefix of IP VERSION; several may have the same prefix and stay in their order.

    ``lengths`` has (host bits, {network: values}), longest prefixes first, for loops that cannot afford a call.
    """

    def __init__(self, version: int, entries: Iterable[tuple[Prefix, T]]) -> None:
        bits = BITS[version]
        networks: dict[int, dict[int, list[T]]] = {}
        for prefix, value in entries:
            if prefix.version == version:
                host_bits = bits - prefix.length
                networks.setdefault(host_bits, {}).setdefault(prefix.value >> host_bits, []).append(value)
        self.lengths = sorted(networks.items())

    def covering(self, address: int, host_bits: int = 0) -> Iterator[list[T]]:
        """Yield the values of each prefix that covers ADDRESS, or the prefix of HOST_BITS that begins there; longest first."""
        for bits, networks in self.lengths:
            if bits >= host_bits and (values := networks.get(address >> bits)):
                yield values
