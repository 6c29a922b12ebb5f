"""Formats the help of a command: wrapped to the terminal, with commands and options in groups, and examples."""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

from podroutes.cli import examples
from podroutes.cli.parser import Parser, arguments, subcommands
from podroutes.host import terminal

_WIDEST = 100  # columns; longer lines are hard to read
_LABEL = re.compile(r"[a-z ]+: ")  # "exit status: 0 ..." begins a new line
_INDENT = 4
_COLUMN = 18  # the column of command summaries, and the lowest column of option texts
_SOURCE = ("inventory", "kubernetes", "kubeconfig", "context", "pod_cidr", "node_cidr", "service_cidr", "node")
_OUTPUT = ("output", "verbose", "quiet", "full", "color")


def text(parser: Parser) -> str:
    """Return the help of PARSER."""
    width = min(terminal.columns(sys.stdout), _WIDEST) - 1
    return "\n".join(_lines(parser, max(width, 40))) + "\n"


def _lines(parser: Parser, width: int) -> Iterator[str]:
    yield from usage(parser, width)
    yield ""
    yield from paragraphs(parser.description or "", width)
    yield from _commands(parser, width)
    shown = arguments(parser)
    yield from _section("arguments", [row for row in shown if not row.option_strings], parser, width)
    options = [row for row in shown if row.option_strings]
    options += [action for action in parser._actions if isinstance(action, argparse._HelpAction)]  # noqa: SLF001, argparse has no public name
    source = [option for option in options if option.dest in _SOURCE]
    output = [option for option in options if option.dest in _OUTPUT]
    yield from _section("nodes", source, parser, width)
    yield from _section(
        "options", [option for option in options if option not in source and option not in output], parser, width
    )
    yield from _section("output", output, parser, width)
    root, _, command = parser.prog.removeprefix("kubectl ").partition(" ")
    lines = examples.of(command, parser.prog.removesuffix(f" {command}") if command else parser.prog) if root else []
    if lines:
        yield from ("", "examples:", *(f"{'':{_INDENT}}{line}" for line in lines))
    if parser.epilog:
        yield ""
        yield from paragraphs(parser.epilog, width)


def usage(parser: Parser, width: int) -> Iterator[str]:
    """Yield the usage in one line; argparse would list all options."""
    if parser.usage:
        yield f"usage: {parser.usage}"
        return
    words = [_placeholder(argument) for argument in arguments(parser) if not argument.option_strings]
    if subcommands(parser):
        words = ["COMMAND"]
    line = f"usage: {' '.join([parser.prog, *words, '[OPTION]...'])}"
    yield from textwrap.wrap(line, width, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)


def paragraphs(text: str, width: int) -> Iterator[str]:
    """Yield TEXT in lines of WIDTH. Indented lines stay as they are, and a label such as ``signals:`` begins a line."""
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("  "):
            yield from paragraph.splitlines()
            continue
        piece: list[str] = []
        for line in paragraph.splitlines():
            if piece and _LABEL.match(line):
                yield from _wrapped(piece, width)
                piece = []
            piece.append(line)
        yield from _wrapped(piece, width)


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    return textwrap.wrap(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)


def _commands(parser: Parser, width: int) -> Iterator[str]:
    summaries = {
        choices_action.dest: choices_action.help or ""
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for choices_action in action._choices_actions  # noqa: SLF001
    }
    for title, names in (parser.groups or {"commands": tuple(summaries)}).items() if summaries else ():
        yield from ("", f"{title}:")
        for name in names:
            yield from _row(name, summaries[name], _COLUMN, width)


def _section(title: str, actions: Sequence[argparse.Action], parser: Parser, width: int) -> Iterator[str]:
    if not actions:
        return
    yield ""
    if title:
        yield f"{title}:"
    for action in actions:
        help_text = "print this help" if isinstance(action, argparse._HelpAction) else action.help or ""  # noqa: SLF001
        help_text %= {**vars(action), "prog": parser.prog}
        yield from _row(_head(action), help_text, min(_COLUMN + 10, width // 2), width)


def _head(action: argparse.Action) -> str:
    if not action.option_strings:
        return _placeholder(action)
    value = "" if action.nargs == 0 else _metavar(action)
    if value and action.nargs == argparse.OPTIONAL:
        value = f"[{value}]"
    return " ".join(filter(None, (", ".join(action.option_strings), value)))


def _placeholder(action: argparse.Action) -> str:
    name = _metavar(action)
    return {argparse.OPTIONAL: f"[{name}]", argparse.ZERO_OR_MORE: f"[{name}]..."}.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _row(head: str, text: str, column: int, width: int) -> Iterator[str]:
    """Yield HEAD with TEXT at COLUMN; TEXT begins on the next line if HEAD is too long."""
    lines = textwrap.wrap(text, max(width - column, 20), break_long_words=False, break_on_hyphens=False) or [""]
    start = f"{'':{_INDENT}}{head}"
    if len(start) > column - 2:
        yield start
    else:
        yield f"{start:{column}}{lines.pop(0)}".rstrip()
    yield from (f"{'':{column}}{line}" for line in lines)
