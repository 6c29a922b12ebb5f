"""``podroutes apply``."""

import argparse
import sys

from podroutes.cli import session
from podroutes.core.advice import refusals
from podroutes.core.planning import plan_here
from podroutes.kernel import Kernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Plan
from podroutes.views import data, report


def run(arguments: argparse.Namespace) -> int:
    """Show the plan of this node and carry it out; 0 done, 1 something could not be done."""
    source = session.read_source(arguments)
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot()
        own = session.own_node(arguments, source.cluster, fib)
        return carry_out(plan_here(source.claims, own, fib, adopt=arguments.adopt).plan, kernel, arguments.output)


def carry_out(plan: Plan, kernel: Kernel, output: str, verb: str = "Apply") -> int:
    """Say what PLAN will do, do it, say what became of it; VERB is what the user asked for."""
    if output == "json":
        failures = refusals(plan.changes, kernel.apply(plan.changes))
        session.say_json(data.plan(plan, failures))
    else:
        session.say(report.changes(plan, session.style(sys.stdout)))
        sys.stdout.flush()
        failures = refusals(plan.changes, kernel.apply(plan.changes))
        session.say_failures(plan, failures)
        session.say_problems(plan.problems)
        print(report.outcome(plan, failures, verb))
    return 1 if failures or plan.errors else 0
