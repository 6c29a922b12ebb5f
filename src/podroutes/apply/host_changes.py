"""Carries out the changes of a machine besides routes and files: sysctls, kernel modules and the masquerade table."""

from collections.abc import Iterable

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.host.sysctls import set_sysctl
from podroutes.model.host_change import HostChange, HostResult
from podroutes.model.text import escaped
from podroutes.persist.system_files import sysctl_path


def carry_out(root: HostFiles, changes: Iterable[HostChange]) -> tuple[HostResult, ...]:
    """Carry out CHANGES in order; one that fails does not stop the others."""
    return tuple(HostResult(change, _failure(root, change)) for change in changes)


def undoing(results: Iterable[HostResult]) -> list[HostChange]:
    """Return the changes that take back the sysctls that RESULTS have set, and the table that they have created."""
    made = [result.change for result in results if result.failure is None]
    sysctls = [change for change in made if change.kind == "sysctl" and change.was]
    tables = [change.name for change in made if (change.kind, change.action) == ("nftables", "create")]
    return [
        *(HostChange("sysctl", "set", change.name, f"= {change.was}", change.was, change.value) for change in sysctls),
        *(HostChange("nftables", "delete", name, "", f"delete table {name}\n") for name in tables),
    ]


def _failure(root: HostFiles, change: HostChange) -> str | None:
    if change.kind == "sysctl":
        return _set(root, change)
    words = ("modprobe", change.name) if change.kind == "module" else ("nft", "-f", "-")
    try:
        done = root.run(words, change.value)
    except PersistError as error:
        return str(error)
    if done is None:
        return f"{words[0]} is not installed"
    status, text = done
    if not status:
        return None
    return escaped(text.partition("\n")[0]) or f"{words[0]} failed with status {status}"


def _set(root: HostFiles, change: HostChange) -> str | None:
    try:
        set_sysctl(root, sysctl_path(change.name), change.value)
    except OSError as error:
        return error.strerror or str(error)
    return None
