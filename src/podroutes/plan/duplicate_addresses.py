"""IPv6 addresses that this machine was given, and that duplicate address detection has found on another one; RFC 4862 section 5.4.

The kernel keeps such an address on its list and neither answers for it nor sends by it. It still takes it for its own where a route
is made: no next hop may be a failed address.
"""

from collections.abc import Iterator

from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib, IfAddress
from podroutes.model.problem import Problem
from podroutes.model.text import printable


def duplicate_addresses(cluster: Cluster, own: Node, fib: Fib) -> Iterator[Problem]:
    """Yield the failed addresses of this machine that are InternalIPs: its own, or those of other nodes."""
    failed = [address.address for address in fib.unusable if address.failed]
    if not failed:
        return
    owners = {address: node for node in cluster.nodes if node.name != own.name for address in node.internal_ips}
    for failure in failed:
        where = f"duplicate address detection for {failure.address} on {failure.dev} failed, as another machine there has it"
        if failure.address in own.internal_ips:
            message = f"node {printable(own.name)}: its InternalIP is not usable: {where}"
            fix = f"take the address from the other machine, then `{retry(failure)}`; or give this node another InternalIP"
            yield Problem("error", "duplicate-address", message, (own.name,), None, fix)
        elif failure.address in owners:
            name = owners[failure.address].name
            message = f"node {printable(name)}: its InternalIP was given to this machine, too: {where}"
            fix = f"`{deletion(failure)}`, and take it out of this machine's configuration: no route by it can be made until then"
            yield Problem("warning", "duplicate-address", message, (name,), None, fix)


def deletion(address: IfAddress) -> str:
    """Return the command that takes ADDRESS from this machine."""
    return f"ip -6 addr del {address.address}/{address.length} dev {address.dev}"


def retry(address: IfAddress) -> str:
    """Return the commands that have the detection begin anew."""
    return f"{deletion(address)} && ip -6 addr add {address.address}/{address.length} dev {address.dev}"
