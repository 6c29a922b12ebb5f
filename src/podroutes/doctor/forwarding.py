"""Findings about forwarding, router advertisements and the reverse path filter."""

from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.doctor.shell_commands import conf, few, setting
from podroutes.model.address import BITS, Prefix
from podroutes.model.finding import Finding, Repair
from podroutes.model.forwarding_path import Flow
from podroutes.model.linux import RouteProtocol
from podroutes.model.text import counted, listing
from podroutes.verify.lookup import Tables
from podroutes.verify.rule_takers import sample

_STRICT = 1  # rp_filter


def ra_default_route(context: MachineContext) -> Iterator[Finding]:
    """Find an IPv6 default route from a router advertisement, which a machine that forwards no longer accepts.

    The kernel uses accept_ra, where 2 means "even if forwarding". systemd-networkd processes advertisements itself, sets
        accept_ra to 0, and uses IPv6AcceptRA=. NetworkManager and dhcpcd always accept them.
    """
    host = context.facts.host
    if not (6 in context.forwards or host.forwards(6, "all")):
        return
    ways = (
        hop.dev
        for route in host.routes
        if route.dst == Prefix(6, 0, 0) and route.protocol == RouteProtocol.RA
        for hop in route.next_hops
    )
    for dev in dict.fromkeys(filter(None, ways)):
        accepts = host.sysctl(6, dev, "accept_ra")
        networkd = context.facts.managers.networkd.get(dev)
        cause = f"the IPv6 default route of {dev} came by a router advertisement, and {dev} takes none when it forwards"
        if accepts == 1:
            repair = Repair(conf(6, dev, "accept_ra"), 2)
            yield Finding(
                "ra-default-route-at-risk",
                cause,
                (f"{repair.name} = {accepts}",),
                (setting(repair),),
                (repair,),
            )
        elif accepts == 0 and networkd and not networkd.accepts_ra:
            place = f"/etc/systemd/network/{networkd.file.rpartition('/')[2]}.d"
            fix = (
                f"mkdir -p {place}",
                rf"printf '[Network]\nIPv6AcceptRA=yes\n' > {place}/60-accept-ra.conf",
                "networkctl reload",
            )
            yield Finding("ra-default-route-at-risk", cause, (f"{networkd.file}: no IPv6AcceptRA=yes",), fix)


def ipv4_forwarding(context: MachineContext) -> Iterator[Finding]:
    """Find that IPv4 forwarding is off, for the machine or for a device on which pod traffic arrives."""
    host = context.facts.host
    if 4 not in context.forwards:
        return
    if host.sysctls.get("net.ipv4.ip_forward") == 0:
        yield _off("ipv4-forwarding-off", "net/ipv4/ip_forward", "this machine does not forward IPv4 packets")
        return
    for dev in dict.fromkeys((*context.uplinks(4), *context.bridges)):
        if host.forwards(4, dev) is False:
            cause = f"this machine forwards IPv4 packets, but not those that come in by {dev}"
            yield _off("ipv4-forwarding-off", conf(4, dev, "forwarding"), cause)


def ipv6_forwarding(context: MachineContext) -> Iterator[Finding]:
    """Find that IPv6 forwarding is off; only conf/all decides."""
    if 6 in context.forwards and context.facts.host.forwards(6, "all") is False:
        yield _off("ipv6-forwarding-off", conf(6, "all", "forwarding"), "this machine does not forward IPv6 packets")


def _off(code: str, sysctl: str, cause: str) -> Finding:
    repair = Repair(sysctl, 1)
    return Finding(code, cause, (f"{repair.name} = 0",), (setting(repair),), (repair,))


def reverse_path(context: MachineContext) -> Iterator[Finding]:
    """Find devices with a strict filter on which packets from pods arrive, while the route back to those pods uses another device."""
    host = context.facts.host
    if context.own is None:
        return  # the incoming device is unknown
    uplinks = [dev for address in context.own.internal_ips if address.version == 4 and (dev := host.owns(address))]
    arrivals = [(dev, list(context.other_cidrs)) for dev in dict.fromkeys(uplinks)]
    arrivals += [(bridge, list(context.own_cidrs)) for bridge in context.bridges]
    strict = [(dev, cidrs) for dev, cidrs in arrivals if host.reverse_path(dev) == _STRICT]
    tables = Tables(host, 4) if strict else None
    for dev, cidrs in strict:
        elsewhere = {}
        for cidr in cidrs:
            if tables and cidr.version == 4:
                decision = tables.decide(Flow(sample(cidr)))
                ways = {hop.dev for hop in decision.hops}
                if decision.kind == "unicast" and dev not in ways:
                    elsewhere[cidr] = ", ".join(sorted(filter(None, ways)))
        if elsewhere:
            all_, own = (host.sysctl(4, each, "rp_filter") for each in ("all", dev))
            whom = next(iter(elsewhere)) if len(elsewhere) == 1 else counted(len(elsewhere), "podCIDR")
            repair = Repair(conf(4, dev, "rp_filter"), 2)
            lines = few([f"the route back to {cidr} leaves by {ways}" for cidr, ways in elsewhere.items()])
            yield Finding(
                "strict-reverse-path",
                f"packets from {whom} that come in by {dev} are dropped: the way back is another",
                (f"net.ipv4.conf.all.rp_filter = {all_}, net.ipv4.conf.{dev}.rp_filter = {own}", *lines),
                (setting(repair),),
            )


def neighbours_dropped(context: MachineContext) -> Iterator[Finding]:
    """Find devices with a strict filter that drops ARP requests of other nodes, since the route to their address uses another device.

    arp_process() of net/ipv4/arp.c checks the sender like the source of a packet.
    """
    host = context.facts.host
    others = [node for node in context.cluster.nodes if node != context.own] if context.cluster else []
    networks = [address for address in host.addresses if address.length < BITS[4] and address.address.version == 4]
    strict = {network.dev for network in networks if host.reverse_path(network.dev) == _STRICT}
    tables = Tables(host, 4) if strict else None
    for dev in sorted(strict):
        astray = {}
        for via in (via for node in others for via in node.internal_ips):
            on = next((network for network in networks if network.prefix.covers(via) and network.address != via), None)
            if tables and on and on.dev == dev:
                decision = tables.decide(Flow(via))
                ways = {hop.dev for hop in decision.hops}
                if decision.kind == "unicast" and dev not in ways:
                    astray[via] = ", ".join(sorted(filter(None, ways)))
        if astray:
            repair = Repair(conf(4, dev, "rp_filter"), 2)
            whom = listing([str(via) for via in astray])
            all_, own = (host.sysctl(4, each, "rp_filter") for each in ("all", dev))
            yield Finding(
                "strict-reverse-path",
                f"ARP requests and packets of {whom} that come in by {dev} are dropped: the way back is another",
                (
                    f"net.ipv4.conf.all.rp_filter = {all_}, net.ipv4.conf.{dev}.rp_filter = {own}",
                    *few([f"the route back to {via} leaves by {ways}" for via, ways in astray.items()]),
                ),
                (setting(repair),),
            )
