"""Findings about the Kubernetes services of a node: the CNI configuration, kube-proxy, and what kube-proxy needs."""

import shlex
from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.model.finding import Finding
from podroutes.model.machine_facts import CniNetwork

_PLACE = "/etc/cni/net.d"


def cni_missing(context: MachineContext) -> Iterator[Finding]:
    """Find a kubelet whose container runtime has no CNI configuration."""
    if context.facts.kubelet and not context.facts.cni_files:
        evidence = (context.facts.kubelet, f"{_PLACE}: no file that describes a network")
        yield Finding("cni-missing", f"there is a kubelet, and {_PLACE} describes no network for its pods", evidence)


def cni_several(context: MachineContext) -> Iterator[Finding]:
    """Find that the CNI configuration in use does not match this machine, while another file does."""
    if not context.facts.cni_files:
        return
    used, *others = context.facts.cni_files
    better = next((other for other in others if other.networks and _fits(context, other.networks)), None)
    if better and not _fits(context, used.networks):
        path = used.path
        cause = f"{path} is in use, as the first by name, and {better.path}, which fits this machine, is not"
        plugins = (plugin for each in (used, better) for plugin in each.networks)
        evidence = tuple(
            f"{network.path}: plugin {network.plugin}, bridge {network.bridge or '-'}" for network in plugins
        )
        yield Finding("cni-several", cause, evidence, (f"mv {shlex.quote(path)} {shlex.quote(path)}.unused",))


def _fits(context: MachineContext, networks: tuple[CniNetwork, ...]) -> bool:
    """Return whether NETWORKS match this machine: their bridge exists, and their addresses are inside its podCIDRs."""
    bridges = [network.bridge for network in networks if network.bridge]
    subnets = [subnet for network in networks for subnet in network.subnets]
    here = all(bridge in context.facts.devices for bridge in bridges)
    right = not context.own_cidrs or all(any(cidr.covers(subnet) for cidr in context.own_cidrs) for subnet in subnets)
    return here and right


def kube_proxy(context: MachineContext) -> Iterator[Finding]:
    """Find a kubelet without kube-proxy or a replacement."""
    if not context.facts.kubelet or context.facts.service_proxy:
        return
    if any(chain.name.startswith("KUBE-SERVICES") or "kube-proxy" in chain.table for chain in context.facts.chains):
        return
    evidence = (context.facts.kubelet, "/proc/*/comm: no kube-proxy", "packet filter: no chain KUBE-SERVICES")
    yield Finding("kube-proxy-absent", "there is a kubelet, and no kube-proxy: pods here reach no service", evidence)


def bridge_filter(context: MachineContext) -> Iterator[Finding]:
    """Find that packets between ports of the pod bridge bypass the rules of kube-proxy."""
    off = context.facts.bridge_filter_off
    if off and context.facts.service_proxy == "kube-proxy" and context.bridges:
        cause = f"answers between pods of {context.bridges[0]} pass by the rules of kube-proxy, and keep the wrong source address"
        fix = ("modprobe br_netfilter", "sysctl -w net.bridge.bridge-nf-call-iptables=1")
        yield Finding("bridge-filter-off", cause, (off,), fix)
