"""The examination of a machine: facts in, findings out. Adding a finding is adding a function here and a row to its table."""

from collections.abc import Callable, Iterable, Iterator

from podroutes.doctor import cni, environment, filtering, forwarding, managers, neighbours, routes
from podroutes.doctor.context import MachineContext
from podroutes.model.finding import Finding, Repair

_GRAVITY = ("error", "warning", "info")

FINDERS: tuple[Callable[[MachineContext], Iterator[Finding]], ...] = (
    forwarding.ra_default_route,
    forwarding.ipv4_forwarding,
    forwarding.ipv6_forwarding,
    forwarding.reverse_path,
    filtering.forward_chains,
    environment.internal_ip,
    cni.subnet,
    cni.bridge,
    cni.masquerade,
    cni.mtu,
    routes.strangers,
    routes.split,
    routes.without_carrier,
    routes.off_link,
    neighbours.silent,
    neighbours.two_macs,
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
    """Return all that is wrong with CONTEXT, the gravest first, else in the order of FINDERS."""
    found = [finding for find in FINDERS for finding in find(context)]
    return tuple(sorted(found, key=lambda finding: _GRAVITY.index(finding.kind.severity)))


def repairs(findings: Iterable[Finding]) -> list[tuple[Finding, Repair]]:
    """Return what is safe to do about FINDINGS, in a safe order: a default route has to be kept before forwarding drops it."""
    found = [(finding, repair) for finding in findings for repair in finding.repairs]
    return sorted(found, key=lambda each: "accept_ra" not in each[1].sysctl)
