"""The masquerade table: which packets leave a node with the node's own address."""

from collections.abc import Iterable
from typing import NamedTuple

from podroutes.model.address import Prefix, parse_prefix

TABLE = "podroutes"  # its name in nftables, in the family inet
FILE = "/etc/podroutes/masquerade.nft"  # the table for the next boot
# Multicast: a group has no node that could be hidden from, and a plugin's own ipMasq leaves it alone as well.
_NEVER = {4: (parse_prefix("224.0.0.0/4"),), 6: (parse_prefix("ff00::/8"),)}


class Masquerade(NamedTuple):
    """Packets from ``pods`` to anything outside of ``cluster`` are masqueraded. Both are sorted, and no two overlap."""

    versions: tuple[int, ...]  # the IP versions that are masqueraded
    pods: tuple[Prefix, ...]
    cluster: tuple[Prefix, ...]


def masquerade(versions: Iterable[int], pods: Iterable[Prefix], cluster: Iterable[Prefix]) -> Masquerade:
    """Return the table for the pods of this node with podCIDRs PODS, in a cluster whose addresses are in CLUSTER.

    Only VERSIONS of IP count. What is inside another prefix is left out.
    """
    chosen = tuple(sorted(set(versions)))
    inside = [*cluster, *pods, *(network for version in chosen for network in _NEVER[version])]
    return Masquerade(chosen, _distinct(pods, chosen), _distinct(inside, chosen))


def _distinct(prefixes: Iterable[Prefix], versions: tuple[int, ...]) -> tuple[Prefix, ...]:
    """Return PREFIXES of VERSIONS sorted, without those inside another: nftables refuses elements that overlap."""
    distinct: list[Prefix] = []
    for prefix in sorted(prefix for prefix in set(prefixes) if prefix.version in versions):
        if not (distinct and distinct[-1].covers(prefix)):
            distinct.append(prefix)
    return tuple(distinct)
