"""Examines a machine: takes facts and returns findings. A new finding is a function here and a row in its table."""

from collections.abc import Callable, Iterable, Iterator

from podroutes.doctor import (
    addresses,
    cni,
    environment,
    filtering,
    forwarding,
    managers,
    neighbours,
    routes,
    rules,
    services,
)
from podroutes.doctor.context import MachineContext
from podroutes.model.finding import Finding, Repair

_GRAVITY = ("error", "warning", "info")

FINDERS: tuple[Callable[[MachineContext], Iterator[Finding]], ...] = (
    rules.takers,
    forwarding.ra_default_route,
    forwarding.ipv4_forwarding,
    forwarding.ipv6_forwarding,
    forwarding.reverse_path,
    forwarding.neighbours_dropped,
    filtering.forward_chains,
    addresses.ipv6_disabled,
    addresses.duplicates,
    environment.internal_ip,
    addresses.shared,
    cni.subnet,
    cni.bridge,
    cni.masquerade,
    cni.masquerade_table,
    cni.plugins,
    cni.full,
    cni.connected_twice,
    cni.too_wide,
    cni.mtu,
    services.cni_missing,
    services.cni_several,
    services.kube_proxy,
    services.bridge_filter,
    routes.missing,
    routes.strangers,
    routes.split,
    routes.without_carrier,
    routes.off_link,
    neighbours.silent,
    neighbours.two_macs,
    neighbours.one_mac,
    neighbours.table_size,
    managers.networkd_deletes,
    managers.networkd_unreadable,
    managers.unmanaged,
    managers.managed_twice,
    managers.not_restored,
    environment.cloud,
    environment.protocol_name,
)


def examine(context: MachineContext) -> tuple[Finding, ...]:
    """Return all findings about CONTEXT, most severe first, otherwise in the order of FINDERS."""
    elsewhere = tuple(addresses.another_network(context))
    if elsewhere:  # other findings would not be about this machine
        return elsewhere
    findings = [finding for find in FINDERS for finding in find(context)]
    return tuple(sorted(findings, key=lambda finding: _GRAVITY.index(finding.kind.severity)))


def repairs(findings: Iterable[Finding]) -> list[tuple[Finding, Repair]]:
    """Return the safe repairs for FINDINGS, in a safe order: a default route must be kept before forwarding is enabled."""
    pairs = [(finding, repair) for finding in findings for repair in finding.repairs]
    return sorted(pairs, key=lambda each: "accept_ra" not in each[1].sysctl)
