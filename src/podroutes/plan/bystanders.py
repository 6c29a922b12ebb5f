"""Whether anything besides the wanted routes could decide about pod traffic on one machine.

Nearly every machine has the usual policy rules, and connected networks and a default route beside ours. What is told apart here in a
glance needs no second look (``verify.deciding``).
"""

from podroutes.model.address import BITS
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.rule import DEFAULT_RULES
from podroutes.plan.desired import Desired


def nothing_decides(own: Node, fib: Fib, desired: Desired) -> bool:
    """Return whether neither a policy rule nor a route of others can come before those of DESIRED, or lead OWN's pods away.

    False means only that it has to be looked at.
    """
    if any(tuple(fib.policy.rules.get(version, rules)) != rules for version, rules in DEFAULT_RULES.items()):
        return False
    addresses = {address.address for address in fib.addresses}
    if own.internal_ips and addresses.isdisjoint(own.internal_ips):
        return False  # it may be the network of a pod
    ranges = {version: _range(wanted.routes) for version, wanted in desired.wanted.items()}
    for route in fib.others:
        dst = route.dst
        length, first, last = ranges[dst.version]
        if dst.length > length and first <= dst.value <= last and not route.ours:
            return False
        leads_on = route.kind != "unicast" or any(hop.via for hop in route.next_hops)
        if leads_on and any(cidr.covers(dst) for cidr in own.pod_cidrs):
            return False
    return True


def _range(routes: PlainRoutes) -> tuple[int, int, int]:
    """Return the shortest prefix length of ROUTES, and the first and the last address that they may reach to."""
    bits = BITS[routes.version]
    length = min(routes.length, default=bits)
    return length, min(routes.dst, default=0), max(routes.dst, default=0) + (1 << bits - length) - 1
