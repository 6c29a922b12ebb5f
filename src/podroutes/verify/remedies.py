"""What to do about a finding: commands for the machine where it happens, where these are certain to cure it; else words.

``podroutes apply`` makes a missing route where a next hop of the node is on a network of the machine, and replaces a route of ours.
It changes nothing about a policy rule, a route of somebody else, an address or a sysctl: each of these has a command of its own.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.fib import IfAddress
from podroutes.model.host import LOCAL, LOOPBACK, Host
from podroutes.model.proof import Cause, Finding, Remedy
from podroutes.model.route import MAIN, NextHop, protocol_name
from podroutes.model.text import listing
from podroutes.plan.claims import examine
from podroutes.plan.host_fib import fib
from podroutes.plan.planning import plan_here
from podroutes.verify.machine_remedies import (
    APPLY,
    IP,
    REFUSING,
    device,
    forwarding,
    is_network,
    link_up,
    neighbour,
    reverse_path,
    single,
    without_ipv6,
)
from podroutes.verify.network import Network
from podroutes.verify.rule_takers import Here, Taken, Way, taken
from podroutes.views.iproute import deletion, line

_KERNEL = 2  # RTPROT_KERNEL
# What is to be done is certain, although some packets may arrive as it is.
_CERTAIN = {"martian-source", "no-route", "stolen-part", "wrong-next-hop"}
_MOST = 500  # findings that get a remedy of their own: of thousands nobody types the commands one by one
_SAMPLES = 64  # destinations that are looked at to find out what a rule takes


class Remedies:
    """Finds remedies in one cluster. OWNERS tells whose each destination is."""

    def __init__(self, network: Network, owners: Mapping[Prefix, str]) -> None:
        self._network = network
        self._owners = owners
        self._made: dict[str, frozenset[Prefix]] = {}

    def completed(self, finding: Finding) -> Finding:
        """Return FINDING with the policy rule named that is to blame, where one is, and with its remedy."""
        host = self._network.hosts.get(finding.cause.node)
        if host is None:
            return finding
        by_rule = next(iter(self._rules(host, finding)), None)
        if by_rule:
            cause = finding.cause
            if cause.route:  # else the rule itself refuses them
                cause = cause._replace(
                    code="rule-takes-pods", route=by_rule.route, detail=by_rule.said, part=None, source=None
                )
            version = finding.blocks[0].destinations[0].version
            commands = (*by_rule.fix(version), *self._apply_where_missing(host, finding))
            words = "move that rule behind the one of the main table"
            remedy = Remedy("", host.name, commands) if by_rule.fix(version) else Remedy(words)
            return finding._replace(cause=cause, remedy=remedy)
        found = next(iter(self._remedy(host, finding)), None)
        return finding._replace(remedy=found) if found else finding

    def _rules(self, host: Host, finding: Finding) -> Iterator[Taken]:
        """Yield what takes the packets of FINDING out of the main table's hands on HOST."""
        cause = finding.cause
        elsewhere = cause.route is not None and cause.route.table not in (MAIN, LOCAL)
        refused = cause.route is None and cause.code == "route-refuses"
        node = self._network.nodes.get(host.name)
        if node is None or not (elsewhere or refused):
            return
        version = next(_destinations(finding)).version
        dsts = [dst for dst in self._owners if dst.version == version]  # what a rule takes goes beyond one finding
        cidrs = tuple(cidr for cidr in node.pod_cidrs if cidr.version == version)
        bridge = next(
            (address.dev for address in host.addresses if any(cidr.covers(address.address) for cidr in cidrs)), ""
        )
        uplinks = frozenset(address.dev for address in host.addresses if address.address in node.internal_ips)
        ways = []
        for dst in dsts:
            if self._owners.get(dst) == host.name:
                ways.append(Way(dst, NextHop(None, bridge)))
            else:
                right = self._next_hops(dst)
                ways.append(Way(dst, NextHop(next(iter(right), None), next(iter(uplinks), None)), right))
        yield from (
            rule for rule in taken(host, version, ways, Here(cidrs, bridge, uplinks, None)) if rule.pods or not cidrs
        )

    def _remedy(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield at most one remedy."""
        cause = finding.cause
        handler = {
            "bridge-port": self._bridge_port,
            "detour": self._wrong_way,
            "forwarding-off": forwarding,
            "link-down": link_up,
            "martian-source": self._held_addresses,
            "no-neighbour": neighbour,
            "no-pod-device": _pod_device,
            "no-route": self._no_route,
            "reverse-path": reverse_path,
            "route-refuses": self._wrong_way,
            "stolen-part": self._wrong_way,
            "taken-locally": self._taken,
            "wrong-next-hop": self._wrong_way,
            "wrong-node": self._taken,
            "wrong-pod-device": self._taken,
        }.get(cause.code)
        if handler and (cause.severity != "cannot-tell" or cause.code in _CERTAIN):
            yield from handler(host, finding)

    def _no_route(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield what makes the missing route: podroutes, where it can."""
        dst = next(_destinations(finding))
        right = self._next_hops(dst)
        if host.name not in self._network.nodes:
            via = next((hop for hop in right if device(host, hop)), None)
            if via:
                yield Remedy("", host.name, (f"{IP[dst.version]} route add {dst} via {via}",))
            return
        devices = {dev for via in right if (dev := device(host, via))}
        working = [dev for dev in devices if host.works(dev)]
        if working and not self._makes(host, dst):
            yield Remedy(
                f"podroutes makes no route to {dst} on {host.name}: `podroutes plan` says there what stands in its way"
            )
        elif working:
            yield Remedy("", host.name, (APPLY,))
        elif devices:
            yield from link_up(host, finding, min(devices))
        elif dst.version == 6 and (off := without_ipv6(host)):
            commands = tuple(f"sysctl -w {shlex.quote(f'net.ipv6.conf.{dev}.disable_ipv6=0')}" for dev in off)
            yield Remedy("then give the device its IPv6 address again, and run `podroutes apply`", host.name, commands)
        else:
            where = listing([str(via) for via in right]) or "no address"
            yield Remedy(
                f"{host.name} has no address in the network of {self._owners.get(dst, 'the owner')} ({where}), and podroutes makes no route: "
                f"give it one, or have the router in between lead {dst} to that node"
            )

    def _wrong_way(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield what ends a route that leads elsewhere: ours is replaced, that of somebody else deleted, the right one made where it is missing."""
        cause, dst = finding.cause, next(_destinations(finding))
        route = cause.route
        if route is None:
            return
        if route.ours and route.dst == dst and route.via in self._next_hops(dst):
            yield Remedy(
                f"{route.via} is an InternalIP of {self._owners.get(dst)} in the inventory, and {cause.detail or 'another machine'} has it: "
                "correct the inventory, or take the address from that machine"
            )
        elif route.ours:
            yield Remedy("", host.name, (APPLY,))
        elif not single(route):
            yield Remedy(
                f"have protocol {protocol_name(route.protocol)} lead to the node alone, or leave {dst} out there"
            )
        elif is_network(host, route):
            yield Remedy(
                f"`{line(route)}` is that of a network of {host.name}: move it out of the pod network, or give the node another podCIDR"
            )
        else:
            yield Remedy("", host.name, (deletion(route), *self._apply_where_missing(host, finding)))

    def _taken(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield what ends an address or a route that has packets delivered where no pods are."""
        route = finding.cause.route
        if route is None:
            return
        alone = route.dst.length == BITS[route.dst.version]
        given = [  # with which the kernel made that route
            address
            for address in host.addresses
            if route.protocol == _KERNEL
            and address.dev == route.dev
            and (address.prefix == route.dst or (alone and address.address.value == route.dst.value))
        ]
        commands = [
            f"{IP[given_route.address.version]} addr del {given_route.address}/{given_route.length} dev {shlex.quote(given_route.dev)}"
            for given_route in given
        ]
        if not commands and (route.kind in REFUSING or single(route)):
            commands = [deletion(route)]
        if commands:
            yield Remedy("", host.name, (*commands, *self._apply_where_missing(host, finding, given)))

    def _held_addresses(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield what takes away an address that a pod of another node may have."""
        senders = (
            [cidr for name in finding.blocks[0].sources for cidr in self._network.nodes[name].pod_cidrs]
            if finding.blocks
            else []
        )
        part = finding.cause.source
        held = [
            address
            for address in host.addresses
            if address.dev != LOOPBACK or address.address.value >> 24 != 127
            if any(cidr.covers(address.address) for cidr in ([part] if part else senders))
        ]
        if held:
            commands = (
                f"{IP[address.address.version]} addr del {address.address}/{address.length} dev {shlex.quote(address.dev)}"
                for address in held
            )
            yield Remedy("", host.name, tuple(commands))

    def _bridge_port(self, host: Host, finding: Finding) -> Iterator[Remedy]:
        """Yield what gives the bridge the address of its port."""
        port = finding.cause.detail
        bridge = host.masters.get(port)
        given = [address for address in host.addresses if address.dev == port and address.address.value >> 118 != 0x3FA]
        if bridge and given:
            commands = [
                f"{IP[route.address.version]} addr add {route.address}/{route.length} dev {shlex.quote(bridge)}"
                for route in given
            ]
            commands += [
                f"{IP[route.address.version]} addr del {route.address}/{route.length} dev {shlex.quote(port)}"
                for route in given
            ]
            yield Remedy("", host.name, (*commands, APPLY))

    def _apply_where_missing(self, host: Host, finding: Finding, without: Sequence[IfAddress] = ()) -> tuple[str, ...]:
        """Return what makes the right routes on HOST, where they are not there already."""
        if host.name not in self._network.nodes:
            return ()
        wanted = [dst for dst in _destinations(finding) if self._owners.get(dst) != host.name][:_SAMPLES]
        there = {
            route.dst
            for route in host.routes
            if route.table == MAIN and route.kind == "unicast" and route.via in self._next_hops(route.dst)
        }
        missing = [dst for dst in wanted if dst not in there and self._makes(host, dst, without)]
        return (APPLY,) if missing and any(device(host, via) for dst in missing for via in self._next_hops(dst)) else ()

    def _makes(self, host: Host, dst: Prefix, without: Sequence[IfAddress] = ()) -> bool:
        """Whether podroutes makes a route to DST on HOST, WITHOUT some addresses: it takes nothing from the machine's own networks."""
        own = self._network.nodes[host.name]
        near = [
            address
            for address in host.addresses
            if address.dev != LOOPBACK
            and address not in without
            and not any(cidr.covers(address.address) for cidr in own.pod_cidrs)
        ]
        if not any(address.prefix.overlaps(dst) for address in near):
            return True  # nothing of the machine is there; a plan is made only where it may matter
        if host.name not in self._made:
            cluster = Cluster(tuple(self._network.nodes.values()))
            plan = plan_here(examine(cluster), own, fib(host)).plan
            self._made[host.name] = frozenset(change.route.dst for change in plan.changes if change.action != "delete")
        return dst in self._made[host.name]

    def _next_hops(self, dst: Prefix) -> tuple[Address, ...]:
        """Return the addresses by which the owner of DST may be reached."""
        node = self._network.nodes.get(self._owners.get(dst, ""))
        return tuple(address for address in node.internal_ips if address.version == dst.version) if node else ()


def _pod_device(host: Host, finding: Finding) -> Iterator[Remedy]:
    """Yield what brings the pods' device up, where it is there and down."""
    cidrs = list(_destinations(finding))
    for address in host.addresses:
        link = host.links.get(address.dev)
        if link and not link.up and any(cidr.covers(address.address) for cidr in cidrs):
            yield from link_up(host, finding, address.dev)
            return


def _destinations(finding: Finding) -> Iterator[Prefix]:
    return (dst for block in finding.blocks for dst in block.destinations)


def named(findings: Iterable[Finding], network: Network, owners: Mapping[Prefix, str]) -> list[Finding]:
    """Return FINDINGS with remedies; those that turn out to have one cause become one."""
    remedies = Remedies(network, owners)
    by_cause: dict[Cause, Finding] = {}
    for count, cause in enumerate(findings):
        finding = remedies.completed(cause) if count < _MOST else cause
        before = by_cause.get(finding.cause)
        by_cause[finding.cause] = finding._replace(blocks=(*before.blocks, *finding.blocks)) if before else finding
    return list(by_cause.values())
