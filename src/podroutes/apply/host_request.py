"""What the user asked for about host settings, and what follows from it. Cheap to import: most machines have none of ours."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from podroutes.host.files import HostFiles
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.host_change import HostChange
from podroutes.model.persisted import File, PersistedRoute
from podroutes.model.problem import Problem
from podroutes.persist.system_files import FORWARDING, MASQUERADE, MASQUERADE_UNIT, MASQUERADE_WANTS

if TYPE_CHECKING:
    from podroutes.persist.masquerade_table import LiveTable


class HostRequest(NamedTuple):
    """What becomes of host settings.

    ``masquerade`` are the IP versions to masquerade, () for none; None: as our file says. ``persistent`` is whether that is written
    down for the next boot. ``sysctl`` is whether the sysctls that pods need are requested; otherwise a present file is kept up to date.
    ``table`` reads the live table. ``keep`` leaves everything as it is, for a machine that cannot be asked.
    """

    masquerade: tuple[int, ...] | None = None
    persistent: bool = True
    sysctl: bool = False
    table: "Callable[[HostFiles], LiveTable | None] | None" = None
    keep: bool = False

    @property
    def wanted(self) -> bool:
        """Whether anything is asked for besides what the machine has already."""
        return self.masquerade is not None or self.sysctl


class HostState(NamedTuple):
    """The machine that is planned for. ``routes`` are ours after the plan, ``present`` our present files by path."""

    root: HostFiles
    own: Node
    cluster: Cluster
    fib: Fib
    routes: Sequence[PersistedRoute]
    present: Mapping[str, File]
    bridged: bool = False  # pods are on a bridge of ours


class HostSettings(NamedTuple):
    """The files that the machine should have, the changes of its state, and problems."""

    files: tuple[File, ...] = ()
    forwarding: File | None = None
    changes: tuple[HostChange, ...] = ()
    problems: tuple[Problem, ...] = ()


def host_settings(state: HostState, request: HostRequest) -> HostSettings:
    """Return the settings for the machine of STATE. Raises PersistError if what was requested cannot be."""
    masquerade = request.masquerade is not None or MASQUERADE in state.present
    sysctl = request.sysctl or FORWARDING in state.present
    if not (masquerade or sysctl):
        return HostSettings()
    from podroutes.apply.host_settings import sysctls, table  # noqa: PLC0415, most machines have no settings of ours

    first = sysctls(state, request) if sysctl else HostSettings()
    second = table(state, request) if masquerade else HostSettings()
    return HostSettings(
        (*first.files, *second.files),
        first.forwarding,
        (*first.changes, *second.changes),
        (*first.problems, *second.problems),
    )


def present_files(present: Mapping[str, File]) -> tuple[File, ...]:
    """Return the files of the masquerade table among PRESENT."""
    return tuple(file for path, file in present.items() if path in (MASQUERADE, MASQUERADE_UNIT, MASQUERADE_WANTS))
