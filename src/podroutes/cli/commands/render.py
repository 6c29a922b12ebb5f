"""``podroutes render``."""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

from podroutes.cli import common, options
from podroutes.cli.option_values import SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.errors import PodroutesError
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import File
from podroutes.model.plan import Plan
from podroutes.model.text import escaped, printable
from podroutes.plan.claims import Claims
from podroutes.plan.identity import this_node
from podroutes.plan.onlink import OnLink
from podroutes.plan.planning import plan_empty, plan_remote
from podroutes.views import iproute, routers, terraform
from podroutes.views.routers import PodRoute, Target

TARGETS: dict[str, Target] = {
    **routers.TARGETS,
    "terraform-google": terraform.google,
    "terraform-aws": terraform.aws,
}
_DESCRIPTION = """\
Print the configuration that gives a node its routes, for use away from it. Touches nothing and needs no privileges.

exit status: 0 complete, 1 error (also when a podCIDR had to be left out; standard error says which)
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    formats = f"ip (commands for a shell), cni (the CNI configuration), {', '.join(BACKENDS)}; for a router: {', '.join(TARGETS)}"
    parser.add_argument("format", metavar="FORMAT", choices=("ip", "cni", *BACKENDS, *TARGETS), help=formats)
    options.source(parser)
    options.interface(parser)
    parser.add_argument("--all", action="store_true", help="for every node")
    parser.add_argument(
        "--directory", metavar="DIR", help="with --all: write a file for each node there instead of printing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the configuration of one node, or write that of all nodes; 0 complete, 1 something was left out."""
    wanted = read(SourceOptions, arguments)
    source = common.read_source(wanted)
    if arguments.directory and not arguments.all:
        raise PodroutesError("--directory goes with --all; for one node redirect the output")
    if arguments.format in TARGETS:
        return _router(arguments, source.claims)
    here = _Here.find(source.cluster)
    nodes = source.cluster.nodes if arguments.all else (_chosen(wanted, source.cluster, here),)
    problems = dict.fromkeys(source.claims.problems)
    for node in dict.fromkeys(nodes):
        plan = here.plan(source.claims, node, arguments.interface)
        problems |= dict.fromkeys(plan.problems)
        files = (
            _cni(node) if arguments.format == "cni" else _files(arguments.format, plan, wanted, away=node != here.node)
        )
        if arguments.directory:
            _write(Path(arguments.directory), node.name, files)
        else:
            _print(files, node.name if arguments.all else "")
    common.say_problems(list(problems))
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def _router(arguments: argparse.Namespace, claims: Claims) -> int:
    """Print all routes of the cluster for a machine that is not one of its nodes; 0 complete, 1 something was left out."""
    if arguments.node or arguments.all or arguments.interface:
        raise PodroutesError(
            f"render {arguments.format} prints all routes, for a router: leave out --node, --all and --interface"
        )
    plan = plan_remote(claims, Node("a router")).plan
    if not plan.changes:
        common.say_problems(plan.problems)
        raise PodroutesError("there is no route to print")
    routes = [
        PodRoute(change.route.dst, change.route.via, change.node or "") for change in plan.changes if change.route.via
    ]
    complete = not any(problem.severity == "error" for problem in plan.problems)
    common.say(TARGETS[arguments.format](routes, complete=complete))
    common.say_problems(plan.problems)
    return 0 if complete else 1


class _Here(NamedTuple):
    """This machine's node and tables; empty if it is not a node, or not Linux."""

    node: Node | None = None
    fib: Fib | None = None

    @classmethod
    def find(cls, cluster: Cluster) -> "_Here":
        """Find this machine among the nodes of CLUSTER."""
        from podroutes.kernel.netlink import NetlinkKernel  # noqa: PLC0415, fails where there is no rtnetlink

        try:
            with NetlinkKernel() as kernel:
                fib = kernel.snapshot()
            return cls(this_node(cluster, os.uname().nodename, [address.address for address in fib.addresses]), fib)
        except (PodroutesError, AttributeError):
            return cls()

    def plan(self, claims: Claims, node: Node, interface: str | None) -> Plan:
        """Return the plan of NODE as if it had no routes; with the devices of this machine if NODE is this one."""
        if self.fib and node == self.node and not (interface or node.interface):
            return plan_empty(claims, node, OnLink(self.fib)).plan
        return plan_remote(claims, node, interface).plan


def _chosen(wanted: SourceOptions, cluster: Cluster, here: _Here) -> Node:
    return here.node if here.node and not wanted.node else common.own_node(wanted, cluster)


def _cni(node: Node) -> tuple[File, ...]:
    """Return the CNI configuration of NODE, without what depends on the machine: the MTU, and whether it has portmap."""
    from podroutes.persist.cni_config import render  # noqa: PLC0415, for this format only

    if not node.pod_cidrs:
        return ()
    return render(node.pod_cidrs, mtu=0, chained=("portmap",))


def _files(form: str, plan: Plan, wanted: SourceOptions, *, away: bool) -> tuple[File, ...]:
    if form == "ip":
        return (File("", iproute.script(plan)),)
    from podroutes.persist.remote import remote_files  # noqa: PLC0415, commands for a shell do without

    if away:
        return remote_files(form, plan, common.command_elsewhere(wanted, plan.node))
    command = common.command_at_boot(wanted, sys.executable, "-m", "podroutes", node=plan.node)
    return remote_files(form, plan, command)


def _print(files: tuple[File, ...], node: str) -> None:
    """Print one file as it is, and several with a line before each that has its name, and the node's if there are several."""
    if node:
        sys.stdout.write(f"---\n# {escaped(node)}\n")
    for file in files:
        sys.stdout.write(file.text if len(files) == 1 else f"# {file.path}\n{file.text}\n")


def _write(directory: Path, name: str, files: tuple[File, ...]) -> None:
    """Write commands to DIRECTORY/NAME.sh, and files to their paths below DIRECTORY/NAME."""
    from podroutes.host.atomic_write import write_whole  # noqa: PLC0415, printing does without

    if not name.isprintable() or "/" in name or name in {".", ".."}:
        raise PodroutesError(f"node name {printable(name)} cannot be a file name; render it alone with --node")
    for file in files:
        path = directory / (f"{name}{file.path}" if file.path else f"{name}.sh")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.text, mode=file.mode)
        except OSError as error:
            raise PodroutesError(f"{path}: {error.strerror}") from error
        print(path)
