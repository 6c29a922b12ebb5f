"""What the commands share: reading the inventory, finding this node, printing."""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from podroutes.core.claims import Claims, examine
from podroutes.core.identity import named_node, this_node
from podroutes.errors import InventoryError
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.plan import Plan
from podroutes.model.problem import Problem
from podroutes.views import report
from podroutes.views.style import Style


class Source(NamedTuple):
    """The inventory of one run: what it says, and the verdict on it."""

    cluster: Cluster
    claims: Claims


def read_source(arguments: argparse.Namespace) -> Source:
    """Read and examine the inventory that the command line names."""
    from podroutes import inventory  # noqa: PLC0415, `remove` needs none

    if not arguments.inventory:
        raise InventoryError("no inventory: name one with -i PATH (or PODROUTES_INVENTORY); - reads standard input")
    found = inventory.load(arguments.inventory)
    claims = examine(found.cluster)
    return Source(found.cluster, claims._replace(problems=found.problems + claims.problems))


def own_node(arguments: argparse.Namespace, cluster: Cluster, fib: Fib | None = None) -> Node:
    """Return the node that this machine is; without FIB, by name alone."""
    if arguments.node:
        return named_node(cluster, arguments.node)
    addresses = fib.addresses if fib else ()
    return this_node(cluster, os.uname().nodename, [each.address for each in addresses])


def style(stream: TextIO) -> Style:
    """Return whether STREAM takes colour: a terminal, unless NO_COLOR is set (no-color.org)."""
    return Style(stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def say(lines: Iterable[str]) -> None:
    """Print LINES as they come."""
    for line in lines:
        print(line)


def say_plan(plan: Plan) -> None:
    """Print a plan that is not carried out: its changes and what they come to."""
    if plan.changes:
        say(report.changes(plan, style(sys.stdout)))
        print()
    print(report.summary(plan))


def say_failures(plan: Plan, failures: Mapping[int, str]) -> None:
    """Print to standard error which changes of PLAN could not be made, and why."""
    sys.stdout.flush()
    for line in report.failures(plan, failures, style(sys.stderr)):
        print(line, file=sys.stderr)


def say_problems(problems: Sequence[Problem]) -> None:
    """Print problems to standard error, behind everything that was said so far."""
    sys.stdout.flush()
    for line in report.problems(problems, style(sys.stderr)):
        print(line, file=sys.stderr)


def say_json(document: Any) -> None:
    """Print DOCUMENT as JSON: indented for a terminal, in one line for a pipe."""
    from json import dumps  # noqa: PLC0415, only where it was asked for

    print(dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
