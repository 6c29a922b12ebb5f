"""Findings about the CNI configuration and the pod bridge."""

import shlex
from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.doctor.shell_commands import described, few
from podroutes.model.address import BITS
from podroutes.model.finding import Finding
from podroutes.model.host import LOOPBACK
from podroutes.model.masquerade import TABLE
from podroutes.model.route import MAIN
from podroutes.model.text import listing
from podroutes.views.iproute import deletion

_KERNEL = 2  # RTPROT_KERNEL


def masquerade(context: MachineContext) -> Iterator[Finding]:
    """Find a plugin that masquerades packets of pods."""
    for network in context.facts.networks:
        if network.masquerades:
            fix = rf"""sed -i 's/"ipMasq"\s*:\s*true/"ipMasq": false/' {shlex.quote(network.path)}"""
            cause = f"packets from pods here to pods of other nodes carry this node's address: {network.plugin} masquerades them"
            yield Finding(
                "cni-masquerade", cause, (f'{network.path}: plugin {network.plugin}: "ipMasq": true',), (fix,)
            )


def plugins(context: MachineContext) -> Iterator[Finding]:
    """Find that the configuration in use names plugins that are not installed."""
    for file in context.facts.cni_files[:1]:
        if file.missing:
            names = listing(list(file.missing))
            evidence = tuple(f'{file.path}: "type": "{name}"' for name in file.missing)
            yield Finding("cni-plugin-missing", f"pods cannot be started: no plugin {names} is installed", evidence)


def full(context: MachineContext) -> Iterator[Finding]:
    """Find ranges of host-local without a free address."""
    for network in context.facts.networks:
        for subnet in network.full:
            cause = f"no further pod gets an address here: all of {subnet} are in use"
            yield Finding("cni-range-full", cause, (f'{network.path}: "subnet": "{subnet}"',))


def masquerade_table(context: MachineContext) -> Iterator[Finding]:
    """Find that our masquerade table is written down, and is not in the kernel."""
    file, facts = context.facts.masquerade_file, context.facts
    unread = any(each.startswith("packet filter:") for each in facts.unexamined)
    if file and not unread and not any(chain.table == f"inet {TABLE}" for chain in facts.chains):
        cause = "packets from pods to the outside keep the pods' addresses: the masquerade table is gone"
        yield Finding(
            "masquerade-missing", cause, (f"{file} is there, table inet {TABLE} is not",), (f"nft -f {file}",)
        )


def subnet(context: MachineContext) -> Iterator[Finding]:
    """Find a plugin that assigns addresses outside of this node's podCIDRs."""
    if not (context.own and context.own.pod_cidrs):
        return
    for network in context.facts.networks:
        wrong = [
            pod_range
            for pod_range in network.subnets
            if not any(cidr.covers(pod_range) for cidr in context.own.pod_cidrs)
        ]
        if wrong:
            right = listing([str(cidr) for cidr in context.own.pod_cidrs])
            cause = f"pods here get addresses of {listing([str(found) for found in wrong])}, but the podCIDR of this node is {right}"
            by_version = {cidr.version: cidr for cidr in context.own.pod_cidrs}
            fix = tuple(
                f"sed -i 's|{found}|{by_version[found.version]}|g' {shlex.quote(network.path)}"
                for found in wrong
                if found.version in by_version
            )
            yield Finding(
                "cni-subnet-mismatch", cause, tuple(f'{network.path}: "subnet": "{found}"' for found in wrong), fix
            )


def bridge(context: MachineContext) -> Iterator[Finding]:
    """Find a pod bridge whose address is outside of this node's podCIDRs."""
    if not (context.own and context.own.pod_cidrs):
        return
    versions = {cidr.version for cidr in context.own.pod_cidrs}
    for name in context.bridges:
        present = [
            address
            for address in context.facts.host.addresses
            if address.dev == name and address.address.version in versions
        ]
        wrong = [
            each
            for each in present
            if not any(cidr.covers(each.address) for cidr in context.own.pod_cidrs)
            and (each.address.version == 4 or each.address.value >> 118 != 0x3FA)  # fe80::/10 is on every link
        ]
        if wrong:
            right = listing([str(cidr) for cidr in context.own.pod_cidrs])
            cause = (
                f"{name} has {listing([str(each.address) for each in wrong])}, but the podCIDR of this node is {right}"
            )
            evidence = [f"ip address: {each.address}/{each.length} dev {name}" for each in wrong]
            yield Finding("pod-bridge-wrong-cidr", cause, few(evidence), (f"ip link delete {shlex.quote(name)}",))


def mtu(context: MachineContext) -> Iterator[Finding]:
    """Find a pod bridge with a larger MTU than the device towards the other nodes."""
    devices = context.facts.devices
    uplinks = {dev for version in (4, 6) for dev in context.uplinks(version)}
    for name in context.bridges:
        for uplink in sorted(uplinks - {name}):
            wide, narrow = devices[name].mtu, devices[uplink].mtu
            if wide > narrow:
                cause = f"pods may send packets of {wide} bytes through {name}, and {uplink} takes {narrow}"
                fix = f"ip link set {shlex.quote(name)} mtu {narrow}"
                yield Finding("mtu-mismatch", cause, (f"ip link: {name} mtu {wide}, {uplink} mtu {narrow}",), (fix,))


def connected_twice(context: MachineContext) -> Iterator[Finding]:
    """Find that two devices have a network with addresses of this node's pods: by an address, or by a route."""
    host = context.facts.host
    for cidr in context.own.pod_cidrs if context.own else ():
        bits = BITS[cidr.version]
        given = [
            address
            for address in host.addresses
            if address.dev != LOOPBACK and address.length < bits and cidr.covers(address.address)
        ]
        typed = [
            route
            for route in host.routes
            if route.table == MAIN
            and route.kind == "unicast"
            and route.protocol != _KERNEL
            and len(route.next_hops) == 1
            and route.via is None
            and route.dst.length < bits
            and cidr.covers(route.dst)
        ]
        devices = list(dict.fromkeys([*(address.dev for address in given), *(str(route.dev) for route in typed)]))
        if len(devices) > 1:
            bridge = next((name for name in context.bridges if name in devices), None)
            cause = f"{listing(devices)} have addresses of {cidr}, and pods are behind one of them"
            evidence = [f"ip address: {address.address}/{address.length} dev {address.dev}" for address in given]
            evidence += [f"ip route: {described(route)}" for route in typed]
            fix = [
                f"ip addr del {address.address}/{address.length} dev {shlex.quote(address.dev)}"
                for address in given
                if address.dev != bridge
            ]
            fix += [deletion(route) for route in typed if route.dev != bridge]
            yield Finding("pod-cidr-connected-twice", cause, few(evidence), tuple(fix) if bridge else ())


def too_wide(context: MachineContext) -> Iterator[Finding]:
    """Find a pod bridge whose network contains the podCIDRs of other nodes."""
    own = context.own.pod_cidrs if context.own else ()
    for name in context.bridges:
        for address in context.facts.host.addresses:
            cidr = next((cidr for cidr in own if cidr.covers(address.address)), None)
            others = [other for other in context.other_cidrs if address.prefix.covers(other)]
            if address.dev == name and cidr and address.length < cidr.length and others:
                whose = listing([str(other) for other in others])
                cause = f"{name} has {address.prefix} as its network, with the pods of other nodes ({whose}) in it: pods look for these on the bridge"
                quoted = shlex.quote(name)
                fix = (
                    f"ip addr add {address.address}/{cidr.length} dev {quoted}",
                    f"ip addr del {address.address}/{address.length} dev {quoted}",
                )
                yield Finding(
                    "pod-bridge-too-wide", cause, (f"ip address: {address.address}/{address.length} dev {name}",), fix
                )
