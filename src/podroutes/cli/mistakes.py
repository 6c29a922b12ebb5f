"""Error messages for mistakes on the command line, with suggestions."""

import argparse
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from podroutes.cli.parser import subcommands
from podroutes.model.text import escaped, printable

_TYPES = {int: "a whole number", float: "a number"}


def near(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for the word of KNOWN most similar to WORD, "" if none is similar."""
    by_lower = {
        candidate.lstrip("-").lower(): candidate for candidate in known
    }  # without dashes, which would make all options similar
    matches = get_close_matches(word[:64].lstrip("-").lower(), by_lower, n=1)
    return f"; did you mean {by_lower[matches[0]]}?" if matches else ""


def no_choice(action: argparse.Action, value: object) -> str:
    """Return the message that VALUE is not a choice of ACTION."""
    choices = [str(choice) for choice in action.choices or ()]
    meant = near(str(value), choices)
    if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001, argparse has no public name for it
        return f"{printable(str(value))} is not a command{meant}"
    return f"{name(action)} {printable(str(value))}: it can be {', '.join(choices)}{meant}"


def no_value(action: argparse.Action, text: str, why: str) -> str:
    """Return the message that TEXT is invalid for ACTION. WHY is the reason from its type."""
    wanted = next((words for kind, words in _TYPES.items() if action.type is kind), "")
    return f"{name(action)} {printable(text)}: wanted {wanted}" if wanted else f"{name(action)}: {why}"


def nothing_given(action: argparse.Action) -> str:
    """Return the message that ACTION has no value."""
    return f"{name(action)} needs a value: {name(action)} {action.metavar or (action.dest or '').upper()}"


def missing(parser: argparse.ArgumentParser, names: Sequence[str]) -> str:
    """Return the message that the arguments NAMES of PARSER are missing."""
    if len(names) > 1:
        return f"{' and '.join(names)} are missing"
    actions = (
        action
        for action in parser._actions  # noqa: SLF001
        if names[0] in {action.metavar, action.dest, *action.option_strings}
    )
    choices = next((action.choices for action in actions if action.choices), None)
    return f"{names[0]} is missing" + (f": it can be {', '.join(map(str, choices))}" if choices else "")


def left_over(parser: argparse.ArgumentParser, words: Sequence[str], rest: Sequence[str]) -> str:
    """Return the message for REST, the words of WORDS that PARSER does not accept."""
    option = next((word for word in rest if word.startswith("-") and len(word) > 1), "").partition("=")[0]
    commands = subcommands(parser)
    if option and commands and not any(word in commands for word in words):
        return f"there is not a command behind {escaped(option)}"
    if option:
        parsers = [parser, *(commands[word] for word in words if word in commands)]
        known = [name for one in parsers for name in one._option_string_actions]  # noqa: SLF001
        return f"{printable(option)} is not an option of `{parsers[-1].prog}`{near(option, known)}"
    extra = rest[0]
    named = {"-i", "--inventory"} & {word.partition("=")[0] for word in words}
    if "--inventory" in parser._option_string_actions and not named and _is_file(extra):  # noqa: SLF001
        return f"an inventory is named with -i: `{parser.prog} -i {escaped(extra)}`"
    return f"{printable(extra)} is more than `{parser.prog}` takes"


def name(action: argparse.Action) -> str:
    """Return the name of ACTION: its long option, or its placeholder."""
    return action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)


def _is_file(word: str) -> bool:
    """Return whether WORD may be a file: it exists, or looks like a path."""
    return os.path.exists(word) or "." in word or "/" in word or word == "-"  # noqa: PTH110, pathlib costs milliseconds
