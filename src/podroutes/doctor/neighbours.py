"""Findings about the neighbours that are next hops."""

from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.doctor.shell_commands import few
from podroutes.model.finding import Finding
from podroutes.model.text import counted, listing

_PODS = 110  # the default maximum of pods on a node (kubelet --max-pods); each is a neighbour


def table_size(context: MachineContext) -> Iterator[Finding]:
    """Find that the neighbour table is too small for all nodes and pods."""
    if context.cluster is None:
        return
    for version, (soonest, soft, hard) in sorted(context.facts.thresholds.items()):
        nodes = {via for node in context.cluster.nodes for via in node.internal_ips if via.version == version}
        needed = len(nodes) + (_PODS if version in context.forwards else 0)
        if needed > soft and nodes:
            key = f"net.ipv{version}.neigh.default.gc_thresh"
            what = "overflows" if needed > hard else "throws live entries away"
            cause = f"the IPv{version} neighbour table {what}: {counted(len(nodes), 'node')} and their pods need {needed} entries"
            evidence = f"ip ntable: gc_thresh1 to 3 = {soonest}, {soft}, {hard}"
            fix = tuple(f"sysctl -w {key}{number}={needed << number}" for number in (3, 2, 1))
            yield Finding("neighbour-table-small", cause, (evidence,), fix)


def silent(context: MachineContext) -> Iterator[Finding]:
    """Find next hops that do not answer ARP or neighbour solicitation."""
    lost = [address for address, macs in sorted(context.answers.items()) if not macs]
    if lost:
        cause = f"{listing([str(address) for address in lost])} {'does' if len(lost) == 1 else 'do'} not answer"
        asked = few(
            [
                f"no answer to {'an ARP request' if address.version == 4 else 'a neighbour solicitation'} for {address}"
                for address in lost
            ]
        )
        yield Finding("next-hop-silent", cause, asked)


def two_macs(context: MachineContext) -> Iterator[Finding]:
    """Find next hops for which two hardware addresses answer."""
    for address, macs in sorted(context.answers.items()):
        if len(macs) > 1 and context.one_machine.get(address, False) is not False:
            whose = (
                "one machine"
                if context.one_machine[address]
                else "one machine with several network cards, or several machines"
            )
            cause = f"{len(macs)} hardware addresses answer for the next hop {address}: {whose}"
            yield Finding("next-hop-arp-flux", cause, tuple(f"{address} is at {mac}" for mac in macs))
        elif len(macs) > 1:
            cause = f"{counted(len(macs), 'machine')} answer for the next hop {address}"
            yield Finding("next-hop-two-macs", cause, tuple(f"{address} is at {mac}" for mac in macs))


def one_mac(context: MachineContext) -> Iterator[Finding]:
    """Find a hardware address that answers for the next hops of several nodes: a router in between, or proxy ARP."""
    if (
        context.cluster is None
    ):  # without an inventory the node of an address is unknown: a node has one of each IP version
        return
    nodes = context.cluster.nodes
    names = {via: node.name for node in nodes for via in node.internal_ips}
    behind: dict[str, dict[str, str]] = {}
    for address, macs in sorted(context.answers.items()):
        if len(macs) == 1:
            behind.setdefault(macs[0], {}).setdefault(names.get(address, str(address)), str(address))
    for mac, neighbours in behind.items():
        if len(neighbours) > 1:
            cause = (
                f"one machine answers for the next hops of {listing(list(neighbours))}: packets for their pods go to it"
            )
            yield Finding(
                "next-hops-one-mac", cause, few([f"{address} is at {mac}" for address in neighbours.values()])
            )
