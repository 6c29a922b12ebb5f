"""Whether a network manager of this machine works against our routes."""

import shlex
from collections.abc import Iterator

from podroutes.doctor.context import Patient
from podroutes.doctor.messages import apply, counted, described, few
from podroutes.model.finding import Finding


def networkd_deletes(patient: Patient) -> Iterator[Finding]:
    """Find devices of systemd-networkd with routes of ours that stand in none of its files."""
    managers = patient.facts.managers
    if managers.keeps_foreign_routes:
        return
    for dev, link in managers.networkd.items():
        lost = [route for route in patient.ours if route.dev == dev and route.dst not in link.routes]
        if lost:
            yield Finding(
                "networkd-deletes-routes",
                f"systemd-networkd manages {dev} and removes {counted(len(lost), 'route')} of ours when it restarts or reconfigures it",
                few([f"not in {link.file} nor its drop-ins: {described(route)}" for route in lost]),
                (apply(patient.cluster, "--persist", "networkd"),),
            )


def networkd_unreadable(patient: Patient) -> Iterator[Finding]:
    """Find files of networkd's configuration that its user may not read."""
    found = patient.facts.managers.unreadable
    if found:
        cause = f"systemd-networkd ignores {counted(len(found), 'file')} that it may not read"
        evidence = few([f"{path}: mode {mode:04o}" for path, mode in found])
        yield Finding(
            "networkd-file-unreadable", cause, evidence, tuple(f"chmod a+r {shlex.quote(path)}" for path, _ in found)
        )


def unmanaged(patient: Patient) -> Iterator[Finding]:
    """Find that a manager runs, but none knows the device towards the other nodes."""
    managers = patient.facts.managers
    for dev in _uplinks(patient):
        if managers.running and not managers.claims.get(dev):
            cause = f"{dev} is configured by none of the network managers that run here"
            yield Finding(
                "interface-unmanaged",
                cause,
                tuple(f"{name} runs and does not manage {dev}" for name in managers.running),
            )


def managed_twice(patient: Patient) -> Iterator[Finding]:
    """Find that two managers know the device towards the other nodes."""
    for dev in _uplinks(patient):
        claims = patient.facts.managers.claims.get(dev, ())
        if len(claims) > 1:
            cause = f"{dev} is managed by {' and by '.join(name for name, _ in claims)}"
            yield Finding("interface-managed-twice", cause, tuple(f"{name}: {evidence}" for name, evidence in claims))


def _uplinks(patient: Patient) -> list[str]:
    return list(dict.fromkeys(dev for version in (4, 6) for dev in patient.uplinks(version)))
