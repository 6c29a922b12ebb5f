"""All options of all commands, each with its environment variable; cheap to build, as every run pays for it."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from podroutes import __version__

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
_EPILOG = """\
Every option has an environment variable: --inventory is PODROUTES_INVENTORY. Colour is off where NO_COLOR is set.
Exit status: 0 all is well, 1 error, 2 where a command found something to do or to mend (`COMMAND --help` says what).
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the terminal's width itself: argparse makes one of these for every option, and would load shutil for it."""

    def __init__(
        self, prog: str, indent_increment: int = 2, max_help_position: int = 24, width: int | None = None
    ) -> None:
        super().__init__(prog, indent_increment, max_help_position, width or _columns() - 2)


def _columns() -> int:
    with suppress(ValueError):
        return int(os.environ.get("COLUMNS", ""))
    with suppress(OSError, ValueError):  # ValueError: there is no standard output
        return os.get_terminal_size(sys.stdout.fileno()).columns
    return 80


class Parser(argparse.ArgumentParser):
    """An argument parser whose options default to PODROUTES_* variables, and whose complaints are one line and status 1."""

    def __init__(self, **keywords: Any) -> None:
        keywords.setdefault("formatter_class", _Formatter)
        super().__init__(allow_abbrev=False, **keywords)
        self.fill: Callable[[Parser], None] | None = None  # declares the options of a command, once it is called

    def add_argument(self, *names: Any, **keywords: Any) -> argparse.Action:
        """Declare an option; its long name tells its environment variable."""
        action = super().add_argument(*names, **keywords)
        variable = next((_variable(name) for name in action.option_strings if name.startswith("--")), "")
        value = os.environ.get(variable)
        if value is not None and not isinstance(action, argparse._HelpAction | argparse._VersionAction):  # noqa: SLF001
            self._take(action, variable, value)
        return action

    def add_subparsers(self, **keywords: Any) -> "argparse._SubParsersAction[Any]":
        """Declare commands; left to work out their prefix, argparse would load a formatter, and with it shutil."""
        keywords.setdefault("prog", self.prog)
        return super().add_subparsers(**keywords)

    def complete(self) -> None:
        """Declare what was put off until now."""
        fill, self.fill = self.fill, None
        if fill:
            fill(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse ARGS, as argparse does when the command is called."""
        self.complete()
        return super().parse_known_args(args, namespace)

    def _take(self, action: argparse.Action, variable: str, value: str) -> None:
        if isinstance(action, argparse._StoreTrueAction):  # noqa: SLF001, argparse has no public name for it
            if value.lower() not in _TRUE | _FALSE:
                self.error(f"{variable} is {value!r}; it can be 1 or 0")
            action.default = value.lower() in _TRUE
        elif action.choices is not None and value not in action.choices:
            self.error(f"{variable} is {value!r}; it can be {', '.join(map(str, action.choices))}")
        else:
            action.default = value
            action.required = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line. Status 1, as 2 says that changes are pending."""
        self.exit(1, f"podroutes: {message} (see `{self.prog} --help`)\n")


def _variable(option: str) -> str:
    return "PODROUTES_" + option.removeprefix("--").replace("-", "_").upper()


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """Return the body of a command, whose module is imported when it is called."""

    def run(arguments: argparse.Namespace) -> int:
        status: int = import_module(f"podroutes.cli.commands.{name}").run(arguments)
        return status

    return run


def build_parser() -> Parser:
    """Return the parser for the whole command line; a command's options are declared when it is called."""
    parser = Parser(
        prog="podroutes",
        description="Plan, apply, keep and prove the routes between the pods of a Kubernetes cluster.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"podroutes {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (summary, description, fill) in _COMMANDS.items():
        command: Parser = commands.add_parser(name, help=summary, description=description)
        command.fill = fill
        command.set_defaults(run=_command(name))
    return parser


def _plan(parser: Parser) -> None:
    _source(parser)
    parser.add_argument("--all", action="store_true", help="for every node, from the inventory alone")
    _interface(parser)
    _persist(parser)
    _output(parser)


def _apply(parser: Parser) -> None:
    _source(parser)
    _persist(parser)
    reload = "with --persist: have the manager read its files now; all goes back if another node stops answering"
    parser.add_argument("--activate", action="store_true", help=reload)
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    _output(parser)


def _show(parser: Parser) -> None:
    _source(parser)
    _output(parser)


def _remove(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    _output(parser)


def _render(parser: Parser) -> None:
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    formats = f"ip (commands for a shell), {', '.join(BACKENDS)}"
    parser.add_argument("format", metavar="FORMAT", choices=("ip", *BACKENDS), help=formats)
    _source(parser)
    _interface(parser)
    parser.add_argument("--all", action="store_true", help="for every node")
    parser.add_argument(
        "--directory", metavar="DIR", help="with --all: write a file for each node there instead of printing"
    )


def _verify(parser: Parser) -> None:
    _source(parser)
    _tables(parser)
    parser.add_argument("--probe", action="store_true", help="send real packets, too, and say where they disagree")
    parser.add_argument("--pod", metavar="ADDRESS", help="with --probe: ask this address, not every node's pod gateway")
    parser.add_argument("--html", metavar="FILE", help="also write a page to look at: map, matrix, explanations")
    _output(parser)


def _trace(parser: Parser) -> None:
    parser.add_argument(
        "src", metavar="SRC", help="where it comes from: the address of a pod or machine, or a node's name"
    )
    parser.add_argument("dst", metavar="DST", help="where it goes to, likewise or any other address")
    _source(parser)
    _tables(parser)
    _output(parser)


def _doctor(parser: Parser) -> None:
    _source(parser)
    parser.add_argument("--fix", action="store_true", help="set the sysctls that are missing, until the next boot")
    _output(parser)


def _lab(parser: Parser) -> None:
    from podroutes.lab import commands  # noqa: PLC0415, its options are many

    commands.configure(parser)


def _source(parser: Parser) -> None:
    parser.add_argument(
        "-i",
        "--inventory",
        metavar="PATH",
        help="the nodes: podroutes YAML or JSON, machines.txt, or what `kubectl get nodes -o json` prints; - is standard input",
    )
    action = parser.add_argument(
        "--node", metavar="NAME", help="which node this machine is; found by host name or address"
    )
    action.default = action.default or os.environ.get("NODE_NAME")  # what the downward API usually sets in a pod


def _interface(parser: Parser) -> None:
    parser.add_argument(
        "--interface", metavar="DEV", help="the device towards the other nodes, where the inventory names none"
    )


def _tables(parser: Parser) -> None:
    parser.add_argument(
        "--tables",
        metavar="DIR",
        help="the nodes' tables, DIR/NODE/{link,addr,route,rule,rule6}.json as `ip -j` prints them",
    )
    parser.add_argument(
        "--lab", metavar="NAME", nargs="?", const="lab", help="read the tables from a running lab (default lab)"
    )


def _persist(parser: Parser) -> None:
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--persist",
        metavar="BACKEND",
        choices=("auto", *BACKENDS, "none"),
        help=f"write the routes down for the next boot: auto (for the manager of the interface), {', '.join(BACKENDS)}; "
        "none takes back what was written; without it, what is written down already is kept up to date",
    )
    parser.add_argument("--sysctl", action="store_true", help="with --persist: turn on forwarding at boot as well")


def _output(parser: Parser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


_PLAN = """\
Compare the inventory with the routes of this machine and show the difference. Changes nothing, needs no privileges.

exit status: 0 in sync, 2 changes pending, 1 error (also when nothing is pending but a podCIDR cannot be routed)
"""
_APPLY = """\
Make the kernel's main table agree with the inventory: show the plan, carry it out, say what became of it. Only routes of
protocol 107 (podroutes), or of our own file where netplan gives them another, are ever changed or deleted; a change of next
hop is one atomic replace. Needs CAP_NET_ADMIN when there is something to change.

With --persist the same routes are written to a file of our own, in the place where the network manager reads it at the next
boot. No manager is restarted or reloaded, unless --activate asks for it.

exit status: 0 done, 1 something could not be done
"""
_SHOW = """\
List the routes of ours that the kernel has and the wanted ones it has not, one a line in the style of `ip route`.

states: ok, missing, stale (no longer wanted, or not that way), foreign (someone else holds the prefix), unreachable (the
next hop cannot be reached)
exit status: 0 all ok, 2 any is not, 1 error
"""
_REMOVE = """\
Delete every route of protocol 107 (podroutes), in every table, every file that podroutes wrote for the next boot, with
netplan also the routes that it made of our file, and nothing else. Needs no inventory.

exit status: 0 done, 1 something could not be done
"""
_RENDER = """\
Print the configuration that gives a node its routes, for use away from it. Touches nothing and needs no privileges.

exit status: 0 complete, 1 error (also when a podCIDR had to be left out; standard error says which)
"""
_VERIFY = """\
Decide for every node and every pod CIDR of another node whether packets get there, from the tables that the nodes really
have: all policy rules and tables, longest prefix, metric, TOS, ECMP, refusing routes, link state, reverse path. Prints a
proof, or the cause of each failure. Without --tables and --lab it knows the tables of this machine alone.

exit status: 0 proven (and with --probe every packet answered), 2 not, 1 error
"""
_TRACE = """\
Follow one packet from SRC to DST as the nodes' tables have it, with the rule and the route that decide at each hop.
Packets of a pod start at its node, as do those that a node itself sends.

exit status: 0 delivered (on every way that it may take), 2 not, 1 error
"""
_DOCTOR = """\
Examine this machine for everything that would stop pod traffic although the routes are right: forwarding, reverse path
filter, packet filter, CNI configuration, other programs' routes, network managers, neighbours, MTU. Each finding has a
cause, what was read where, and the command that mends it. Without an inventory it knows less. Asks each next hop by ARP or
neighbour solicitation. Changes nothing without --fix, which touches sysctls of this network namespace and nothing else.

exit status: 0 healthy (there may be findings for information), 2 findings, 1 error
"""

_COMMANDS: dict[str, tuple[str, str, Callable[[Parser], None]]] = {
    "plan": ("show what apply would change on this node", _PLAN, _plan),
    "apply": ("make the kernel agree with the inventory", _APPLY, _apply),
    "show": ("list our routes as the kernel has them, each with its node and state", _SHOW, _show),
    "remove": ("take back every route of ours, and nothing else", _REMOVE, _remove),
    "render": ("print a node's persistent configuration without touching anything", _RENDER, _render),
    "verify": ("prove that every pod CIDR is reachable from every node, or say why not", _VERIFY, _verify),
    "trace": ("follow one packet through the nodes' tables, hop by hop", _TRACE, _trace),
    "doctor": ("examine this machine for everything that would stop pod traffic", _DOCTOR, _doctor),
    "lab": ("make a cluster of network namespaces on this machine to try things in", "", _lab),
}
