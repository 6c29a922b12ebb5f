"""``podroutes remove``."""

import argparse
import os
from contextlib import nullcontext

from podroutes.apply import removal
from podroutes.cli import common, options
from podroutes.cli.apply import carry_out, say_later
from podroutes.cli.parser import Parser
from podroutes.errors import AgentError, require_linux
from podroutes.host import agent_lock
from podroutes.kernel import Kernel
from podroutes.model.plan import Plan
from podroutes.views import plan_json

_DESCRIPTION = """\
Delete every route of protocol 107 (podroutes), in every table, every file that podroutes wrote for the next boot, with
netplan also the routes that it made of our file, and nothing else. Needs no inventory. Refuses while an agent runs here.

exit status: 0 done, 1 something could not be done
"""
_INSTEAD = "`podroutes push remove` changes the nodes over SSH"


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Delete all routes and files of ours; 0 done, 1 something could not be done."""
    require_linux("`podroutes remove`", _INSTEAD)
    agent = None if arguments.dry_run else agent_lock.running()
    if agent is not None:
        raise AgentError(f"an agent (process {agent}) is running here and would put the routes back: stop it first")
    with common.kernel("remove", _INSTEAD) as kernel, nullcontext() if arguments.dry_run else common.writing("remove"):
        plan = _plan(kernel)
        if not arguments.dry_run:
            removal.clean(common.root())
            outcome = carry_out(plan, kernel, arguments.output, lambda: _plan(kernel), "Remove")
            say_later(outcome)
            return 0 if outcome.complete else 1
    if arguments.output != "text":
        common.say_document(plan_json.plan(plan), arguments.output)
    else:
        common.say_plan(plan)
    return 0


def _plan(kernel: Kernel) -> Plan:
    return removal.plan_removal(os.uname().nodename, kernel.ours(), kernel.snapshot, common.root())
