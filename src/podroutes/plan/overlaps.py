"""An index of prefixes and their nodes that finds overlaps."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from podroutes.model.address import Address, Prefix, network
from podroutes.model.claims import Claim
from podroutes.model.text import escaped, listing

_FEW = 3  # names in a reason


class Owners:
    """Prefixes, each with the names of its nodes."""

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        self.names: dict[Prefix, set[str]] = {}
        for claim in claims:
            self.names.setdefault(claim.dst, set()).add(claim.node.name)
        self._order = sorted(self.names)
        self._lengths = {dst[::2] for dst in self._order}  # version and length
        self._overlapping: dict[Prefix, list[str]] = {}

    def add(self, claim: Claim) -> None:
        """Add a claim."""
        self._overlapping.clear()
        names = self.names.get(claim.dst)
        if names is None:
            names = self.names[claim.dst] = set()
            insort(self._order, claim.dst)
            self._lengths.add(claim.dst[::2])
        names.add(claim.node.name)

    def above(self, dst: Prefix) -> Iterator[Prefix]:
        """Yield the wider prefixes that cover DST, widest first."""
        address = Address(dst.version, dst.value)
        for version, length in sorted(self._lengths):
            if version == dst.version and length < dst.length and (covering := network(address, length)) in self.names:
                yield covering

    def below(self, dst: Prefix) -> list[Prefix]:
        """Return the narrower prefixes that DST covers."""
        end = bisect_left(self._order, Prefix(dst.version, dst.last + 1, 0))
        return self._order[bisect_right(self._order, dst) : end]

    def others(self, dst: Prefix, name: str) -> str:
        """Return a text with the nodes other than NAME that have a prefix overlapping DST, "" if there are none."""
        found = self._overlapping.get(dst)
        if found is None:
            groups = (self.names.get(dst, ()), *(self.names[prefix] for prefix in (*self.above(dst), *self.below(dst))))
            found = self._overlapping[dst] = sorted(set().union(*groups))
        place = bisect_left(found, name)
        count = len(found) - (found[place : place + 1] == [name])
        names = [escaped(each) for each in found[: _FEW + 1] if each != name][:_FEW]
        if count > len(names):
            return f"{', '.join(names)} and {count - len(names)} more"
        return listing(names)

    def contended(self, dst: Prefix, name: str) -> bool:
        """Return whether a node other than NAME has a prefix that overlaps DST."""
        groups = (self.names.get(dst, ()), *(self.names[prefix] for prefix in self.above(dst)))
        return any(_other(names, name) for names in groups) or any(
            _other(self.names[prefix], name) for prefix in self.below(dst)
        )

    def several(self, dst: Prefix, name: str) -> bool:
        """Return whether at least two nodes other than NAME have narrower prefixes inside DST."""
        names: set[str] = set()
        for owner in self.below(dst):
            names |= self.names[owner] if len(self.names[owner]) < 3 else set(sorted(self.names[owner])[:3])
            if len(names - {name}) > 1:
                return True
        return False


def _other(names: Iterable[str], name: str) -> bool:
    return any(other_name != name for other_name in names)


def inside(addresses: Sequence[Address], version: int, first: int, last: int) -> range:
    """Return the indexes of the sorted ADDRESSES that are between FIRST and LAST."""
    return range(bisect_left(addresses, Address(version, first)), bisect_right(addresses, Address(version, last)))
