"""``podroutes doctor``."""

import argparse
import os
import sys

from podroutes.cli import common, options
from podroutes.cli.doctor import examined
from podroutes.cli.option_values import SourceOptions, read
from podroutes.cli.parser import Parser
from podroutes.doctor import examine, repairs
from podroutes.errors import require_linux
from podroutes.host.files import HostFiles
from podroutes.host.sysctls import set_sysctl
from podroutes.model.finding import Repair, Repaired
from podroutes.views import doctor as doctor_view

_DESCRIPTION = """\
Examine this machine for everything that would stop pod traffic although the routes are right: forwarding, reverse path
filter, packet filter, CNI configuration, other programs' routes, network managers, neighbours, MTU. Each finding has a
cause, what was read where, and the command that mends it. Without an inventory it knows less. Asks each next hop by ARP or
neighbour solicitation. Changes nothing without --fix, which touches sysctls of this network namespace and nothing else.

exit status: 0 healthy (there may be findings for information), 2 findings, 1 error
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    parser.add_argument("--fix", action="store_true", help="set the sysctls that are missing, until the next boot")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine this machine; 0 healthy, 2 something would stop pod traffic."""
    require_linux("`podroutes doctor`", "run it on the node; `podroutes push verify` reads the nodes' tables over SSH")
    wanted = read(SourceOptions, arguments)
    cluster = common.read_source(wanted).cluster if common.names_source(wanted) else None
    context = examined(cluster, arguments.node)
    findings = examine(context)
    done = None
    if arguments.fix:
        done = [Repaired(each.code, repair, _repair(repair)) for each, repair in repairs(findings)]
        if done:
            context = examined(cluster, arguments.node)
            findings = examine(context)
    name = context.own.name if context.own else None
    if arguments.output != "text":
        common.say_document(doctor_view.document(findings, context.facts.unexamined, name, done), arguments.output)
    else:
        style = common.style(sys.stdout)
        common.say(doctor_view.repaired(done or (), style))
        common.say(doctor_view.text(findings, style))
        common.say(doctor_view.verdict(findings, context.facts.unexamined, name or os.uname().nodename, style))
    return 2 if doctor_view.grave(findings) else 0


def _repair(repair: Repair) -> str:
    """Set the sysctl; return why that failed, "" if it did not."""
    try:
        set_sysctl(HostFiles(), repair.sysctl, str(repair.value))
    except OSError as error:
        return f"{error.strerror}; it needs root in this network namespace"
    return ""
