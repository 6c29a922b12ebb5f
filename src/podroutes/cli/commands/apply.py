"""``podroutes apply``."""

import argparse
import sys
from contextlib import ExitStack
from typing import NamedTuple

from podroutes.cli import common, options
from podroutes.cli.apply import carry_out, say_later
from podroutes.cli.commands import plan
from podroutes.cli.mass_delete import agreed
from podroutes.cli.option_values import MachineOptions, SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.cli.snapshot import snapshot
from podroutes.errors import PersistError
from podroutes.model.plan import Plan

_DESCRIPTION = """\
Make the kernel's main table agree with the inventory: show the plan, carry it out, say what became of it. Only routes of
protocol 107 (podroutes), or of our own file where netplan gives them another, are ever changed or deleted; a change of next
hop is one atomic replace. Needs CAP_NET_ADMIN when there is something to change.

With --persist the same routes are written to a file of our own, in the place where the network manager reads it at the next
boot. No manager is restarted or reloaded, unless --activate asks for it.

Where the routes of more than one node, and of them more than a third, would go within ten minutes because no listed node has
their podCIDR any more, it asks; where there is no terminal, it keeps them and does the rest (--allow-mass-delete lets them go).

exit status: 0 done, 1 something could not be done; with --dry-run that of `podroutes plan`
"""
_INSTEAD = "`podroutes push apply` changes the nodes over SSH"


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.persist(parser)
    options.cni(parser)
    options.masquerade(parser, "; once written it is kept up to date")
    reload = "with --persist: have the manager read its files now; all goes back if another node stops answering"
    parser.add_argument("--activate", action="store_true", help=reload)
    parser.add_argument("--dry-run", action="store_true", help="only show the plan, as `podroutes plan` does")
    options.adopt(parser)
    options.state(parser)
    options.mass_delete(parser)
    options.output(parser)


class Options(NamedTuple):
    """What the user wants of ``apply``."""

    source: SourceOptions
    machine: MachineOptions
    activate: bool = False
    dry_run: bool = False
    output: str = "text"


def run(arguments: argparse.Namespace) -> int:
    """Show the plan of this node and carry it out; 0 done, 1 something could not be done."""
    wanted = read(Options, arguments)
    if wanted.dry_run:
        common.warn("apply --dry-run is called `podroutes plan` here")
        return plan.show(plan.Options(wanted.source, wanted.machine, output=wanted.output))
    source = common.read_source(wanted.source)
    machine = wanted.machine
    with common.kernel("apply", _INSTEAD) as kernel, ExitStack() as lock:
        lock.enter_context(common.writing("apply"))
        guard = common.deletion_guard(wanted.source, source, allowed=machine.allow_mass_delete)
        before = snapshot(kernel, wanted.source, source)
        machine_plan = common.plan_machine(wanted.source, machine, source, before, guard.hold)
        if machine_plan.planned.plan.held:
            lock.close()  # release the lock while a person decides
            allowed = agreed(machine_plan.planned.plan, inventory=wanted.source.inventory, output=wanted.output)
            lock.enter_context(common.writing("apply"))
            if allowed:
                guard.allow(machine_plan.planned.plan)
                before = snapshot(kernel, wanted.source, source)
                machine_plan = common.plan_machine(wanted.source, machine, source, before, guard.hold)
        if wanted.activate and not machine_plan.backend:
            raise PersistError("--activate goes with --persist BACKEND: there is no file that a manager could read")
        if machine_plan.why:  # the chosen backend stays
            machine = machine._replace(persist=machine_plan.backend)
        planned = [machine_plan.planned]  # the last plan counts

        def replan(machine: MachineOptions) -> Plan:
            fib = snapshot(kernel, wanted.source, source)
            planned.append(common.plan_machine(wanted.source, machine, source, fib, guard.hold).planned)
            return planned[-1].plan

        outcome = carry_out(machine_plan.planned.plan, kernel, wanted.output, lambda: replan(machine))
        guard.save(outcome)
        if source.state:
            source.state.save(planned[-1], outcome, source.cluster)
        if wanted.output == "text":
            common.say_offered(machine_plan)
        if wanted.activate and outcome.complete:
            from podroutes.apply.activation import Activation, Before  # noqa: PLC0415, seldom asked for

            then = Before(before, machine_plan.found, outcome.host)
            activation = Activation(machine_plan.backend, then, kernel, common.root())
            activation.run(outcome.files_written, lambda: replan(machine._replace(persist=None)))
        else:
            say_later(outcome)
        _say_until_boot(machine_plan.planned.plan, wanted.output)
        return 0 if outcome.complete else 1


def _say_until_boot(plan: Plan, output: str) -> None:
    """Tell a person at a terminal that the routes of PLAN end with the next boot, if no file of ours keeps them."""
    made = any(change.action != "delete" for change in plan.changes)
    if made and plan.files is None and output == "text" and sys.stderr.isatty():
        common.warn("these routes last until the next boot; with --persist auto they are there after it, too")
