"""Findings about network managers that affect our routes."""

import shlex
from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.doctor.shell_commands import apply, described, few
from podroutes.model.finding import Finding
from podroutes.model.text import counted


def networkd_deletes(context: MachineContext) -> Iterator[Finding]:
    """Find devices of systemd-networkd with routes of ours that are in none of its files."""
    managers = context.facts.managers
    if managers.keeps_foreign_routes:
        return
    for dev, link in managers.networkd.items():
        lost = [route for route in context.ours if route.dev == dev and route.dst not in link.routes]
        if lost:
            yield Finding(
                "networkd-deletes-routes",
                f"systemd-networkd manages {dev} and removes {counted(len(lost), 'route')} of ours when it restarts or reconfigures it",
                few([f"not in {link.file} nor its drop-ins: {described(route)}" for route in lost]),
                (apply(context.cluster, "--persist", "networkd"),),
            )


def networkd_unreadable(context: MachineContext) -> Iterator[Finding]:
    """Find networkd configuration files that its user cannot read."""
    unreadable = context.facts.managers.unreadable
    if unreadable:
        cause = f"systemd-networkd ignores {counted(len(unreadable), 'file')} that it may not read"
        evidence = few([f"{path}: mode {mode:04o}" for path, mode in unreadable])
        yield Finding(
            "networkd-file-unreadable",
            cause,
            evidence,
            tuple(f"chmod a+r {shlex.quote(path)}" for path, _ in unreadable),
        )


def unmanaged(context: MachineContext) -> Iterator[Finding]:
    """Find that a manager runs, but none manages the device towards the other nodes."""
    managers = context.facts.managers
    for dev in _uplinks(context):
        if managers.running and not managers.claims.get(dev):
            cause = f"{dev} is configured by none of the network managers that run here"
            yield Finding(
                "interface-unmanaged",
                cause,
                tuple(f"{name} runs and does not manage {dev}" for name in managers.running),
            )


def managed_twice(context: MachineContext) -> Iterator[Finding]:
    """Find that two managers claim the device towards the other nodes."""
    for dev in _uplinks(context):
        claims = context.facts.managers.claims.get(dev, ())
        if len(claims) > 1:
            cause = f"{dev} is managed by {' and by '.join(name for name, _ in claims)}"
            yield Finding("interface-managed-twice", cause, tuple(f"{name}: {evidence}" for name, evidence in claims))


def not_restored(context: MachineContext) -> Iterator[Finding]:
    """Find files of ours that have no effect at the next boot."""
    for why in context.not_restored:
        yield Finding(
            "routes-not-restored",
            "the next boot does not bring our routes back, although they are written down",
            (why,),
        )


def _uplinks(context: MachineContext) -> list[str]:
    return list(dict.fromkeys(dev for version in (4, 6) for dev in context.uplinks(version)))
