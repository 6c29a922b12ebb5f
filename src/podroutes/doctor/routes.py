"""Findings about the routes that decide about pod traffic."""

from collections.abc import Iterable, Iterator

from podroutes.doctor.context import MachineContext, Prefixes, connected
from podroutes.doctor.shell_commands import apply, described, few
from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.cluster import Node
from podroutes.model.finding import Finding
from podroutes.model.forwarding_path import Decision, Flow
from podroutes.model.host import DEFAULT, LOCAL
from podroutes.model.linux import NextHopFlag, RouteProtocol
from podroutes.model.route import MAIN, Route, protocol_name
from podroutes.model.text import counted, listing
from podroutes.plan import claims
from podroutes.plan.host_fib import fib
from podroutes.plan.planning import plan_here
from podroutes.verify.lookup import Tables
from podroutes.verify.rule_takers import sample
from podroutes.views.iproute import deletion

# Programs by the protocol number of their routes.
_PROGRAMS = {
    RouteProtocol.KERNEL: "Cilium, or someone who typed `proto kernel`",
    RouteProtocol.BOOT: "flannel, kindnet, or someone who typed `ip route add`",
    11: "FRR",
    12: "BIRD",
    17: "kube-router",
    42: "Babel",
    80: "Calico",
    186: "FRR (BGP)",
    187: "FRR (IS-IS)",
    188: "FRR (OSPF)",
    189: "FRR (RIP)",
    192: "FRR (EIGRP)",
}


def strangers(context: MachineContext) -> Iterator[Finding]:
    """Find foreign routes inside the pod range: with a wrong next hop, beside ours, or in place of ours."""
    mine = {route.dst: route for route in context.ours}
    judge = _Judge(context)
    strays, doubles, rivals = list[Route](), list[Route](), dict[int, list[Route]]()
    for route, node in _inside(context):
        wrong = judge.wrong(route, node)
        if wrong:
            strays.append(route)
        elif route.dst in mine and route.table == MAIN and route.next_hops:
            doubles.append(route)
        elif wrong is None or not route.next_hops:
            continue
        elif route.protocol in _PROGRAMS and route.table == MAIN and context.configured.get(route.dst) != route.via:
            rivals.setdefault(route.protocol, []).append(route)
    if strays:
        what = f"{counted(len(strays), 'route')} inside the pod range {'leads' if len(strays) == 1 else 'lead'} elsewhere than to the node"
        yield _alike("stray-route", what, strays, [deletion(route) for route in strays if judge.deletable(route)])
    if doubles:
        what = f"{counted(len(doubles), 'podCIDR')} {'has' if len(doubles) == 1 else 'have'} a route of someone else beside ours"
        identical = all(route.via == mine[route.dst].via for route in doubles)
        yield _alike("duplicate-route", what, doubles, _adopting(context, doubles) if identical else ())
    for protocol, routes in sorted(rivals.items()):
        what = (
            f"{counted(len(routes), 'podCIDR')} {'is' if len(routes) == 1 else 'are'} routed by {_PROGRAMS[protocol]}"
        )
        yield _alike("rival-routes", f"{what} (protocol {protocol_name(protocol)})", routes, _adopting(context, routes))


def _adopting(context: MachineContext, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the command that takes ROUTES over, none if it would not; deleting them first would interrupt pod traffic."""
    plain = all(
        len(route.next_hops) == 1 and route.via and not (route.nhid or route.metrics or route.prefsrc or route.tos)
        for route in routes
    )
    return (apply(context.cluster, "--adopt"),) if plain else ()


def _inside(context: MachineContext) -> Iterator[tuple[Route, Node | None]]:
    """Yield each foreign route inside the pod range, with the node whose pods it covers.

    Routes to the pods of this machine belong to the CNI plugin, unless they have a gateway. A route that covers the podCIDRs of
        several nodes decides nothing if these have routes.
    """
    pods, own = context.pod_range, context.own_cidrs
    wide = {*context.other_cidrs, *own}
    lengths = {cidr.length for cidr in wide}
    for route in context.facts.host.routes:
        if route.ours or route.table == LOCAL or route.kind in ("multicast", "broadcast", "local", "anycast", "throw"):
            continue
        best, node = pods.find(route.dst)
        here = any(cidr.covers(route.dst) for cidr in own)
        if not best or (here and not any(hop.via for hop in route.next_hops)):
            continue
        covers = any(length > route.dst.length for length in lengths) and any(
            cidr != route.dst and route.dst.covers(cidr) for cidr in wide
        )
        if not covers:
            yield route, None if here else node


class _Judge:
    """Decides about the foreign routes of one machine."""

    def __init__(self, context: MachineContext) -> None:
        self.context = context
        host = context.facts.host
        self._tables = {version: Tables(host, version) for version in (4, 6)}
        self._own = {route.dst: route.via for route in context.ours}
        self._ways = Prefixes(self._own.items())
        nodes = context.cluster.nodes if context.cluster else ()
        self._others = {via for node in nodes for via in node.internal_ips}
        self._networks = connected(context)
        pods = context.pod_range
        self._routers = {
            hop.via for route in host.routes if not pods.find(route.dst)[0] for hop in route.next_hops if hop.via
        }

    def wrong(self, route: Route, node: Node | None) -> bool | None:
        """Return whether ROUTE, inside the pod range, sends pod traffic to a wrong next hop; None: it decides nothing, or unknown."""
        if not self._decides(route):
            return False if self._right(route, node) else None
        if self._right(route, node):
            return False
        if route.kind != "unicast":
            return True if node or self._in_own(route) else None
        if not route.next_hops:
            return None
        if self._connected(route):
            return None
        if any(hop.via and self._unknown(hop.via, node) for hop in route.next_hops):
            return None
        return True

    def deletable(self, route: Route) -> bool:
        """Return whether deleting ROUTE may be advised: only if it is fully decoded."""
        return route.kind != "unicast" or len(route.next_hops) == 1

    def _in_own(self, route: Route) -> bool:
        return any(cidr.covers(route.dst) for cidr in self.context.own_cidrs)

    def _decides(self, route: Route) -> bool:
        """Return whether ROUTE decides about packets for its destination."""
        decision = self._tables[route.dst.version].decide(Flow(sample(route.dst)))
        if decision.kind == "unknown":
            return False
        first = decision.route
        return first is not None and (
            first == route or (first.dst, first.table, first.metric) == (route.dst, route.table, route.metric)
        )

    def _right(self, route: Route, node: Node | None) -> bool:
        right = (
            node.internal_ips if node else (self._ways.find(route.dst)[1],)
        )  # without a node, our routes show the next hop
        return bool(route.next_hops) and all(hop.via is not None and hop.via in right for hop in route.next_hops)

    def _connected(self, route: Route) -> bool:
        """Return whether ROUTE is the connected route of a network of this machine."""
        return any(
            hop.via is None and hop.dev == address.dev and address.prefix == route.dst
            for hop in route.next_hops
            for address in self.context.facts.host.addresses
        )

    def _unknown(self, via: Address, node: Node | None) -> bool:
        """Return whether VIA may forward packets to NODE: it is a router, not a node of the cluster."""
        if via in self._others or self.context.facts.host.owns(via):
            return False
        on_link = node is None or any(
            self._networks.find(network(address, BITS[address.version]))[0] for address in node.internal_ips
        )
        return via in self._routers or not on_link


def _alike(code: str, cause: str, routes: list[Route], fix: Iterable[str]) -> Finding:
    evidence = [f"ip route show table all: {described(route)}" for route in routes]
    return Finding(code, cause, few(evidence), tuple(fix))


def missing(context: MachineContext) -> Iterator[Finding]:
    """Find podCIDRs of nodes on networks of this machine without a route.

    If another program routes podCIDRs, only that is reported: taking its routes over also adds the missing ones.
    """
    routes = context.facts.host.routes
    rivals = {route.dst for route in routes if not route.ours and route.protocol in _PROGRAMS and route.table == MAIN}
    if context.cluster is None or not rivals.isdisjoint(context.other_cidrs):
        return
    networks = connected(context)
    tables = {version: Tables(context.facts.host, version) for version in (4, 6)}
    lost = []
    for cidr, node in context.other_cidrs.items():
        near = node and any(
            via.version == cidr.version and networks.find(network(via, BITS[via.version]))[0]
            for via in node.internal_ips
        )
        if near:
            decision = tables[cidr.version].decide(Flow(sample(cidr)))
            if (
                decision.kind != "unknown"
                and (decision.route is None or decision.route.dst.length < cidr.length)
                and not found_by_rule(decision)
            ):
                lost.append((cidr, node))
    made = _made(context) if lost else frozenset()
    for those, end, fix in (
        ([pair for pair in lost if pair[0] in made], "", (apply(context.cluster),)),
        (
            [pair for pair in lost if pair[0] not in made],
            ", and podroutes makes none: `podroutes plan` says why",
            (),
        ),
    ):
        if those:
            names = [f"{cidr} of {node.name}" for cidr, node in those if node]
            cause = f"{counted(len(those), 'podCIDR')} of other nodes {'has' if len(those) == 1 else 'have'} no route here: {listing(names)}{end}"
            evidence = few([f"ip route: nothing to {cidr}" for cidr, _ in those])
            yield Finding("routes-missing", cause, evidence, fix)


def _made(context: MachineContext) -> frozenset[Prefix]:
    """Return the destinations to which `podroutes apply` would make a route."""
    if context.cluster is None or context.own is None:
        return frozenset()
    plan = plan_here(claims.examine(context.cluster), context.own, fib(context.facts.host)).plan
    return frozenset(change.route.dst for change in plan.changes if change.action != "delete")


def found_by_rule(decision: Decision) -> bool:
    """Return whether a policy rule decides instead of the main table, which is another finding."""
    rule = decision.rule
    return rule is not None and (rule.action != "lookup" or rule.table not in (MAIN, LOCAL, DEFAULT))


def split(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours with a second next hop: `ip -6 route append` adds one, where IPv4 makes two routes."""
    routes = [route for route in context.ours if len(route.next_hops) > 1]
    if routes:
        evidence = few([f"ip route: {described(route)}" for route in routes])
        cause = (
            f"{counted(len(routes), 'route')} of ours {'has' if len(routes) == 1 else 'have'} more than one next hop"
        )
        yield Finding("route-split", cause, evidence, (apply(context.cluster),))


def without_carrier(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours over a device that is down or has no carrier."""
    dead = [route for route in context.ours if any(hop.dead for hop in route.next_hops)]
    for dev in dict.fromkeys(hop.dev for route in dead for hop in route.next_hops if hop.dead):
        number = sum(any(hop.dev == dev for hop in route.next_hops) for route in dead)
        link = context.facts.host.links.get(str(dev))
        down = link is not None and not link.up
        state = "is down" if down else "has no carrier"
        fix = (f"ip link set {dev} up",) if down else ()
        cause = f"{counted(number, 'route')} of ours {'leaves' if number == 1 else 'leave'} by {dev}, which {state}"
        yield Finding("route-without-carrier", cause, (f"ip link: {dev} {state}",), fix)


def off_link(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours whose next hop is no longer on a network of this machine."""
    hops = {
        hop.via: hop
        for route in context.ours
        for hop in route.next_hops
        if hop.via and not hop.flags & NextHopFlag.ONLINK
    }
    networks = connected(context)
    lost = [via for via in sorted(hops) if not networks.find(network(via, BITS[via.version]))[0]]
    if lost:
        first = f"{lost[0]} dev {hops[lost[0]].dev}"
        cause = f"{counted(len(lost), 'next hop')} of our routes {'is' if len(lost) == 1 else 'are'} on no connected network: {first}"
        astray = set(lost)
        nodes = context.cluster.nodes if context.cluster else ()
        others = {via for node in nodes for via in node.internal_ips}
        routes = [route for route in context.ours if route.via in astray]
        yield Finding(
            "next-hop-off-link",
            cause,
            few([f"ip route: {described(route)}" for route in routes]),
            () if astray & others else (apply(context.cluster),),  # podroutes keeps the route of an unreachable node
        )
