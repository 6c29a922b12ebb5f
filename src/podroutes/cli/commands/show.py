"""``podroutes show``."""

import argparse
import sys

from podroutes.cli import session
from podroutes.core.survey import survey
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.views import data, report


def run(arguments: argparse.Namespace) -> int:
    """List routes with their states; 0 all ok, 2 any is not."""
    source = session.read_source(arguments)
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot()
    planned, ledger, *_ = session.plan_whole(arguments, source, fib)
    entries = survey(planned, fib, ledger)
    if arguments.output == "json":
        session.say_json(data.survey(planned.plan.node, entries, planned.plan.problems))
    else:
        session.say(report.survey(entries, session.style(sys.stdout)))
        session.say_problems(planned.plan.problems)
        if not entries:
            print("no routes of ours, and none wanted", file=sys.stderr)
    return 2 if any(entry.state != "ok" for entry in entries) else 0
