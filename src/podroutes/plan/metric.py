"""Chooses the metric of a new route, which decides how fast the kernel adds routes to a large table.

The kernel finds shared ``fib_info`` objects through a hash over protocol, scope, preferred source, metric and device but
not the gateway (fib_info_hashfn_1(), net/ipv4/fib_semantics.c), so that N IPv4 routes through distinct gateways of one
device share one chain and cost O(N²). Different metrics put them on different chains. A metric that follows from the
destination alone keeps a change of next hop one atomic replace. See docs/design/route-form.md.
"""

from collections.abc import Sequence

from podroutes.model.address import BITS
from podroutes.model.fib import PlainRoutes

PLAIN_LIMIT = 1000  # up to here the chain costs about 20 ms, and routes look like manual ones
SPREAD = 16384  # distinct metrics: 100,000 routes make chains of 6
IPV6_DEFAULT = 1024  # IP6_RT_PRIO_USER, linux/ipv6_route.h: the kernel's value for metric 0; IPv6 has no such chain


def metrics_of_new(version: int, wanted: PlainRoutes, rows: Sequence[int], beside: int = 0) -> list[int]:
    """Return the metrics of new routes for ROWS of WANTED. WANTED and BESIDE more are all desired routes of the IP version.

    In a large IPv4 table neighbouring podCIDRs get neighbouring metrics: 1 + (network number modulo SPREAD).
    """
    if version == 6:
        return [IPV6_DEFAULT] * len(rows)
    if len(wanted.dst) + beside <= PLAIN_LIMIT:
        return [0] * len(rows)
    return [1 + (wanted.dst[row] >> (BITS[4] - wanted.length[row])) % SPREAD for row in rows]
