"""``podroutes apply``."""

import argparse
import sys

from podroutes.cli import options, session
from podroutes.cli.parser import Parser
from podroutes.core.advice import refusals
from podroutes.errors import PersistError
from podroutes.kernel import Kernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Outcome, Plan
from podroutes.persist import carry
from podroutes.persist.root import Root
from podroutes.views import data, report

_DESCRIPTION = """\
Make the kernel's main table agree with the inventory: show the plan, carry it out, say what became of it. Only routes of
protocol 107 (podroutes), or of our own file where netplan gives them another, are ever changed or deleted; a change of next
hop is one atomic replace. Needs CAP_NET_ADMIN when there is something to change.

With --persist the same routes are written to a file of our own, in the place where the network manager reads it at the next
boot. No manager is restarted or reloaded, unless --activate asks for it.

exit status: 0 done, 1 something could not be done
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.persist(parser)
    reload = "with --persist: have the manager read its files now; all goes back if another node stops answering"
    parser.add_argument("--activate", action="store_true", help=reload)
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the plan of this node and carry it out; 0 done, 1 something could not be done."""
    source = session.read_source(arguments)
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot()
        whole = session.plan_whole(arguments, source, fib)
        if arguments.activate and not whole.backend:
            raise PersistError("--activate goes with --persist BACKEND: there is no file that a manager could read")
        status = carry_out(whole.planned.plan, kernel, arguments.output)
        if arguments.activate and not status:
            from podroutes.cli.activation import Then, activate  # noqa: PLC0415, seldom asked for

            then = Then(fib, whole.found)
            kept = argparse.Namespace(**vars(arguments) | {"persist": None})
            activate(whole, then, kernel, lambda: session.plan_whole(kept, source, kernel.snapshot()).planned.plan)
        return status


def carry_out(plan: Plan, kernel: Kernel, output: str, verb: str = "Apply") -> int:
    """Say what PLAN will do, do it, say what became of it; VERB is what the user asked for."""
    if output == "json":
        outcome = _do(plan, kernel)
        session.say_json(data.plan(plan, outcome))
    else:
        session.say(report.changes(plan, session.style(sys.stdout)))
        sys.stdout.flush()
        outcome = _do(plan, kernel)
        session.say_failures(plan, outcome)
        session.say_problems(plan.problems)
        print(report.outcome(plan, outcome, verb))
    return 1 if outcome.failed or plan.errors else 0


def _do(plan: Plan, kernel: Kernel) -> Outcome:
    """Change kernel and files in an order that leaves no route unclaimed when it is interrupted."""
    root, files = Root(), plan.files or ()
    carry.check(root, files)
    carry.before(root, files)
    failures = refusals(plan.changes, kernel.apply(plan.changes))
    return Outcome(failures, carry.after(root, files))
