"""Explains refusals of the kernel."""

import errno
from collections.abc import Mapping, Sequence

from podroutes.model.plan import Change, Refusal, Results

# Extended ACK texts, net/ipv4/fib_semantics.c, net/ipv4/fib_frontend.c and net/ipv6/route.c
_TEXTS = {
    "Gateway can not be a local address": "the next hop is an address of this machine: check that node's InternalIP",
    "Nexthop has invalid gateway": "the next hop is not on a network that this machine is connected to",
    "Invalid prefix for given prefix length": "the podCIDR has host bits set",
    "Nexthop device is not up": "bring the device up: ip link set DEV up",
    "Device for nexthop is not up": "bring the device up: ip link set DEV up",
    "No route to host": "the next hop is not on a network that this machine is connected to",
}
_ERRNOS = {
    errno.EEXIST: "someone else added a route to this podCIDR meanwhile: run it again",
    errno.ENOENT: "the route was removed meanwhile: run it again",
    errno.ESRCH: "the route was removed meanwhile, which is what was wanted",
    errno.ENODEV: "the device is gone: run it again",
    errno.ENETUNREACH: "the next hop is not on a network that this machine is connected to, or not yet",
    errno.EHOSTUNREACH: "the next hop is not on a network that this machine is connected to, or not yet",
    errno.ENETDOWN: "bring the device up: ip link set DEV up",
    errno.EOPNOTSUPP: "this kernel has no such protocol or route type (is IPv6 disabled?)",
    errno.EACCES: "IPv6 may be disabled on the device: sysctl net.ipv6.conf.DEV.disable_ipv6",
}


def explain(change: Change, refusal: Refusal) -> str:
    """Return one line: the kernel's message about CHANGE, and what to do."""
    general = _ERRNOS.get(refusal.errno, "")
    advice = next((text for start, text in _TEXTS.items() if refusal.text.startswith(start)), general)
    advice = advice.replace("DEV", change.route.dev or "DEV")
    return f"{refusal.text} ({advice})" if advice else refusal.text


def results(changes: Sequence[Change], refused: Mapping[int, Refusal]) -> Results:
    """Return each of CHANGES with why it was REFUSED, explained; a delete of what is gone already is done."""
    failed = {}
    for position, refusal in sorted(refused.items()):
        change = changes[position]
        if not (refusal.errno == errno.ESRCH and change.action == "delete"):
            failed[position] = refusal._replace(text=explain(change, refusal))
    return Results(changes, failed)
