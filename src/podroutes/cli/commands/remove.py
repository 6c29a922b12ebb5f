"""``podroutes remove``."""

import argparse
import os
from contextlib import nullcontext

from podroutes.cli import common, options
from podroutes.cli.apply import carry_out, say_later
from podroutes.cli.parser import Parser
from podroutes.errors import AgentError, require_linux
from podroutes.host import agent_lock
from podroutes.kernel import Kernel
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Plan
from podroutes.persist import apply_files
from podroutes.persist.configured import configured_routes
from podroutes.persist.owned import find
from podroutes.plan.configured import left_behind
from podroutes.plan.ownership import ours
from podroutes.views import json_values

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
    """Delete every route and every file of ours; 0 done, 1 something could not be done."""
    require_linux("`podroutes remove`", _INSTEAD)
    agent = None if arguments.dry_run else agent_lock.running()
    if agent is not None:
        raise AgentError(f"an agent (process {agent}) is running here and would put the routes back: stop it first")
    with common.kernel("remove", _INSTEAD) as kernel, nullcontext() if arguments.dry_run else common.writing("remove"):
        plan = _plan(kernel)
        if not arguments.dry_run:
            apply_files.clean(common.root())
            done = carry_out(plan, kernel, arguments.output, lambda: _plan(kernel), "Remove")
            say_later(done)
            return 0 if done.complete else 1
    if arguments.output != "text":
        common.say_document(json_values.plan(plan), arguments.output)
    else:
        common.say_plan(plan)
    return 0


def _plan(kernel: Kernel) -> Plan:
    """Return what takes back everything: routes of our number in every table, those of our files, and these."""
    found = find(common.root())
    owned = found.owned("")
    routes = set(kernel.ours())
    if owned.static:
        routes.update(ours(kernel.snapshot(), owned))
    changes = tuple(Change("delete", route) for route in sorted(routes, key=lambda route: route.dst))
    files = [FileChange("delete", file, name) for name, there in found.files.items() for file in there.values()]
    lines = configured_routes(common.root(), (route.dst for route in routes)).routes
    return Plan(os.uname().nodename, changes, 0, tuple(left_behind(changes, lines)), tuple(files) or None)
