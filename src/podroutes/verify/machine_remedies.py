"""Remedies of what is wrong with a machine besides its routes: sysctls, links, the order of its policy rules."""

import shlex
from collections.abc import Iterator

from podroutes.model.address import Address
from podroutes.model.host import LOCAL, LOOPBACK, Host
from podroutes.model.proof import Finding, Remedy
from podroutes.model.route import MAIN, Route

APPLY = "podroutes apply"
IP = {4: "ip", 6: "ip -6"}
REFUSING = {"blackhole", "unreachable", "prohibit"}


def without_ipv6(host: Host) -> list[str]:
    """Return the devices of HOST on which IPv6 is switched off."""
    return [dev for dev in host.links if dev != LOOPBACK and host.sysctl(6, dev, "disable_ipv6") == 1]


def forwarding(host: Host, finding: Finding) -> Iterator[Remedy]:
    """Yield what turns forwarding on."""
    version = finding.blocks[0].destinations[0].version
    names = ["net.ipv6.conf.all.forwarding"]
    if version == 4:
        on = host.sysctls.get("net.ipv4.ip_forward")
        names = [f"net.ipv4.conf.{finding.cause.detail}.forwarding"] if on else ["net.ipv4.ip_forward"]
    yield Remedy(
        "and in /etc/sysctl.d for the next boot",
        host.name,
        tuple(f"sysctl -w {shlex.quote(f'{name}=1')}" for name in names),
    )


def reverse_path(host: Host, finding: Finding) -> Iterator[Remedy]:
    """Yield what makes the reverse path filter loose."""
    dev = finding.cause.detail
    if dev in host.links:
        yield Remedy(
            "or route both ways over the same network",
            host.name,
            (f"sysctl -w {shlex.quote(f'net.ipv4.conf.{dev}.rp_filter=2')}",),
        )


def link_up(host: Host, finding: Finding, dev: str = "") -> Iterator[Remedy]:
    """Yield what brings the link of FINDING, or DEV, up: the kernel took its routes when it went down."""
    name = dev or finding.cause.detail.removesuffix(f" of {host.name}")
    link = host.links.get(name)
    if link is None:
        return
    if host.medium(name).kind == "bridge" and not host.ports(name):
        yield Remedy(f"nothing is attached to {name} of {host.name}: start a pod there")
    elif link.up:
        yield Remedy(f"check the cable of {name}, or what is at its other end: it is up and has no carrier")
    else:
        yield Remedy("", host.name, (f"ip link set {shlex.quote(name)} up", APPLY))


def neighbour(host: Host, finding: Finding) -> Iterator[Remedy]:
    """Yield what has table local asked first, so that answers to the machine's own addresses are taken."""
    version = finding.blocks[0].destinations[0].version
    rules = host.rules.get(version) or ()
    first = rules[0] if rules else None
    if first is None or (first.priority, first.table) != (0, LOCAL):
        yield Remedy("", host.name, (f"{IP[version]} rule add pref 0 lookup local",))


def device(host: Host, via: Address) -> str | None:
    """Return the device of HOST on whose network VIA is: by an address, or by a route without a gateway."""
    named = next(
        (
            address.dev
            for address in host.addresses
            if address.dev != LOOPBACK and address.address != via and address.prefix.covers(via)
        ),
        None,
    )
    return named or next(
        (
            route.dev
            for route in host.routes
            if route.table == MAIN and route.kind == "unicast" and route.dev and not route.via and route.dst.covers(via)
        ),
        None,
    )


def is_network(host: Host, route: Route) -> bool:
    """Whether ROUTE is that of a network of HOST."""
    return (
        route.kind == "unicast"
        and route.via is None
        and any(address.dev == route.dev and address.prefix == route.dst for address in host.addresses)
    )


def single(route: Route) -> bool:
    """Whether ROUTE has one way out, or none."""
    return route.kind in (*REFUSING, "local") or len(route.next_hops) == 1
