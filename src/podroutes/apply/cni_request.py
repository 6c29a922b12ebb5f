"""What the user asked for about the CNI configuration, and what follows from it. Cheap to import: most machines have none of ours."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.host.files import HostFiles
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import File
from podroutes.model.problem import Problem
from podroutes.persist.system_files import CNI, CNI_LOOPBACK


class CniRequest(NamedTuple):
    """What becomes of the CNI configuration.

    ``wanted`` is whether it was requested; otherwise only present files are updated. ``force`` changes podCIDRs although pods have
    other addresses. ``insist`` is whether it is an error if a requested file cannot be written, and not only a problem. ``chained`` are the plugins behind the bridge, None: portmap where the machine has it, and those that there are. ``keep`` leaves present files as they are, for a machine whose pods and plugins are not known here.
    """

    wanted: bool = False
    force: bool = False
    keep: bool = False
    insist: bool = True
    chained: tuple[str, ...] | None = None


class CniFiles(NamedTuple):
    """The files that the machine should have, problems, and the addresses in use that host-local has to know."""

    files: tuple[File, ...] = ()
    problems: tuple[Problem, ...] = ()
    leases: tuple[File, ...] = ()


def cni_configuration(root: HostFiles, own: Node, fib: Fib, there: Mapping[str, File], request: CniRequest) -> CniFiles:
    """Return the CNI files that the machine should have, leases to copy, and problems. THERE are its present files. Raises as ``cni_files`` does."""
    if not request.wanted and CNI not in there:
        return CniFiles()
    if request.keep:
        return CniFiles(present_files(there))
    from podroutes.apply.cni_files import cni_files  # noqa: PLC0415, most machines have no CNI configuration of ours

    return cni_files(root, own, fib, there, request)


def present_files(there: Mapping[str, File]) -> tuple[File, ...]:
    """Return the CNI files among THERE, the present files by path."""
    return tuple(file for path, file in there.items() if path in (CNI, CNI_LOOPBACK))
