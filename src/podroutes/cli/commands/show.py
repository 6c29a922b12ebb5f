"""``podroutes show``."""

import argparse
import sys
from contextlib import suppress
from typing import NamedTuple

from podroutes.cli import common, options
from podroutes.cli.option_values import MachineOptions, SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.cli.snapshot import snapshot
from podroutes.kernel import Kernel
from podroutes.model.fib import Fib
from podroutes.plan.guard import no_guard
from podroutes.plan.route_states import survey
from podroutes.views import plan as plan_view

_DESCRIPTION = """\
List the routes of ours that the kernel has and the wanted ones it has not, one a line in the style of `ip route`.

states: ok, missing, stale (no longer wanted, or not that way), foreign (someone else holds the prefix), unreachable (the
next hop cannot be reached); `until reboot` stands behind a route that no file brings back after the next boot, `but` and the reason
where a file says so and is not carried out, `by` and a file of the administrator that does, `kept` and the reason where one stays
only because it is in place
exit status: 0 all ok, 2 any is not or is only kept, 1 error
"""
_QUIET = 0.1  # seconds without an event after which a burst of them is over
_INSTEAD = "`podroutes push plan` compares the nodes with the inventory over SSH"


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.state(parser)
    parser.add_argument(
        "-w", "--watch", action="store_true", help="go on, and print what changes in the kernel, until Ctrl-C"
    )
    options.output(parser)


class Options(NamedTuple):
    """What the user wants of ``show``."""

    source: SourceOptions
    watch: bool = False
    output: str = "text"


def run(arguments: argparse.Namespace) -> int:
    """List routes with their states; 0 all ok, 2 any is not."""
    wanted = read(Options, arguments)
    source = common.read_source(wanted.source)
    with common.kernel("show", _INSTEAD, reads=True) as kernel:
        if wanted.watch:
            return _watch(wanted, source, kernel)
        return _show(wanted, source, snapshot(kernel, wanted.source, source), set())


def _watch(wanted: Options, source: common.Source, kernel: Kernel) -> int:
    """Print the routes, then each changed line; return the last status at Ctrl-C."""
    from select import select  # noqa: PLC0415, only where it was asked for

    from podroutes.kernel.watch import KernelWatch  # noqa: PLC0415, only where it was asked for

    status, shown = 0, set[str]()
    with KernelWatch(0) as watch, suppress(KeyboardInterrupt):
        while True:
            status = _show(wanted, source, snapshot(kernel, wanted.source, source), shown)
            sys.stdout.flush()
            select([watch], [], [])
            while select([watch], [], [], _QUIET)[0]:  # a burst of events counts as one change
                watch.read({})
    return status


def _show(wanted: Options, source: common.Source, fib: Fib, shown: set[str]) -> int:
    """Print the survey of FIB without the lines and problems in SHOWN, which is updated."""
    from podroutes.apply.machine_plan import configured_overlap  # noqa: PLC0415, what is away from the machine has no use for it

    machine_plan = common.plan_machine(wanted.source, MachineOptions(reads=True), source, fib, no_guard)
    planned, owned = machine_plan.planned, machine_plan.owned
    entries = survey(planned, fib, owned, configured_overlap(common.root(), planned).same, machine_plan.hindered)
    if any(
        problem.code == "not-persistent" and problem.severity == "error" for problem in planned.plan.problems
    ):  # the file is there, and is not to be relied on
        entries = [entry._replace(lasts=False) for entry in entries]
    if wanted.output != "text":
        from podroutes.views import plan_json  # noqa: PLC0415, the same

        common.say_document(plan_json.survey(planned.plan.node, entries, planned.plan.problems), wanted.output)
    else:
        lines = list(plan_view.survey(entries, common.style(sys.stdout)))
        problems = planned.plan.problems
        common.say(line for line in lines if line not in shown)
        common.say_problems([problem for problem in problems if problem.message not in shown])
        shown.clear()
        shown.update(lines, (problem.message for problem in problems))
        if not entries:
            print("no routes of ours, and none wanted", file=sys.stderr)
    return 2 if any(entry.state != "ok" or entry.kept for entry in entries) else 0
