"""``podroutes remove``."""

import argparse
import os

from podroutes.cli import session
from podroutes.cli.commands.apply import carry_out
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Change, Plan
from podroutes.views import data


def run(arguments: argparse.Namespace) -> int:
    """Delete every route of ours; 0 done, 1 something could not be done."""
    with NetlinkKernel() as kernel:
        changes = tuple(Change("delete", route) for route in sorted(kernel.ours(), key=lambda route: route.dst))
        plan = Plan(os.uname().nodename, changes, 0, ())
        if not arguments.dry_run:
            return carry_out(plan, kernel, arguments.output, "Remove")
    if arguments.output == "json":
        session.say_json(data.plan(plan))
    else:
        session.say_plan(plan)
    return 0
