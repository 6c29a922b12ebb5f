"""The argument parser. Each option has an environment variable. It is cheap to build, since each run does it."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from podroutes import __version__
from podroutes.cli import config_file
from podroutes.errors import UsageError

# argparse looks for a translation of its own words at each start, and loads locale for it; there is none.
argparse._ = str  # type: ignore[attr-defined]
_REQUIRED = "the following arguments are required: "  # argparse's message
_WIDTH = 80  # columns that no text is printed with: help has its own (``help_text``)
TRUE = {"1", "true", "yes", "on"}
FALSE = {"", "0", "false", "no", "off"}
_EPILOG = """\
Every option has an environment variable: --inventory is PODROUTES_INVENTORY. What every run repeats can stand in
/etc/podroutes/podroutes.conf or ~/.config/podroutes/podroutes.conf (`podroutes config`).

Exit status: 0 all is well, 1 error, 2 where a command found something to do or to mend (`COMMAND --help` says what).
`podroutes help CODE` explains a code that a command prints, such as no-route or foreign-route.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose options default to PODROUTES_* variables and then to the configuration files.

    Raises UsageError, one line long. Options may stand before the command that they belong to. Without a command the help is printed.
    """

    def __init__(self, settings: Mapping[str, config_file.Setting] | None = None, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, **keywords)
        self.fill: Callable[[Parser], None] | None = None  # declares the options of a command when it is used
        self.settle: Callable[[argparse.Namespace, set[str]], None] | None = (
            None  # called with the options that were given
        )
        self.groups: dict[str, tuple[str, ...]] = {}  # of commands, for help
        self.settings = settings or {}
        self.origins: dict[
            str, str
        ] = {}  # the origin of an option's default, by dest: a variable, or FILE:LINE: OPTION
        self._completed = False

    def add_argument(self, *names: Any, **keywords: Any) -> argparse.Action:
        """Declare an option. Its environment variable follows from its long name."""
        action = super().add_argument(*names, **keywords)
        name = next((name for name in action.option_strings if name.startswith("--")), "")
        if not name or isinstance(action, argparse._HelpAction | argparse._VersionAction):  # noqa: SLF001
            return action
        variable = variable_of(name)
        value = os.environ.get(variable)
        setting = self.settings.get(name[2:])
        if value is not None:
            self.origins[action.dest] = variable
            self._take(action, variable, value)
        elif setting:
            self.origins[action.dest] = f"{setting.place}: {name[2:]}"
            self._take(action, self.origins[action.dest], setting.value)
        return action

    def _get_formatter(self) -> argparse.HelpFormatter:
        """Return what argparse checks each option with; left to find its width, it would load shutil."""
        return argparse.HelpFormatter(self.prog, width=_WIDTH)

    def is_set_by_file(self, dest: str) -> bool:
        """Return whether the default of an option comes from a configuration file."""
        return ":" in self.origins.get(dest, "")

    def format_help(self) -> str:
        """Return the help of a command; argparse's formatter would wrap or join its lines."""
        from podroutes.cli import help_text  # noqa: PLC0415, only where it is asked for

        self.complete()
        return help_text.text(self)

    def add_subparsers(self, **keywords: Any) -> "argparse._SubParsersAction[Any]":
        """Declare commands. The prefix is set, since argparse would load a formatter and shutil to find it."""
        keywords.setdefault("prog", self.prog)
        keywords["required"] = False  # parse_known_args prints the help instead
        keywords["parser_class"] = partial(Parser, settings=self.settings)
        return super().add_subparsers(**keywords)

    def complete(self) -> None:
        """Declare the deferred options."""
        if self._completed:
            return
        self._completed = True
        if self.fill:
            self.fill(self)
        if not _commands(self):
            colours = "colour: auto (for a terminal, unless NO_COLOR is set; FORCE_COLOR forces it), always or never"
            self.add_argument(
                "--color", metavar="WHEN", choices=("auto", "always", "never"), default="auto", help=colours
            )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse ARGS, called by argparse for the selected command. Raises UsageError for unknown words."""
        self.complete()
        words = list(sys.argv[1:] if args is None else args)
        commands = _commands(self)
        if commands and words and words[0].startswith("-"):
            words = _behind(commands, words)
            if words[0].startswith("-") and words[0] not in self._option_string_actions:
                self._left_over(words, words)
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            self._left_over(words, rest)
        if commands and not any(word in commands for word in words):
            found.run = self._help
        if self.settle:
            self.settle(found, self._typed(words))
        return found, rest

    def _typed(self, words: list[str]) -> set[str]:
        """Return the options in WORDS, by dest."""
        known = self._option_string_actions
        names = ((word, word.partition("=")[0], word[:2]) for word in words)  # --node=x, -ix
        return {known[name].dest for ways in names for name in ways if name in known and name.startswith("-")}

    def _left_over(self, words: list[str], rest: list[str]) -> NoReturn:
        from podroutes.cli import mistakes  # noqa: PLC0415, only for a mistake

        self.error(mistakes.left_over(self, words, rest))

    def _help(self, _: argparse.Namespace) -> int:
        self.print_help()
        return 0

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            from podroutes.cli import mistakes  # noqa: PLC0415

            raise argparse.ArgumentError(None, mistakes.no_choice(action, value))

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            from podroutes.cli import mistakes  # noqa: PLC0415

            raise argparse.ArgumentError(None, mistakes.no_value(action, arg_string, error.message)) from None

    def _match_argument(self, action: argparse.Action, arg_strings_pattern: str) -> int:
        try:
            return super()._match_argument(action, arg_strings_pattern)
        except argparse.ArgumentError:
            from podroutes.cli import mistakes  # noqa: PLC0415

            raise argparse.ArgumentError(None, mistakes.nothing_given(action)) from None

    def _take(self, action: argparse.Action, variable: str, value: str) -> None:
        if isinstance(action, argparse._StoreTrueAction):  # noqa: SLF001, argparse has no public name for it
            if value.lower() not in TRUE | FALSE:
                self.error(f"{variable} is {value!r}; it can be 1 or 0")
            action.default = value.lower() in TRUE
        elif action.choices is not None and value not in action.choices:
            self.error(f"{variable} is {value!r}; it can be {', '.join(map(str, action.choices))}")
        else:
            action.default = value
            action.required = False

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with the error and a reference to the help."""
        if message.startswith(_REQUIRED):
            from podroutes.cli import mistakes  # noqa: PLC0415

            message = mistakes.missing(self, message.removeprefix(_REQUIRED).split(", "))
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the direct subcommands of PARSER by name; their options may not be declared yet."""
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    return {name: command for action in actions for name, command in action.choices.items()}


def _behind(commands: dict[str, argparse.ArgumentParser], words: list[str]) -> list[str]:
    """Return WORDS with options that precede one of COMMANDS moved after it, if they are options of that command."""
    for position, word in enumerate(words):
        if word in commands and _takes(commands[word], words[:position]):
            return [word, *words[:position], *words[position + 1 :]]
    return words


def _takes(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Return whether WORDS are options of PARSER, or of one of its subcommands, with their values."""
    if isinstance(parser, Parser):
        parser.complete()
    if commands := _commands(parser):
        return any(_takes(command, words) for command in commands.values())
    rest = list(words)
    while rest:
        option, separator, _ = rest.pop(0).partition("=")
        action = parser._option_string_actions.get(option)  # noqa: SLF001
        if action is None:
            return False
        if separator or action.nargs == 0:
            continue
        if rest and not rest[0].startswith("-"):
            rest.pop(0)
        elif action.nargs is None:
            return False
    return True


def variable_of(option: str) -> str:
    """Return the environment variable of OPTION, ``--long-name``."""
    return "PODROUTES_" + option.removeprefix("--").replace("-", "_").upper()


def _body(name: str) -> ModuleType:
    """Return the module of a command, with its options (``configure``) and its body (``run``)."""
    return import_module(f"podroutes.cli.commands.{name}")


def _run(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        status: int = _body(name).run(arguments)
        return status

    return run


def build_parser(prog: str = "podroutes") -> Parser:
    """Return the parser for the whole command line; a command's options are declared when it is called."""
    parser = Parser(
        prog=prog,
        description="Plan, apply, keep and prove the routes between the pods of a Kubernetes cluster.",
        epilog=_EPILOG,
        settings=config_file.read(),
    )
    parser.add_argument("--version", action="version", version=f"podroutes {__version__}", help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group, summaries in _COMMANDS.items():
        parser.groups[group] = tuple(summaries)
        for name, summary in summaries.items():
            command: Parser = commands.add_parser(name, help=summary)
            command.fill = lambda parser, name=name: _body(name).configure(parser)
            command.set_defaults(run=_run(name), prog=prog)
    return parser


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the direct subcommands of PARSER by name, in the order in which they were added, with their options declared."""
    commands = _commands(parser)
    for command in commands.values():
        if isinstance(command, Parser):
            command.complete()
    return commands


def arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and positional arguments that help shows, without the subcommands and --help."""
    hidden = (argparse._SubParsersAction, argparse._HelpAction)  # noqa: SLF001
    shown = (action for action in parser._actions if action.help is not argparse.SUPPRESS)  # noqa: SLF001
    return [action for action in shown if not isinstance(action, hidden)]


_COMMANDS = {
    "operate": {
        "plan": "show what apply would change on this node",
        "apply": "make the kernel agree with the inventory",
        "show": "list our routes as the kernel has them, each with its node and state",
        "remove": "take back every route of ours, and nothing else",
        "render": "print a node's persistent configuration without touching anything",
        "push": "plan, apply, verify or remove on every machine of the inventory, over SSH",
    },
    "keep": {
        "agent": "keep this machine's routes right, whatever happens to the cluster and to the kernel",
        "status": "ask the agent of this machine how it is doing",
        "confirm": "have the agent of this machine delete the routes that it holds",
    },
    "prove": {
        "verify": "prove that every pod CIDR is reachable from every node, or say why not",
        "trace": "follow one packet through the nodes' tables, hop by hop",
        "doctor": "examine this machine for everything that would stop pod traffic",
        "test": "send real packets between the pods and machines of a lab",
    },
    "try": {
        "lab": "make a cluster of network namespaces on this machine to try things in",
    },
    "about podroutes": {
        "help": "explain a command, or the code of a problem, cause or finding",
        "version": "print the versions of podroutes and of what it runs on",
        "config": "print which options the environment and the configuration files set",
        "schema": "print the JSON Schema of a document, or of the inventory",
        "completion": "print the completion script of a shell",
    },
}
