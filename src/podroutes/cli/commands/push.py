"""``podroutes push``: plan, apply, verify and remove on every machine of the inventory."""

import argparse

from podroutes.cli import options
from podroutes.cli.parser import Parser

_DESCRIPTION = """\
Do on every machine of the inventory, over SSH, what plan, apply, verify and remove do on one. The machines need sshd and ip(8),
nothing is installed there. ~/.ssh/config, agents, jump hosts, certificates and known hosts are those of ssh(1).
"""
_PLAN = """\
Read every machine, and show what apply would change there. Changes nothing, needs no privileges.

exit status: 0 all in sync, 2 changes pending, 1 error (a machine cannot be read, or a podCIDR cannot be routed)
"""
_APPLY = """\
Show what would change on every machine; then change it, the canaries first. A machine that still answers and has what was
written is told to keep it; one that is not told so in time takes everything back by itself. On a terminal it asks first.

Where the routes of more than one node, and of them more than a third, would go from a machine within ten minutes because no
listed node has their podCIDR any more, it asks about these, too, also with --yes; without a terminal they stay.

exit status: 0 done, 1 something could not be done, 130 interrupted: every machine is as before or as planned
"""
_VERIFY = """\
Read the tables of every machine, and prove from them that every pod CIDR is reachable from every node, as verify does.

exit status: 0 proven, 2 not, 1 error (also when a machine cannot be read)
"""
_REMOVE = """\
Take back every route and file of ours on every machine, and nothing else; confirmed like apply. On a terminal it asks first.

exit status: 0 done, 1 something could not be done, 130 interrupted
"""


def configure(parser: Parser) -> None:
    """Declare the commands and their options."""
    parser.description = _DESCRIPTION
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for verb, summary, fill in (
        ("plan", "show what apply would change on every machine", _plan),
        ("apply", "change every machine, with a rollback that it does by itself", _apply),
        ("verify", "prove from the tables of all machines that every pod CIDR is reachable", _verify),
        ("remove", "take back everything of ours on every machine", _remove),
    ):
        command: Parser = commands.add_parser(verb, help=summary)
        command.fill = fill
        command.set_defaults(verb=verb)


def _plan(parser: Parser) -> None:
    parser.description = _PLAN
    options.reach(parser)
    _add_request_options(parser)
    options.full(parser)
    options.output(parser)


def _apply(parser: Parser) -> None:
    parser.description = _APPLY
    options.reach(parser)
    _add_request_options(parser)
    _care(parser)
    options.mass_delete(parser)
    options.full(parser)
    options.output(parser)


def _verify(parser: Parser) -> None:
    parser.description = _VERIFY
    options.reach(parser)
    parser.add_argument("--html", metavar="FILE", help="also write a page to look at: map, matrix, explanations")
    options.output(parser)


def _remove(parser: Parser) -> None:
    parser.description = _REMOVE
    options.reach(parser)
    _care(parser)
    options.full(parser)
    options.output(parser)


def _add_request_options(parser: Parser) -> None:
    options.persist(parser)
    options.cni(parser)
    options.masquerade(parser)
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")


def _care(parser: Parser) -> None:
    """Declare the options that limit the effect of a mistake."""
    canary = "change the first N machines one after the other, and no other if one of them fails (default 1)"
    parser.add_argument("--canary", metavar="N", type=options.between(0, 100_000), default=1, help=canary)
    failures = "begin with no further machine once N have failed (default 1)"
    parser.add_argument("--max-failures", metavar="N", type=options.between(1, 100_000), default=1, help=failures)
    confirm = "after this time a machine that was not confirmed takes its changes back (default 30)"
    parser.add_argument("--confirm-timeout", metavar="SECONDS", type=options.between(5, 3600), default=30, help=confirm)
    parser.add_argument("--yes", action="store_true", help="do not ask; without a terminal nothing is ever asked")


def run(arguments: argparse.Namespace) -> int:
    """Run a push command; return the exit status."""
    from podroutes.cli import push  # noqa: PLC0415, asyncio and SSH are for those who asked

    return push.run(arguments)
