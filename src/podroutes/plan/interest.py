"""Which routes of others a plan depends on."""

import sys
from array import array
from collections.abc import Iterable, Mapping
from itertools import chain

from podroutes.model.address import BITS, Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.interest import Interest, interest

_CHUNK = 1 << 18  # bytes of packed addresses that become objects at a time: a multiple of 16


def plan_interest(
    cluster: Cluster,
    dependencies: Dependencies,
    earlier: Iterable[Prefix] = (),
    expected: Mapping[int, PlainRoutes] | None = None,
) -> Interest:
    """Return the interest of a plan for a machine of CLUSTER with DEPENDENCIES that had routes to the destinations EARLIER.

    These are the routes to what may be wanted, and the paths to what must not be routed away. EXPECTED are the routes of ours that are
    probably there.
    """
    claimed = chain.from_iterable(node.pod_cidrs for node in cluster.nodes)
    reported = chain.from_iterable(node.internal_ips for node in cluster.nodes)
    addresses = chain(reported, (dependency.address for dependency in dependencies))
    return interest(chain(claimed, earlier), addresses, expected)


def hidden_parts(cluster: Cluster, fib: Fib) -> tuple[Prefix, ...]:
    """Return the destinations of routes that FIB leaves out although they lie inside podCIDRs: they decide about a part of these.

    A destination is told by its first address alone.
    """
    found = []
    for version, packed in fib.hidden.items():
        cidrs = [cidr for node in cluster.nodes for cidr in node.pod_cidrs if cidr.version == version]
        if not packed or not cidrs:
            continue
        bits = BITS[version]
        networks = {
            length: {cidr.value >> (bits - length) for cidr in cidrs if cidr.length == length}
            for length in {cidr.length for cidr in cidrs}
        }
        inside = set[int]()
        for start in range(0, len(packed), _CHUNK):
            values = _unpacked(version, packed[start : start + _CHUNK])
            for length, of_it in networks.items():
                if not of_it.isdisjoint({value >> (bits - length) for value in values}):
                    inside.update(value for value in values if value >> (bits - length) in of_it)
        found += [Prefix(version, value, bits) for value in sorted(inside)]
    return tuple(found)


def _unpacked(version: int, packed: bytes) -> list[int]:
    words = array("I" if version == 4 else "Q", packed)
    if sys.byteorder == "little":
        words.byteswap()
    if version == 4:
        return words.tolist()
    return [high << 64 | low for high, low in zip(words[::2], words[1::2], strict=True)]
