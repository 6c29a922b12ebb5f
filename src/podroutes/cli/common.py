"""Code shared by the commands: reads the inventory, finds this node, prints."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from podroutes.cli.option_values import MachineOptions, SourceOptions
from podroutes.errors import InventoryError, require_linux
from podroutes.host import terminal
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.plan import Outcome, Plan
from podroutes.model.problem import Problem
from podroutes.views import plan as plan_view
from podroutes.views.style import Style

if TYPE_CHECKING:
    from podroutes.apply.deletion_guard import DeletionGuard
    from podroutes.apply.machine_plan import MachinePlan
    from podroutes.apply.saved_state import RunState
    from podroutes.host.files import HostFiles
    from podroutes.inventory import Inventory
    from podroutes.kernel import Kernel
    from podroutes.model.claims import Claims
    from podroutes.plan.guard import HeldDeletions

LIMITS = {"pod_cidr": "pod_cidrs", "node_cidr": "node_cidrs", "service_cidr": "service_cidrs"}  # fields by option
ELSEWHERE = "/etc/podroutes"  # the directory of files that a remote machine needs at boot
_PATIENCE = 30.0  # seconds for another podroutes to finish: `apply --activate` takes up to 25


class Machine(NamedTuple):
    """A replacement for this machine: a kernel, and a directory with its files."""

    kernel: "Kernel"
    directory: str


MACHINE: ContextVar[Machine | None] = ContextVar("machine", default=None)  # set only by a simulation


class Source(NamedTuple):
    """The inventory of one run, and the claims in it."""

    cluster: Cluster
    claims: "Claims"
    state: "RunState | None" = None  # of this machine, if the inventory was read for it


@contextmanager
def kernel(command: str, instead: str, *, reads: bool = False) -> "Iterator[Kernel]":
    """Open the kernel of this machine for COMMAND, which writes unless it READS. Raises PlatformError, which advises INSTEAD, if it is not Linux."""
    machine = MACHINE.get()
    if machine:
        yield machine.kernel
        return
    require_linux(f"`podroutes {command}` of this machine", instead)
    from podroutes.kernel.netlink import NetlinkKernel  # noqa: PLC0415, what is away from the machine has no use for it

    with NetlinkKernel(reads=reads) as opened:
        yield opened


@contextmanager
def writing(command: str) -> "Iterator[None]":
    """Lock this machine, kernel and files, for COMMAND. Raises LockedError if another podroutes holds the lock too long."""
    if MACHINE.get():
        yield
        return
    from podroutes.host.machine_lock import locked  # noqa: PLC0415, only for what writes

    with locked(command, _PATIENCE, lambda who: print(f"podroutes: waiting for {who}", file=sys.stderr)):
        yield


def root() -> "HostFiles":
    """Return the files of this machine."""
    from podroutes.host.files import HostFiles  # noqa: PLC0415, the same

    machine = MACHINE.get()
    return HostFiles(machine.directory) if machine else HostFiles()


def read_source(options: SourceOptions) -> Source:
    """Read and examine the inventory that the command line names."""
    from podroutes.plan.claims import examine  # noqa: PLC0415, each command loads what it uses

    check_source(options)
    loaded, server = _read(options)
    cluster = limited(loaded.cluster, options)
    return Source(cluster, examine(cluster, loaded.problems), _run_state(options, server))


def _run_state(options: SourceOptions, server: str) -> "RunState | None":
    """Return the state of earlier runs, for a command that keeps state."""
    directory = options.state_dir
    if directory is None:
        return None
    from podroutes.apply.saved_state import RunState  # noqa: PLC0415, only here

    return RunState(directory, server, warn, simulated=MACHINE.get() is not None)


def deletion_guard(options: SourceOptions, source: Source, *, allowed: int = 0) -> "DeletionGuard":
    """Return the mass-delete guard of this run."""
    from podroutes.apply.deletion_guard import DeletionGuard  # noqa: PLC0415, what is away from the machine deletes nothing

    if options.state_dir is None:
        raise ValueError("a command with a guard has --state-dir")
    return DeletionGuard(source.cluster, options.state_dir, allowed, source.state, warn)


def limited(cluster: Cluster, options: SourceOptions) -> Cluster:
    """Return CLUSTER with the limits that the command line sets in place of those of the inventory."""
    given = {field: tuple(getattr(options, option) or ()) for option, field in LIMITS.items()}
    return cluster._replace(**{field: limits for field, limits in given.items() if limits})  # type: ignore[arg-type]


def names_source(options: SourceOptions) -> bool:
    """Return whether the command line names a source of nodes."""
    return any(getattr(options, each) for each in ("inventory", "kubernetes", "kubeconfig", "context"))


def check_source(options: SourceOptions) -> None:
    """Raise InventoryError unless the command line names exactly one source of nodes, a file or a cluster."""
    kubernetes = options.kubernetes
    narrower = next((each for each in ("kubeconfig", "context") if getattr(options, each)), "")
    if options.inventory and (kubernetes or narrower):
        raise InventoryError(
            f"--inventory and --{narrower or 'kubernetes'}: wanted one source of nodes, a file or a cluster"
        )
    if narrower and not kubernetes:
        raise InventoryError(f"--{narrower} without --kubernetes: add that to read the nodes from a cluster")
    if not options.inventory and not kubernetes:
        raise InventoryError(
            "no inventory: name one with -i PATH (or PODROUTES_INVENTORY), - reads standard input; or --kubernetes"
        )


def _read(options: SourceOptions) -> "tuple[Inventory, str]":
    """Return the inventory, and the URL of its API server, "" for a file."""
    if not options.inventory:
        from podroutes import kubernetes  # noqa: PLC0415, loads HTTP and TLS

        access = kubernetes.connect(options.kubeconfig, options.context)
        loaded = kubernetes.load(access, tell=lambda text: print(f"podroutes: {text}", file=sys.stderr))
        return loaded, access.proxy or access.server
    from podroutes import inventory  # noqa: PLC0415, `remove` needs none

    return inventory.load(options.inventory), ""


def own_node(options: SourceOptions, cluster: Cluster, fib: Fib | None = None) -> Node:
    """Return this machine's node; without FIB, by name only."""
    from podroutes.plan.identity import named_node, this_node  # noqa: PLC0415, each command loads what it uses

    addresses = [address.address for address in fib.addresses] if fib else []
    if options.node:
        return named_node(cluster, options.node, addresses)
    return this_node(cluster, os.uname().nodename, addresses)


def command_at_boot(options: SourceOptions, *program: str, node: str) -> tuple[str, ...]:
    """Return the command with which PROGRAM applies the same inventory at boot, from any directory."""
    if options.inventory == "-":
        raise InventoryError("standard input is not there at boot: name the inventory's file with -i PATH")
    return (*program, "apply", *_source_at_boot(options), *_limits(options), "--node", node)


def command_elsewhere(options: SourceOptions, node: str) -> tuple[str, ...]:
    """Return the command for the boot of a remote machine: it has no path of this one, its files are in /etc/podroutes."""
    source: tuple[str, ...] = ("--kubernetes", "--kubeconfig", f"{ELSEWHERE}/kubeconfig")
    if options.inventory:
        name = "inventory" if options.inventory == "-" else os.path.basename(options.inventory)  # noqa: PTH119
        source = ("--inventory", f"{ELSEWHERE}/{name}")
    context = ("--context", options.context) if options.context else ()
    return ("podroutes", "apply", *source, *context, *_limits(options), "--node", node)


def _limits(options: SourceOptions) -> Iterator[str]:
    """Yield the options that set the same limits."""
    for option in LIMITS:
        for limit in getattr(options, option) or ():
            yield from (f"--{option.replace('_', '-')}", str(limit))


def _source_at_boot(options: SourceOptions) -> tuple[str, ...]:
    """Return the options that name the same source of nodes in another directory and without this environment."""
    if options.inventory:
        return "--inventory", os.path.abspath(options.inventory)  # noqa: PTH100
    named = options.kubeconfig or os.environ.get("KUBECONFIG", "")
    if ":" in named:
        raise InventoryError(f"KUBECONFIG names several files ({named}): name one with --kubeconfig for the next boot")
    path = named or os.path.expanduser("~/.kube/config")  # noqa: PTH111
    return (
        "--kubernetes",
        *(("--kubeconfig", os.path.abspath(path)) if named or os.path.exists(path) else ()),  # noqa: PTH100, PTH110
        *(("--context", options.context) if options.context else ()),
    )


def plan_machine(
    options: SourceOptions, wanted: MachineOptions, source: Source, fib: Fib, hold: "HeldDeletions"
) -> "MachinePlan":
    """Return the plan of this machine, kernel and files, for the options of the command line; print what `auto` chose.

    HOLD is the mass-delete guard.
    """
    from podroutes.apply.cni_request import CniRequest  # noqa: PLC0415
    from podroutes.apply.host_request import HostRequest  # noqa: PLC0415
    from podroutes.apply.machine_plan import PlanRequest, plan_machine  # noqa: PLC0415, what is away from the machine has no use for it
    from podroutes.cli.options import MASQUERADE  # noqa: PLC0415, the same
    from podroutes.plan.settle import Context  # noqa: PLC0415, the same

    wanted.check()
    own = own_node(options, source.cluster, fib)
    request = PlanRequest(
        lambda: command_at_boot(options, sys.executable, "-m", "podroutes", node=own.name),
        wanted.persist or "",
        wanted.sysctl,
        wanted.adopt,
        hold,
        wanted.edit_admin_config,
        context=source.state.context(own) if source.state else Context(),
        cni=CniRequest(wanted.cni, wanted.force, chained=wanted.cni_plugins),
        host=HostRequest(MASQUERADE[wanted.masquerade] if wanted.masquerade else None),
        reads=wanted.reads,
    )
    machine_plan = plan_machine(source.claims, own, fib, root(), request)
    if machine_plan.why:
        chosen = f" is {machine_plan.backend}" if machine_plan.backend else ""
        print(f"podroutes: --persist {request.backend}{chosen}: {machine_plan.why}", file=sys.stderr)
    return machine_plan


def say_offered(machine_plan: "MachinePlan") -> None:
    """Print to standard error the edit of the administrator's files that would move their routes to podroutes."""
    if machine_plan.offered:
        sys.stdout.flush()
        print(
            "podroutes: --adopt --edit-admin-config moves these routes over to a file of podroutes by this edit:",
            file=sys.stderr,
        )
    for change in machine_plan.offered:
        for line in plan_view.edit(change, style(sys.stderr)):
            print(f"  {line}", file=sys.stderr)


def style(stream: TextIO) -> Style:
    """Return the style of text on STREAM."""
    return Style(terminal.takes_colour(stream))


def say(lines: Iterable[str]) -> None:
    """Print LINES one by one."""
    for line in lines:
        print(line)


def warn(text: str) -> None:
    """Print TEXT to standard error as a warning."""
    print(f"podroutes: {text}", file=sys.stderr)


def say_plan(plan: Plan) -> None:
    """Print a plan that is not carried out: its changes and a summary."""
    if plan.pending or plan.held or plan.kept:
        say(plan_view.changes(plan, style(sys.stdout)))
        say(plan_view.kept(plan, style(sys.stdout)))
        print()
    print(plan_view.summary(plan))


def say_failures(outcome: Outcome) -> None:
    """Print failed changes with reasons to standard error."""
    sys.stdout.flush()
    for line in plan_view.failures(outcome, style(sys.stderr)):
        print(line, file=sys.stderr)


def say_problems(problems: Sequence[Problem]) -> None:
    """Print problems to standard error, after flushing standard output."""
    sys.stdout.flush()
    for line in plan_view.problems(problems, style(sys.stderr)):
        print(line, file=sys.stderr)


def say_document(document: Any, output: str) -> None:
    """Print DOCUMENT as OUTPUT, ``json`` or ``yaml``; JSON is indented for a terminal, in one line for a pipe."""
    from podroutes.views import documents  # noqa: PLC0415, each command loads what it uses

    shown = {"apiVersion": documents.API_VERSION, **document} if isinstance(document, dict) else document
    print(
        documents.text(
            shown, output, indent=2 if sys.stdout.isatty() else None, ascii_only=not terminal.is_unicode(sys.stdout)
        )
    )
