"""``podroutes help``."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches

from podroutes.cli import common
from podroutes.cli.parser import Parser, build_parser, subcommands
from podroutes.errors import PodroutesError
from podroutes.model.text import printable
from podroutes.views import codes

_DESCRIPTION = """\
Print the help of a command (`help plan`, `help lab up`), or what a code means and what to do about it (`help no-route`).
The codes are those that plan, verify and doctor print.

exit status: 0 printed, 1 there is no such command or code
"""


def configure(parser: Parser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("topic", metavar="COMMAND|CODE", nargs="*", help="a command with its subcommand, or a code")


def run(arguments: argparse.Namespace) -> int:
    """Print the help of a command or the explanation of a code. Raises PodroutesError for other topics."""
    topic: list[str] = arguments.topic
    explained = list(codes.explanation(topic[0])) if len(topic) == 1 else []
    command = _command(build_parser(arguments.prog), topic)
    if command:
        command.print_help()
    elif explained:
        common.say(explained)
    else:
        raise PodroutesError(_unknown(arguments.prog, topic))
    return 0


def _command(parser: argparse.ArgumentParser, topic: Sequence[str]) -> argparse.ArgumentParser | None:
    """Return the parser of the command TOPIC, PARSER itself for no words."""
    argument_parser: argparse.ArgumentParser | None = parser
    for word in topic:
        argument_parser = subcommands(argument_parser).get(word) if argument_parser else None
    return argument_parser


def _unknown(prog: str, topic: Sequence[str]) -> str:
    text = " ".join(topic)
    near = get_close_matches(text, [*subcommands(build_parser(prog)), *codes.known()], n=1)
    meant = f"; did you mean {near[0]}?" if near else f" (see `{prog} --help` for the commands)"
    return f"help: {printable(text)} is neither a command nor a code{meant}"
