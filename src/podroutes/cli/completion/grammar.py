"""The grammar of the command line: commands, options and values of the argument parser, for the generators of completion scripts."""

import argparse
from collections.abc import Iterator
from typing import Literal, NamedTuple

from podroutes.cli.parser import arguments, subcommands

# "exec" is a machine of a lab and a command line for it; "any" has no candidates.
Kind = Literal["words", "file", "directory", "node", "nodes", "lab", "device", "topic", "exec", "any"]

_BY_METAVAR: dict[str, Kind] = {
    "PATH": "file",
    "FILE": "file",
    "DIR": "directory",
    "DEV": "device",
    "NAME,...": "nodes",
    "COMMAND|CODE": "topic",
}
_BY_OPTION: dict[str, Kind] = {"--node": "node", "--lab": "lab", "--name": "lab"}


class Value(NamedTuple):
    """The possible values of an option or a positional argument. ``words`` lists them if ``kind`` is "words"."""

    kind: Kind
    words: tuple[str, ...] = ()
    metavar: str = ""
    optional: bool = False


class Option(NamedTuple):
    """An option with all its names; ``value`` is None for a switch."""

    names: tuple[str, ...]
    summary: str
    value: Value | None


class Command(NamedTuple):
    """A command. ``path`` is empty for the program itself and has two words for ``podroutes lab up``."""

    path: tuple[str, ...]
    summary: str
    options: tuple[Option, ...]
    values: tuple[Value, ...]
    commands: tuple["Command", ...]

    @property
    def name(self) -> str:
        """The words of the path, joined."""
        return " ".join(self.path)


def grammar(parser: argparse.ArgumentParser) -> Command:
    """Return the grammar of PARSER."""
    return _command(parser, (), "")


def walk(command: Command) -> Iterator[Command]:
    """Yield COMMAND and all below it."""
    yield command
    for subcommand in command.commands:
        yield from walk(subcommand)


def _command(parser: argparse.ArgumentParser, path: tuple[str, ...], summary: str) -> Command:
    below = subcommands(parser)
    summaries = _summaries(parser)
    shown = arguments(parser)
    values = tuple(_value(action) for action in shown if not action.option_strings)
    if any(action.nargs == argparse.REMAINDER for action in parser._actions):  # noqa: SLF001, argparse has no public way to ask
        values = (Value("exec", metavar="NODE"),)
    return Command(
        path,
        summary,
        (*(_option(action) for action in shown if action.option_strings), _HELP),
        values,
        tuple(_command(owner, (*path, name), summaries.get(name, "")) for name, owner in below.items()),
    )


_HELP = Option(("-h", "--help"), "show this help message and exit", None)


def _summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the summary of each subcommand in help."""
    return {
        choice.dest: choice.help or ""
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for choice in action._choices_actions  # noqa: SLF001
    }


def _option(action: argparse.Action) -> Option:
    summary = (action.help or "") % {**vars(action), "prog": "podroutes"}
    return Option(
        tuple(action.option_strings), summary.partition(";")[0], None if action.nargs == 0 else _value(action)
    )


def _value(action: argparse.Action) -> Value:
    metavar = str(action.metavar or action.dest.upper())
    optional = action.nargs == argparse.OPTIONAL
    if action.choices is not None:
        return Value("words", tuple(map(str, action.choices)), metavar, optional)
    named = (_BY_OPTION[name] for name in action.option_strings if name in _BY_OPTION)
    return Value(next(named, _BY_METAVAR.get(metavar, "any")), (), metavar, optional)
