"""Whether the routes that decide about pod traffic are the right ones."""

from collections.abc import Iterable, Iterator

from podroutes.doctor.context import MachineContext, Prefixes, connected
from podroutes.doctor.messages import apply, counted, described, few
from podroutes.model.address import BITS, network
from podroutes.model.cluster import Node
from podroutes.model.finding import Finding
from podroutes.model.host import LOCAL
from podroutes.model.route import Route, protocol_name
from podroutes.views.iproute import deletion

_KERNEL, _BOOT = 2, 3  # RTPROT_KERNEL, RTPROT_BOOT
_ONLINK = 4  # RTNH_F_ONLINK, linux/rtnetlink.h
# Who is known to write routes under a number.
_PROGRAMS = {
    _KERNEL: "Cilium, or someone who typed `proto kernel`",
    _BOOT: "flannel, kindnet, or someone who typed `ip route add`",
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
    """Find routes of others inside the pod range: those that lead elsewhere, those beside ours, and those in place of ours."""
    mine = {route.dst: route.via for route in context.ours}
    ways = Prefixes(mine.items())
    strays, doubles, rivals = list[Route](), list[Route](), dict[int, list[Route]]()
    for route, node in _inside(context):
        right = node.internal_ips if node else (ways.find(route.dst)[1],)  # where it is nobody's, ours tell
        if route.via is None or route.via not in right:
            strays.append(route)
        elif route.dst in mine:
            doubles.append(route)
        elif route.protocol in _PROGRAMS and context.configured.get(route.dst) != route.via:
            rivals.setdefault(route.protocol, []).append(route)
    if strays:
        what = f"{counted(len(strays), 'route')} inside the pod range {'leads' if len(strays) == 1 else 'lead'} elsewhere than to the node"
        yield _alike("stray-route", what, strays, map(deletion, strays))
    if doubles:
        what = f"{counted(len(doubles), 'podCIDR')} {'has' if len(doubles) == 1 else 'have'} a route of someone else beside ours"
        yield _alike("duplicate-route", what, doubles, map(deletion, doubles))
    for protocol, routes in sorted(rivals.items()):
        what = (
            f"{counted(len(routes), 'podCIDR')} {'is' if len(routes) == 1 else 'are'} routed by {_PROGRAMS[protocol]}"
        )
        adopting = (apply(context.cluster, "--adopt"),)  # deleting them first would cut the pods off
        yield _alike("rival-routes", f"{what} (protocol {protocol_name(protocol)})", routes, adopting)


def _inside(context: MachineContext) -> Iterator[tuple[Route, Node | None]]:
    """Yield every route that is not ours and inside the pod range, with the other node whose pods it is about.

    What leads to the pods of this machine is the CNI plugin's business, unless it leads away through a gateway.
    """
    pods, own = context.pod_range, context.own_cidrs
    for route in context.facts.host.routes:
        if route.ours or route.table == LOCAL or route.kind in ("multicast", "broadcast", "local", "anycast"):
            continue
        found, node = pods.find(route.dst)
        here = any(cidr.covers(route.dst) for cidr in own)
        if found and not (here and not any(hop.via for hop in route.next_hops)):
            yield route, None if here else node


def _alike(code: str, cause: str, routes: list[Route], fix: Iterable[str]) -> Finding:
    evidence = [f"ip route show table all: {described(route)}" for route in routes]
    return Finding(code, cause, few(evidence), tuple(fix))


def split(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours that got a second next hop: `ip -6 route append` makes one where IPv4 makes two routes."""
    found = [route for route in context.ours if len(route.next_hops) > 1]
    if found:
        evidence = few([f"ip route: {described(route)}" for route in found])
        cause = f"{counted(len(found), 'route')} of ours {'has' if len(found) == 1 else 'have'} more than one next hop"
        yield Finding("route-split", cause, evidence, (apply(context.cluster),))


def without_carrier(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours over a device that no packet leaves by."""
    dead = [route for route in context.ours if any(hop.dead for hop in route.next_hops)]
    for dev in dict.fromkeys(hop.dev for route in dead for hop in route.next_hops if hop.dead):
        number = sum(any(hop.dev == dev for hop in route.next_hops) for route in dead)
        link = context.facts.host.links.get(str(dev))
        state = "is down" if link and not link.up else "has no carrier"
        cause = f"{counted(number, 'route')} of ours {'leaves' if number == 1 else 'leave'} by {dev}, which {state}"
        yield Finding("route-without-carrier", cause, (f"ip link: {dev} {state}",), (f"ip link set {dev} up",))


def off_link(context: MachineContext) -> Iterator[Finding]:
    """Find routes of ours whose next hop is on no network of this machine any more."""
    hops = {hop.via: hop for route in context.ours for hop in route.next_hops if hop.via and not hop.flags & _ONLINK}
    networks = connected(context)
    lost = [via for via in sorted(hops) if not networks.find(network(via, BITS[via.version]))[0]]
    if lost:
        first = f"{lost[0]} dev {hops[lost[0]].dev}"
        cause = f"{counted(len(lost), 'next hop')} of our routes {'is' if len(lost) == 1 else 'are'} on no connected network: {first}"
        astray = set(lost)
        routes = [route for route in context.ours if route.via in astray]
        yield Finding(
            "next-hop-off-link",
            cause,
            few([f"ip route: {described(route)}" for route in routes]),
            (apply(context.cluster),),
        )
