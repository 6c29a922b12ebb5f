"""``podroutes plan``."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from podroutes.cli import common, options
from podroutes.cli.option_values import MachineOptions, SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.cli.snapshot import snapshot
from podroutes.host import terminal
from podroutes.model.cluster import Node
from podroutes.model.plan import Plan
from podroutes.model.text import escaped
from podroutes.views import plan as plan_view

_DESCRIPTION = """\
Compare the inventory with the routes of this machine and show the difference. Changes nothing, needs no privileges.

exit status: 0 in sync, 2 changes pending or routes that are only kept, 1 error (also when nothing is pending but a podCIDR
cannot be routed)
"""
_INSTEAD = "`podroutes plan --all` plans from the inventory alone, `podroutes push plan` over SSH"


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    parser.add_argument("--all", action="store_true", help="for every node, from the inventory alone")
    options.interface(parser)
    options.persist(parser)
    options.cni(parser)
    options.masquerade(parser, "; once written it is kept up to date")
    options.adopt(parser)
    options.state(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="also the routes that stay as they are")
    parser.add_argument("-q", "--quiet", action="store_true", help="problems and the exit status alone")
    options.full(parser, "with --all")
    options.output(parser)


class Options(NamedTuple):
    """What the user wants of ``plan``."""

    source: SourceOptions
    machine: MachineOptions
    all: bool = False
    interface: str | None = None
    verbose: bool = False
    quiet: bool = False
    full: bool = False
    output: str = "text"


def run(arguments: argparse.Namespace) -> int:
    """Show the plan of this node, or of all; 0 in sync, 2 changes pending or routes kept, 1 problems that no change solves."""
    wanted = read(Options, arguments)
    return _all(common.read_source(wanted.source), wanted) if wanted.all else show(wanted)


def show(wanted: Options) -> int:
    """Show the plan of this node, and return the exit status."""
    source = common.read_source(wanted.source)
    with common.kernel("plan", _INSTEAD, reads=True) as kernel:
        fib = snapshot(kernel, wanted.source, source)
    guard = common.deletion_guard(wanted.source, source, allowed=wanted.machine.allow_mass_delete)
    machine = wanted.machine._replace(reads=True)
    machine_plan = common.plan_machine(wanted.source, machine, source, fib, guard.hold)
    plan = machine_plan.planned.plan
    if wanted.output != "text":
        from podroutes.views import plan_json  # noqa: PLC0415, the same

        common.say_document(plan_json.plan(plan), wanted.output)
    else:
        if wanted.verbose:
            from podroutes.plan.route_states import survey  # noqa: PLC0415, the same

            entries = survey(
                machine_plan.planned, fib, machine_plan.owned, machine_plan.configured.same, machine_plan.hindered
            )
            common.say(plan_view.survey([entry for entry in entries if entry.state == "ok"], common.style(sys.stdout)))
        if not wanted.quiet:
            common.say_plan(plan)
        common.say_problems(plan.problems)
        common.say_offered(machine_plan)
    return status(plan)


def status(plan: Plan) -> int:
    """Return the exit status for PLAN."""
    return 2 if plan.pending or plan.held or plan.kept else 1 if plan.errors else 0


def short(nodes: int, *, full: bool, output: str) -> bool:
    """Return whether so many NODES are shown in a line each."""
    return nodes >= options.FEW and not full and output == "text"


def _all(source: common.Source, wanted: Options) -> int:
    """Show many plans as they are made: those of 5,000 nodes do not fit into memory together."""
    from podroutes.plan.planning import plan_remote  # noqa: PLC0415, the same

    nodes = source.cluster.nodes
    plans = (plan_remote(source.claims, node, wanted.interface).plan for node in nodes)
    if wanted.output != "text":
        shown = _documents(plans, wanted.output)
    else:
        shown = _lines(plans, nodes) if short(len(nodes), full=wanted.full, output=wanted.output) else _text(plans)
        if wanted.quiet:
            shown = _problems(plans)
    worst = {status(plan) for plan in shown}
    return 2 if 2 in worst else max(worst, default=0)


def _text(plans: Iterator[Plan]) -> Iterator[Plan]:
    style = common.style(sys.stdout)
    last = None
    for plan in plans:
        print(style("bold", escaped(plan.node)))
        common.say_plan(plan)
        print()
        yield plan
        last = plan
    if last:  # the inventory's problems are the same on all nodes
        common.say_problems(last.problems)


def _lines(plans: Iterator[Plan], nodes: Sequence[Node]) -> Iterator[Plan]:
    """Print a line for each plan, and what all come to."""
    style = common.style(sys.stdout)
    width = max(len(escaped(node.name)) for node in nodes)
    routes = 0
    problems: dict[Any, None] = {}
    from podroutes.host.progress import Progress  # noqa: PLC0415, the same

    with Progress("planning", len(nodes)) as progress:
        for plan in plans:
            if not sys.stdout.isatty():  # else the lines themselves show how far it is
                progress.step(plan.node)
            print(f"{style('bold', f'{escaped(plan.node):{width}}')}  {plan_view.summary(plan)}")
            routes += len(plan.changes) + plan.unchanged
            problems |= dict.fromkeys(plan.problems)
            yield plan
    print(f"\n{routes:,} routes on {len(nodes):,} nodes. --full shows each.")
    common.say_problems(list(problems))


def _problems(plans: Iterator[Plan]) -> Iterator[Plan]:
    """Print the problems alone."""
    problems: dict[Any, None] = {}
    for plan in plans:
        problems |= dict.fromkeys(plan.problems)
        yield plan
    common.say_problems(list(problems))


def _documents(plans: Iterator[Plan], output: str) -> Iterator[Plan]:
    from podroutes.views import documents, plan_json  # noqa: PLC0415, the same

    ascii_only = not terminal.is_unicode(sys.stdout)
    if output == "yaml":
        print(f"apiVersion: {documents.API_VERSION}\nnodes:")
        for plan in plans:
            print(documents.text([plan_json.plan(plan)], output, ascii_only=ascii_only))
            yield plan
        return
    separator = f'{{"apiVersion": "{documents.API_VERSION}", "nodes": [\n'
    for plan in plans:
        print(separator + documents.text(plan_json.plan(plan), output, ascii_only=ascii_only), end="")
        separator = ",\n"
        yield plan
    print("\n]}")
