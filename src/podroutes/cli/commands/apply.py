"""``podroutes apply``."""

import argparse
import sys

from podroutes.cli import session
from podroutes.core.advice import refusals
from podroutes.errors import PersistError
from podroutes.kernel import Kernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Outcome, Plan
from podroutes.persist import carry
from podroutes.persist.root import Root
from podroutes.views import data, report


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
