"""``podroutes agent``."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from podroutes.agent.log import Log, standard_error
from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.service import AgentOptions, keep_routes
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.source import FileSource, Publish, Report, Source
from podroutes.apply.saved_state import load_routes
from podroutes.cli import common, options
from podroutes.cli.option_values import SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.cli.privilege import require_net_admin
from podroutes.errors import AgentError, InventoryError, KernelError, require_linux
from podroutes.host.dependencies import read_dependencies
from podroutes.host.files import HostFiles
from podroutes.kernel.filter_watch import FilterWatch
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelWatch
from podroutes.model.listening import parse_listen
from podroutes.model.masquerade import TABLE
from podroutes.model.saved_route import SavedRoute
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard

_DESCRIPTION = """\
Keep this machine's routes as the cluster wants them, until SIGTERM: when nodes join, leave or change their address, when
somebody deletes a route, when a link flaps, when the API server or the inventory cannot be read. Ending it leaves the routes
where they are; `podroutes remove` takes them back. Needs CAP_NET_ADMIN.

Where the routes of more than one node, and of them more than a third, would go within ten minutes because no listed node has
their podCIDR any more, they are held until the nodes return, the API server has made sure of it, or `podroutes confirm`. The
last good state is kept in --state-dir and made routes of before the source answers.

signals: SIGTERM and SIGINT end it, SIGHUP asks the source and the kernel again
exit status: 0 ended by a signal, 1 error
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.state(parser)
    options.listen(parser, "serve /livez, /readyz, /metrics and /status there; none: nowhere")
    parser.add_argument(
        "--resync",
        metavar="SECONDS",
        type=float,
        default=300.0,
        help="compare everything at least so often (default 300)",
    )
    options.mass_delete(parser)
    options.cni(parser, force=False)
    options.masquerade(parser)
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    parser.add_argument(
        "--set-condition",
        action="store_true",
        help="with --kubernetes: keep the condition NetworkUnavailable of this node, unless it is somebody else's",
    )
    parser.add_argument(
        "--events", action="store_true", help="with --kubernetes: an Event for each problem of this node"
    )
    parser.add_argument(
        "--log", choices=("auto", "text", "json"), default="auto", help="text for a terminal (auto), else JSON lines"
    )


class Options(NamedTuple):
    """What the user wants of ``agent``."""

    source: SourceOptions
    state_dir: str
    listen: str
    resync: float
    allow_mass_delete: int = 0
    adopt: bool = False
    set_condition: bool = False
    events: bool = False
    log: str = "auto"
    cni: bool = False
    masquerade: str | None = None
    cni_plugins: tuple[str, ...] | None = None


def run(arguments: argparse.Namespace) -> int:
    """Keep the routes until a signal ends it."""
    try:
        return _run(read(Options, arguments))
    except _EndedError:
        return 0


class _EndedError(BaseException):
    """A signal arrived before the loop started, or after it ended."""


def _ended(_number: int, _frame: object) -> None:
    raise _EndedError


def _run(wanted: Options) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the source is about to be read anyway
    require_linux("`podroutes agent`", "it runs on each node; `podroutes push apply` changes the nodes over SSH")
    gc.enable()  # unlike other commands this one runs for long
    if wanted.resync <= 0:
        raise AgentError(f"--resync {wanted.resync:g}: wanted a number of seconds greater than 0")
    common.check_source(wanted.source)
    require_net_admin()
    if wanted.listen != "none":
        parse_listen(wanted.listen, ", or none")  # fail before anything is opened
    with (
        Log(standard_error(), wanted.log) as log,
        NetlinkKernel() as kernel,
        NetlinkKernel() as aside,
        KernelWatch(kernel.port, aside.port) as watch,
        ExitStack() as stack,
    ):
        guard = MassDeleteGuard(allowed=wanted.allow_mass_delete)
        machine = Machine(kernel, _settings(wanted, log), guard, FlapDamping(), aside)
        parts = _agent_options(wanted, log)._replace(
            filters=_filters(stack, log), between=lambda do: setattr(kernel, "between", do)
        )
        keep_routes(machine, watch, log, parts)
    return 0


def _filters(stack: ExitStack, log: Log) -> FilterWatch | None:
    """Return what hears of changes of the masquerade table, None where the kernel has no nftables."""
    try:
        return stack.enter_context(FilterWatch(TABLE))
    except KernelError as error:
        log("info", "changes of the packet filter are not heard", error=str(error))
        return None


def _settings(wanted: Options, log: Log) -> Settings:
    def command(node: str) -> tuple[str, ...]:
        return common.command_at_boot(wanted.source, sys.executable, "-m", "podroutes", node=node)

    def stood(node: str) -> tuple[SavedRoute, ...]:
        return load_routes(wanted.state_dir, node, lambda error: log("warning", "state not used", error=error))

    server = ""
    if wanted.source.kubernetes:
        from podroutes.kubernetes import connect  # noqa: PLC0415, loads HTTP and TLS

        access = connect(wanted.source.kubeconfig, wanted.source.context)
        server = access.proxy or access.server
    settings = Settings(HostFiles(), os.uname().nodename, wanted.source.node or "", command, wanted.adopt, saved=stood)
    versions = options.MASQUERADE[wanted.masquerade] if wanted.masquerade else None
    return settings._replace(
        dependencies=lambda: read_dependencies(server),
        cni=wanted.cni,
        cni_plugins=wanted.cni_plugins,
        masquerade=versions,
    )


def _agent_options(wanted: Options, log: Log) -> AgentOptions:
    listen = "" if wanted.listen == "none" else wanted.listen
    agent_options = AgentOptions(_file(wanted), Path(wanted.state_dir), listen, wanted.resync)
    telling = wanted.events or wanted.set_condition
    if not wanted.source.kubernetes:
        if telling:
            raise AgentError("--events and --set-condition tell a cluster: they go with --kubernetes")
        if wanted.source.inventory == "-":
            raise InventoryError("standard input cannot be read twice: name the inventory's file with -i PATH")
        return agent_options
    from podroutes.agent.event_recorder import EventOptions, EventRecorder  # noqa: PLC0415
    from podroutes.agent.kubernetes_source import KubernetesSource  # noqa: PLC0415, loads HTTP and TLS
    from podroutes.kubernetes import connect  # noqa: PLC0415

    access = connect(wanted.source.kubeconfig, wanted.source.context)
    agent_options = agent_options._replace(
        source=lambda publish, report: KubernetesSource(access, _within_limits(publish, wanted), report)
    )
    if not telling:
        return agent_options
    return agent_options._replace(
        tell=EventRecorder(access, EventOptions(wanted.events, wanted.set_condition), log).tell
    )


def _file(wanted: Options) -> Callable[[Publish, Report], Source]:
    return lambda publish, report: FileSource(wanted.source.inventory or "", _within_limits(publish, wanted), report)


def _within_limits(publish: Publish, wanted: Options) -> Publish:
    """Return a function that publishes snapshots with the limits of the command line."""

    def limited(view: NodeSnapshot) -> None:
        inventory = view.inventory
        cluster = common.limited(inventory.cluster, wanted.source)
        publish(view._replace(inventory=inventory._replace(cluster=cluster)))

    return limited
