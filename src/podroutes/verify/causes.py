"""Finds the cause of each failure: one cause for all pairs that one fault breaks.

The cause is the first machine on the path that deviates from the inventory, not what happens to the packet later. A target is
unreachable only if the packet arrives on none of its possible paths.
"""

from podroutes.model.address import BITS, Prefix
from podroutes.model.forwarding_path import End, ForwardingPath, Hop
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.proof import Cause, Severity, Target
from podroutes.model.text import listing, printable
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.pods import Pods, is_strange, leads_outside, selecting, strange
from podroutes.verify.reverse_path import SourceVerdict

_REFUSING = {"blackhole", "unreachable", "prohibit"}


class Judge:
    """Judges packets to the targets of one cluster."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.network = neighbours.network

    def judge(self, forwarding_path: ForwardingPath, target: Target, pods: Pods, part: Prefix) -> Cause | None:
        """Return why not all branches of FORWARDING_PATH, of a packet to PART of TARGET, deliver it; None if all do."""
        judged = [self._judge(forwarding_path, end, target, pods) for end in forwarding_path.ends]
        causes = [cause for cause in judged if cause]
        certain = [cause for cause in causes if cause.severity == "unreachable"]
        worst = next(iter(certain or causes), None) or self._detour(forwarding_path, target)
        if worst and worst.severity == "unreachable" and len(certain) < len(judged):
            worst = worst._replace(severity="cannot-tell")  # another branch may deliver it
        return worst and worst._replace(part=part if part != target.prefix else None)

    def _judge(self, forwarding_path: ForwardingPath, end: End, target: Target, pods: Pods) -> Cause | None:
        path = forwarding_path.path(end)
        last = path[-1]
        if last.host == target.owner and end.fate in ("local", "on-link"):
            return self._at_owner(last, end, target, pods)
        for index, hop in enumerate(path):
            following = path[index + 1].host if index + 1 < len(path) else end.detail if end.fate == "unseen" else None
            if hop.host == target.owner and hop.decision.route and hop.decision.route.dst in pods.routed:
                continue
            if cause := self._astray(hop, end, target, following, pods):
                return cause
        return _by_fate(last, end)

    def _detour(self, forwarding_path: ForwardingPath, target: Target) -> Cause | None:
        """Return a warning if the packet arrives over a node that does not own the target."""
        for hop in forwarding_path.hops:
            if hop.before >= 0 and hop.host in self.network.nodes and hop.host != target.owner:
                sender = forwarding_path.hops[hop.before]
                return Cause("warning", "detour", sender.host, sender.decision.route, hop.host)
        return None

    def _at_owner(self, last: Hop, end: End, target: Target, pods: Pods) -> Cause | None:
        """Check the last hop: the owner must send packets for its pods to their device."""
        route, host = last.decision.route, self.network.hosts[last.host]
        here = Cause("unreachable", "", last.host, route)
        if end.fate == "local":
            if not target.pods:
                return None
            own = route is not None and route.dst.length == BITS[route.dst.version]
            return here._replace(severity="cannot-tell" if own else "unreachable", code="taken-locally")
        if not target.pods:
            return here._replace(code="wrong-node")
        if end.detail in pods.devices or (route and route.dst in pods.routed):
            return self._behind(host, pods, end.detail, target.prefix)
        if route and route.dst.length > target.prefix.length:
            return here._replace(code="stolen-part", detail=end.detail)
        return here._replace(code="wrong-pod-device", detail=end.detail)

    def _behind(self, host: Host, pods: Pods, dev: str, cidr: Prefix) -> Cause | None:
        """Return why pods behind DEV may not receive packets that are sent there."""
        here = Cause("cannot-tell", "cannot-tell", host.name)
        if len(pods.devices) > 1:
            return here._replace(
                code="wrong-pod-device", detail=listing([printable(device) for device in pods.devices])
            )
        if not (host.attached(dev) and leads_outside(host, dev)):
            return here._replace(
                code="no-pod-device", detail=f"{printable(dev)} is a device that no pod is attached to"
            )
        if host.selects(dev):
            return here._replace(detail=selecting(host, dev))
        if is_strange(self.network, host, dev, cidr):
            return here._replace(detail=strange(host, dev))
        fault = self.neighbours.sends(host, dev, cidr.version)
        if fault and fault.fate == "no-neighbour" and not self._knows_pods(host, dev, cidr):
            return here._replace(severity="unreachable", code="no-neighbour", detail=fault.detail)
        return here._replace(detail=fault.detail) if fault else None

    def _knows_pods(self, host: Host, dev: str, cidr: Prefix) -> bool:
        """Return whether HOST may remember pods behind DEV, although it finds no new ones."""
        if host.neighbours is None:
            return True
        return any(each == dev and cidr.covers(address) for each, address in host.neighbours.entries)

    def _astray(self, hop: Hop, end: End, target: Target, following: str | None, pods: Pods) -> Cause | None:
        """Return the deviation of HOP from the inventory, None if there is none or it is not the cause."""
        decision = hop.decision
        length = _route_length(hop)
        if decision.kind == "unknown" or hop.host not in self.network.nodes or not target.pods:
            return None
        here = Cause(
            "unreachable" if self._only_here(hop, target, pods) else _FATES[end.fate][0], "", hop.host, decision.route
        )
        if length < target.prefix.length and (decision.route or decision.kind == "no-route"):
            code = "no-route" if hop.host != target.owner else "no-pod-device"
            return here._replace(code=code, detail=_leaves(hop))
        if length > target.prefix.length and target.owner not in (following, hop.host):
            return here._replace(code="stolen-part", detail=_where(decision.kind, following, end))
        elsewhere = following in self.network.nodes or (
            following is not None and self._adjacent(hop.host, target.owner)
        )
        if elsewhere and following not in (target.owner, hop.host):
            return here._replace(code="wrong-next-hop", detail=str(following))
        if hop.host == target.owner and length > target.prefix.length and end.fate != "unknown":
            return here._replace(code="stolen-part", detail=_where(decision.kind, following, end))
        return None

    def _only_here(self, hop: Hop, target: Target, pods: Pods) -> bool:
        """Return whether HOP is the owner and treats packets from all devices equally: a packet that it forwards would come back to it."""
        if any(other_hop.dev in pods.entries for other_hop in hop.decision.hops):
            return False
        rules = self.network.hosts[hop.host].rules.get(target.prefix.version)
        return hop.host == target.owner and rules is not None and not any(rule.iif or rule.src for rule in rules)

    def _adjacent(self, host: str, owner: str) -> bool:
        """Return whether HOST is connected to an address of OWNER, so that a path through a router deviates from the inventory."""
        there = self.network.nodes[owner].internal_ips if owner in self.network.nodes else ()
        own = [address for address in self.network.hosts[host].addresses if address.dev != LOOPBACK]
        return any(own_address.prefix.covers(address) for own_address in own for address in there)


def explains(one: Cause, other: Cause) -> bool:
    """Return whether ONE is the cause OTHER for a superset of addresses; a whole comes before its parts.

    An address has several routes: a local route also covers its broadcast address.
    """
    if one.code == other.code == "taken-locally" and one.severity == "unreachable":
        other = other._replace(severity=one.severity, route=one.route)
    covered = one.part is None or (other.part is not None and one.part.covers(other.part))
    return covered and one._replace(part=None) == other._replace(part=None)


def source_cause(
    host: str, iif: str, verdict: SourceVerdict, prefix: Prefix | None = None, *, taken: str = "wrong-node"
) -> Cause:
    """Return why HOST drops a packet that arrives on IIF because of its source, an address of the pod CIDR PREFIX.

    If a fault misdirects the answer, it is the cause, so that both directions have the same one. TAKEN is the code for a local route.
    """
    back = verdict.back
    if verdict.fault == "unknown":
        return Cause("cannot-tell", "cannot-tell", host, None, "the way back to the source cannot be told")
    if verdict.fault == "asymmetric":
        return Cause("cannot-tell", "asymmetric-path", host, None, iif)
    if back and verdict.fault == "martian-source":
        route = back.route if back.kind == "local" else None
        if route and (prefix is None or route.dst.length <= prefix.length):
            return Cause("unreachable", taken, host, route)
    if back and verdict.fault == "reverse-path":
        wide = back.route is not None and prefix is not None and back.route.dst.length < prefix.length
        if back.kind in _REFUSING:
            return Cause("unreachable", "no-route" if wide else "route-refuses", host, back.route, back.kind)
        if back.kind == "no-route":
            return Cause("unreachable", "no-route", host, None, back.kind)
    return Cause("unreachable", verdict.fault, host, None, iif)


def _route_length(hop: Hop) -> int:
    return hop.decision.route.dst.length if hop.decision.route else -1


def _leaves(hop: Hop) -> str:
    decision = hop.decision
    return str(decision.hops[0].via or decision.hops[0].dev) if decision.hops else decision.kind


def _where(kind: str, following: str | None, end: End) -> str:
    return kind if kind in _REFUSING else following or end.detail or kind


_FATES: dict[str, tuple[Severity, str]] = {
    "local": ("unreachable", "wrong-node"),
    "on-link": ("unreachable", "wrong-node"),
    "refused": ("unreachable", "route-refuses"),
    "forwarding-off": ("unreachable", "forwarding-off"),
    "forwarding-unknown": ("cannot-tell", "sysctls-not-seen"),
    "reverse-path": ("unreachable", "reverse-path"),
    "asymmetric": ("cannot-tell", "asymmetric-path"),
    "martian-source": ("unreachable", "martian-source"),
    "link-down": ("unreachable", "link-down"),
    "bridge-port": ("unreachable", "bridge-port"),
    "no-neighbour": ("unreachable", "no-neighbour"),
    "bridge-port-remembered": ("cannot-tell", "bridge-port"),
    "remembered": ("cannot-tell", "no-neighbour"),
    "loop": ("unreachable", "routing-loop"),
    "left": ("cannot-tell", "unknown-gateway"),
    "unseen": ("cannot-tell", "tables-not-seen"),
    "unknown": ("cannot-tell", "cannot-tell"),
}

_DECIDED = {"wrong-node", "route-refuses", "routing-loop", "no-route"}  # the others do not depend on the route


def _by_fate(last: Hop, end: End) -> Cause:
    severity, code = _FATES[end.fate]
    if end.fate in ("reverse-path", "martian-source", "asymmetric"):
        return source_cause(last.host, end.detail, SourceVerdict(end.fate, end.back))
    if end.fate == "refused" and last.decision.kind == "no-route":
        code = "no-route"
    if end.fate == "unseen":
        return Cause(severity, code, end.detail, None, end.detail)
    route = last.decision.route if code in _DECIDED else None
    return Cause(severity, code, last.host, route, end.detail)
