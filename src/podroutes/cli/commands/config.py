"""``podroutes config``."""

import argparse
import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from podroutes.cli import common, options
from podroutes.cli.parser import Parser, arguments, build_parser, subcommands, variable_of
from podroutes.model.text import escaped

_DESCRIPTION = """\
Print which options the environment sets: each PODROUTES_* variable with the option that it stands for, and the variables that
no option reads. A value on the command line counts before the environment.
"""
_OTHERS = {
    "NODE_NAME": "--node, where PODROUTES_NODE is not set",
    "KUBECONFIG": "--kubernetes, where --kubeconfig is not given",
    "NO_COLOR": "output without colour",
}


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what the environment sets."""
    known = dict(_variables(build_parser(arguments.prog)))
    found = [_entry(name, value, known) for name, value in sorted(os.environ.items()) if _concerns_us(name)]
    if arguments.output != "text":
        common.say_document({"environment": found}, arguments.output)
        return 0
    for each in found:
        print(f"{each['name']}={escaped(each['value'])}  {each['option'] or _unread(each['name'], known)}")
    if not found:
        print("No option is set by the environment.")
    return 0


def _concerns_us(name: str) -> bool:
    return name.startswith("PODROUTES_") or name in _OTHERS


def _entry(name: str, value: str, known: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "value": value, "option": known.get(name) or _OTHERS.get(name)}


def _unread(name: str, known: dict[str, str]) -> str:
    near = get_close_matches(name, known, n=1)
    return "no option reads it" + (f"; did you mean {near[0]}?" if near else "")


def _variables(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the variable and the long name of every option of PARSER and of its commands."""
    for action in arguments(parser):
        for name in action.option_strings:
            if name.startswith("--") and name != "--version":
                yield variable_of(name), name
    for command in subcommands(parser).values():
        yield from _variables(command)
