"""``podroutes config``."""

import argparse
import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from podroutes.cli import common, config_file, options
from podroutes.cli.parser import Parser, arguments, build_parser, subcommands, variable_of
from podroutes.model.text import escaped

_DESCRIPTION = """\
Print which options the environment and the configuration files set: each PODROUTES_* variable with the option that it stands
for, and the variables that no option reads; then each line of the files.

The files are ~/.config/podroutes/podroutes.conf (below XDG_CONFIG_HOME where that is set) and /etc/podroutes/podroutes.conf, or
those that PODROUTES_CONFIG names, with colons between them. A line is the long name of an option, and its value; # begins a comment:

  inventory = /etc/podroutes/machines.txt
  pod-cidr = 10.200.0.0/16
  color = never

An option on the command line counts before the environment, that before the file of the user, that before the file in /etc. What
is a decision about one run (--yes, --fix, --dry-run, --allow-mass-delete, --edit-admin-config) cannot stand in a file.
"""
_OTHERS = {
    "NODE_NAME": "--node, where PODROUTES_NODE is not set",
    "KUBECONFIG": "--kubernetes, where --kubeconfig is not given",
    "NO_COLOR": "output without colour",
    "FORCE_COLOR": "output with colour",
    config_file.VARIABLE: "the configuration file",
}


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the options that the environment and the configuration files set."""
    known = dict(_variables(build_parser(arguments.prog)))
    entries = [_entry(name, value, known) for name, value in sorted(os.environ.items()) if _concerns_us(name)]
    files: list[dict[str, Any]] = [
        {"path": path, "exists": os.path.exists(path), "options": _settings(path)}  # noqa: PTH110, pathlib costs milliseconds
        for path in config_file.paths()
    ]
    if arguments.output != "text":
        common.say_document({"environment": entries, "files": files}, arguments.output)
        return 0
    for entry in entries:
        print(f"{entry['name']}={escaped(entry['value'])}  {entry['option'] or _unread(entry['name'], known)}")
    if not entries:
        print("No option is set by the environment.")
    for file in files:
        for option in file["options"]:
            print(
                f"{escaped(option['place'])}: {option['option'][2:]} = {escaped(option['value'])}{_before(option['replaced_by'])}"
            )
    return 0


def _settings(path: str) -> list[dict[str, Any]]:
    """Return the settings of the file at PATH, each with what overrides it."""
    return [
        {
            "option": f"--{name}",
            "value": setting.value,
            "place": setting.place,
            "replaced_by": _replaced_by(name, setting),
        }
        for name, setting in config_file.settings(path)
    ]


def _replaced_by(name: str, setting: config_file.Setting) -> str | None:
    variable = variable_of(f"--{name}")
    if variable in os.environ:
        return variable
    last = config_file.read()[name]
    return last.place if last != setting else None


def _before(replaced_by: str | None) -> str:
    return f"  ({escaped(replaced_by)} counts before it)" if replaced_by else ""


def _concerns_us(name: str) -> bool:
    return name.startswith("PODROUTES_") or name in _OTHERS


def _entry(name: str, value: str, known: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "value": value, "option": known.get(name) or _OTHERS.get(name)}


def _unread(name: str, known: dict[str, str]) -> str:
    near = get_close_matches(name, known, n=1)
    return "no option reads it" + (f"; did you mean {near[0]}?" if near else "")


def _variables(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the variable and the long name of each option of PARSER and of its commands."""
    for action in arguments(parser):
        for name in action.option_strings:
            if name.startswith("--") and name != "--version":
                yield variable_of(name), name
    for command in subcommands(parser).values():
        yield from _variables(command)
