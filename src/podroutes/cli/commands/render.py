"""``podroutes render``."""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

from podroutes.cli import common, options
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
from podroutes.views import iproute

_DESCRIPTION = """\
Print the configuration that gives a node its routes, for use away from it. Touches nothing and needs no privileges.

exit status: 0 complete, 1 error (also when a podCIDR had to be left out; standard error says which)
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    formats = f"ip (commands for a shell), cni (the CNI configuration), {', '.join(BACKENDS)}"
    parser.add_argument("format", metavar="FORMAT", choices=("ip", "cni", *BACKENDS), help=formats)
    options.source(parser)
    options.interface(parser)
    parser.add_argument("--all", action="store_true", help="for every node")
    parser.add_argument(
        "--directory", metavar="DIR", help="with --all: write a file for each node there instead of printing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the configuration of one node, or write that of all nodes; 0 complete, 1 something was left out."""
    source = common.read_source(arguments)
    if arguments.directory and not arguments.all:
        raise PodroutesError("--directory goes with --all; for one node redirect the output")
    here = _Here.find(source.cluster)
    nodes = source.cluster.nodes if arguments.all else (_chosen(arguments, source.cluster, here),)
    problems = dict.fromkeys(source.claims.problems)
    for node in dict.fromkeys(nodes):
        plan = here.plan(source.claims, node, arguments.interface)
        problems |= dict.fromkeys(plan.problems)
        files = _cni(node) if arguments.format == "cni" else _files(plan, arguments, away=node != here.node)
        if arguments.directory:
            _write(Path(arguments.directory), node.name, files)
        else:
            _print(files, node.name if arguments.all else "")
    common.say_problems(list(problems))
    return 1 if any(problem.severity == "error" for problem in problems) else 0


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
            return cls(this_node(cluster, os.uname().nodename, [each.address for each in fib.addresses]), fib)
        except (PodroutesError, AttributeError):
            return cls()

    def plan(self, claims: Claims, node: Node, interface: str | None) -> Plan:
        """Return the plan of NODE as if it had no routes; with the devices of this machine if NODE is this one."""
        if self.fib and node == self.node and not (interface or node.interface):
            return plan_empty(claims, node, OnLink(self.fib)).plan
        return plan_remote(claims, node, interface).plan


def _chosen(arguments: argparse.Namespace, cluster: Cluster, here: _Here) -> Node:
    return here.node if here.node and not arguments.node else common.own_node(arguments, cluster)


def _cni(node: Node) -> tuple[File, ...]:
    """Return the CNI configuration of NODE, without what depends on the machine: the MTU, and whether it has portmap."""
    from podroutes.persist.cni_config import render  # noqa: PLC0415, for this format only

    if not node.pod_cidrs:
        return ()
    return render(node.pod_cidrs, mtu=0, portmap=True)


def _files(plan: Plan, arguments: argparse.Namespace, *, away: bool) -> tuple[File, ...]:
    if arguments.format == "ip":
        return (File("", iproute.script(plan)),)
    from podroutes.persist.remote import remote_files  # noqa: PLC0415, commands for a shell do without

    if away:
        return remote_files(arguments.format, plan, common.command_elsewhere(arguments, plan.node))
    command = common.command_at_boot(arguments, sys.executable, "-m", "podroutes", node=plan.node)
    return remote_files(arguments.format, plan, command)


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
