"""Why a pod CIDR is not reachable: one cause for everything that one fault breaks.

The first machine on the way that does something else than the inventory asks for is the cause, not whatever happens to
the packet later.
"""

from podroutes.core.network import Network
from podroutes.model.address import BITS, Prefix
from podroutes.model.journey import End, Hop, Journey
from podroutes.model.proof import Cause, Severity, Target


def judge(network: Network, journey: Journey, target: Target, part: Prefix) -> Cause | None:
    """Return why not every branch of JOURNEY, a packet to PART of TARGET, delivers it; None where each does."""
    found = [cause for end in journey.ends if (cause := _judge(network, journey, end, target))]
    worst = min(found, key=lambda cause: cause.severity != "unreachable", default=None) or _detour(
        network, journey, target
    )
    return worst and worst._replace(part=part if part != target.prefix else None)


def asymmetry(journey: Journey) -> Cause | None:
    """Return a warning where answers would not leave by the device that the packet came in by."""
    found = next((hop for hop in journey.hops if hop.asymmetric), None)
    return found and Cause("warning", "asymmetric-path", found.host, None, found.iif)


def explains(one: Cause, other: Cause) -> bool:
    """Whether ONE is OTHER about more addresses; a whole comes before its parts."""
    covered = one.part is None or (other.part is not None and one.part.covers(other.part))
    return covered and one._replace(part=None) == other._replace(part=None)


def _judge(network: Network, journey: Journey, end: End, target: Target) -> Cause | None:
    path = journey.path(end)
    if _delivered(network, path[-1], end, target):
        return None
    for place, hop in enumerate(path):
        following = path[place + 1].host if place + 1 < len(path) else end.detail if end.fate == "unseen" else None
        if found := _astray(network, hop, end, target, following):
            return found
    return _by_fate(path[-1], end)


def _detour(network: Network, journey: Journey, target: Target) -> Cause | None:
    """Return a warning where a packet that arrives was sent to a node that does not own the target, and passed on by it."""
    for hop in journey.hops:
        if hop.before >= 0 and hop.host in network.nodes and hop.host != target.owner:
            sender = journey.hops[hop.before]
            return Cause("warning", "detour", sender.host, sender.decision.route, hop.host)
    return None


def _delivered(network: Network, last: Hop, end: End, target: Target) -> bool:
    if end.fate == "unseen":
        return end.detail == target.owner
    if last.host != target.owner:
        return False
    if end.fate == "local":
        return True
    return target.pods and (
        (end.fate == "on-link" and _is_pod_device(network, target, end.detail))
        or (_route_length(last) < target.prefix.length and _has_pod_routes(network, target))
    )


def _is_pod_device(network: Network, target: Target, dev: str) -> bool:
    """Whether DEV leads to pods: it is none of those towards the nodes, or it has an address among the pods."""
    host = network.hosts[target.owner]
    node = network.nodes.get(target.owner)
    towards_nodes = {each.dev for each in host.addresses if node and each.address in node.internal_ips}
    return dev not in towards_nodes or any(
        each.dev == dev and target.prefix.covers(each.address) for each in host.addresses
    )


def _has_pod_routes(network: Network, target: Target) -> bool:
    """Whether the owner has a route for each pod, as kindnet's ptp and Calico make them: the rest is addresses of no pod."""
    return any(
        route.kind == "unicast"
        and route.dst.length == BITS[route.dst.version]
        and route.via is None
        and target.prefix.covers(route.dst)
        for route in network.hosts[target.owner].routes
    )


def _route_length(hop: Hop) -> int:
    return hop.decision.route.dst.length if hop.decision.route else -1


def _astray(network: Network, hop: Hop, end: End, target: Target, following: str | None) -> Cause | None:
    """Return what HOP does other than the inventory asks for, None where it does just that or cannot be blamed."""
    decision = hop.decision
    length = _route_length(hop)
    if decision.kind == "unknown" or hop.host not in network.nodes or not target.pods:
        return None
    severity: Severity = "cannot-tell" if end.fate == "unseen" else "unreachable"
    here = Cause(severity, "", hop.host, decision.route)
    if length < target.prefix.length and (decision.route or decision.kind == "no-route"):
        code = "no-route" if hop.host != target.owner else "no-pod-device"
        return here._replace(
            code=code, detail=str(decision.hops[0].via or decision.hops[0].dev) if decision.hops else decision.kind
        )
    if length > target.prefix.length and target.owner not in (following, hop.host):
        return here._replace(code="stolen-part", detail=_where(decision.kind, following, end))
    elsewhere = following in network.nodes or (following is not None and _neighbours(network, hop.host, target.owner))
    if elsewhere and following not in (target.owner, hop.host):
        return here._replace(code="wrong-next-hop", detail=str(following))
    if hop.host == target.owner and length > target.prefix.length and end.fate != "unknown":
        return here._replace(code="stolen-part", detail=_where(decision.kind, following, end))
    return None


def _neighbours(network: Network, host: str, owner: str) -> bool:
    """Whether HOST is connected to an address of OWNER, so that a way through a router is not the one that is asked for."""
    there = network.nodes[owner].internal_ips if owner in network.nodes else ()
    return any(each.prefix.covers(address) for each in network.hosts[host].addresses for address in there)


def _where(kind: str, following: str | None, end: End) -> str:
    return kind if kind in ("blackhole", "unreachable", "prohibit") else following or end.detail or kind


_FATES: dict[str, tuple[Severity, str]] = {
    "local": ("unreachable", "wrong-node"),
    "on-link": ("unreachable", "wrong-node"),
    "refused": ("unreachable", "route-refuses"),
    "forwarding-off": ("unreachable", "forwarding-off"),
    "reverse-path": ("unreachable", "reverse-path"),
    "martian-source": ("unreachable", "martian-source"),
    "link-down": ("unreachable", "link-down"),
    "loop": ("unreachable", "routing-loop"),
    "left": ("cannot-tell", "unknown-gateway"),
    "unseen": ("cannot-tell", "tables-not-seen"),
    "unknown": ("cannot-tell", "cannot-tell"),
}

_DECIDED = {"wrong-node", "route-refuses", "routing-loop", "no-route"}  # the others happen whatever the route says


def _by_fate(last: Hop, end: End) -> Cause:
    severity, code = _FATES[end.fate]
    if end.fate == "refused" and last.decision.kind == "no-route":
        code = "no-route"
    route = last.decision.route if code in _DECIDED else None
    return Cause(severity, code, last.host, route, end.detail)
