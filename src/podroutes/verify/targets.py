"""The targets of a proof, and their parts: sets of addresses with the same result."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.proof import Target
from podroutes.plan.claims import Claims
from podroutes.verify.network import Network


def targets(claims: Claims, nodes: Network, version: int) -> list[Target]:
    """Return all undisputed pod CIDRs, and the addresses of nodes without one, sorted and without overlaps."""
    all_targets = [Target(claim.dst, claim.node.name) for claim in claims.honoured if claim.dst.version == version]
    with_pods = {target.owner for target in all_targets}
    for node in nodes.nodes.values():
        for address in node.internal_ips:
            alone = network(address, BITS[address.version])
            if (
                address.version == version
                and node.name not in with_pods
                and not any(alone.overlaps(all_target.prefix) for all_target in all_targets)
            ):
                all_targets.append(Target(alone, node.name, pods=False))
    return sorted(all_targets)


class Spans:
    """Targets as sorted intervals, to find those that overlap a prefix."""

    def __init__(self, all_targets: Sequence[Target]) -> None:
        self._first = [target.prefix.value for target in all_targets]
        self._last = [target.prefix.last for target in all_targets]

    def touched(self, prefix: Prefix) -> range:
        """Return the indexes of all targets that overlap PREFIX, which has their IP version."""
        return range(bisect_left(self._last, prefix.value), bisect_right(self._first, prefix.last))


def parts(whole: Prefix, specifics: Iterable[Prefix]) -> list[tuple[Prefix, Address]]:
    """Split WHOLE by SPECIFICS, prefixes inside it: return each part with an address of it.

    A part is a prefix without the longer ones inside it: the same routes apply to its addresses on all machines.
    """
    nested = sorted({whole, *specifics})
    pieces = []
    for index, prefix in enumerate(nested):
        free = prefix.value
        for inner in nested[index + 1 :]:  # inner prefixes follow directly
            if inner.value > free or not prefix.covers(inner):
                break
            free = max(free, inner.last + 1)
        if free <= prefix.last:
            pieces.append((prefix, Address(prefix.version, free)))
    return pieces
