"""Findings about the machine's addresses: missing ones, and ones that cannot be used."""

from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.doctor.shell_commands import conf, setting
from podroutes.model.address import BITS
from podroutes.model.finding import Finding, Repair
from podroutes.model.host import LOOPBACK
from podroutes.model.text import listing
from podroutes.plan.duplicate_addresses import deletion


def another_network(context: MachineContext) -> Iterator[Finding]:
    """Find that this is a pod's network: it has no InternalIP, and a pod address on a device that is not a pod bridge."""
    own, host = context.own, context.facts.host
    if own is None or not own.internal_ips or context.bridges or any(map(host.owns, own.internal_ips)):
        return
    cidrs = (*own.pod_cidrs, *context.other_cidrs)
    inside = [
        address
        for address in host.addresses
        if address.dev != LOOPBACK
        and context.facts.devices[address.dev].kind != "bridge"
        and any(cidr.covers(address.address) for cidr in cidrs)
    ]
    if inside:
        cause = f"this is the network of a pod with the address {inside[0].address}, and not that of {own.name}"
        evidence = tuple(f"ip address: {address.address}/{address.length} dev {address.dev}" for address in inside)
        yield Finding("not-the-machines-network", cause, evidence)


def ipv6_disabled(context: MachineContext) -> Iterator[Finding]:
    """Find that IPv6 is disabled where pods or nodes need it: in the kernel, or on a device of their packets."""
    host, own = context.facts.host, context.own
    internal = own.internal_ips if own else ()
    if not (6 in context.forwards and context.own_cidrs) and not any(address.version == 6 for address in internal):
        return
    if host.sysctl(4, "all", "forwarding") is not None and host.sysctl(6, "all", "forwarding") is None:
        evidence = ("/proc/sys/net/ipv6 is not there",)
        yield Finding("ipv6-disabled", "the kernel of this machine runs without IPv6 (ipv6.disable=1)", evidence)
        return
    devices = dict.fromkeys((*context.uplinks(4), *context.uplinks(6), *context.bridges))
    off = [dev for dev in devices if host.sysctl(6, dev, "disable_ipv6") == 1]
    if off:
        repairs = [Repair(conf(6, dev, "disable_ipv6"), 0) for dev in off]
        cause = f"IPv6 is switched off on {listing(off)}, which has no IPv6 address therefore"
        yield Finding(
            "ipv6-disabled", cause, tuple(f"{repair.name} = 1" for repair in repairs), tuple(map(setting, repairs))
        )


def duplicates(context: MachineContext) -> Iterator[Finding]:
    """Find addresses that failed duplicate address detection, or are still tentative."""
    own = context.own
    others = (
        {via: node for node in context.cluster.nodes if node != own for via in node.internal_ips}
        if context.cluster
        else {}
    )
    for address in context.facts.host.unusable:
        unusable, dev = address.address.address, address.address.dev
        mine = (own is not None and unusable in own.internal_ips) or any(
            cidr.covers(unusable) for cidr in context.own_cidrs
        )
        where = f"duplicate address detection for {unusable} on {dev}"
        evidence = (
            f"ip address: {unusable}/{address.address.length} dev {dev} {'dadfailed' if address.failed else 'tentative'}",
        )
        if address.failed and mine:
            yield Finding(
                "address-duplicate", f"{where} failed: another machine there has this address of ours", evidence
            )
        elif address.failed and unusable in others:
            cause = f"{where} failed: it is the address of {others[unusable].name}, and this machine was given it, too"
            yield Finding("address-duplicate", cause, evidence, (deletion(address.address),))
        elif mine and not address.failed and not context.facts.host.works(dev):  # otherwise it takes a second or two
            yield Finding(
                "address-tentative", f"{where} has not come to its end, and nobody is answered until then", evidence
            )


def shared(context: MachineContext) -> Iterator[Finding]:
    """Find InternalIPs of this node that move between machines: another node lists them, too, or the machine has an address besides."""
    own, host = context.own, context.facts.host
    if own is None or context.cluster is None:
        return
    lists = {
        internal_ip: [
            node.name for node in context.cluster.nodes if node.name != own.name and internal_ip in node.internal_ips
        ]
        for internal_ip in own.internal_ips
    }
    for address, names in lists.items():
        if names:
            cause = f"{address} is an InternalIP of {own.name} and of {listing(names)}"
            yield Finding("internal-ip-shared", cause, (f"inventory: {address} of {listing([own.name, *names])}",))
            continue
        given = next(
            (interface_address for interface_address in host.addresses if interface_address.address == address), None
        )
        beside = [
            interface_address
            for interface_address in host.addresses
            if given
            and interface_address.dev == given.dev
            and interface_address.address != address
            and interface_address.length < BITS[address.version]
            and interface_address.prefix.covers(address)
            and interface_address.address in own.internal_ips
        ]
        if given and given.length == BITS[address.version] and beside:
            cause = f"{address} of {own.name} stands on {given.dev} beside {beside[0].address}, as an address that moves between machines does"
            evidence = f"ip address: {address}/{given.length} dev {given.dev}, {beside[0].address}/{beside[0].length} dev {given.dev}"
            yield Finding("internal-ip-shared", cause, (evidence,))
