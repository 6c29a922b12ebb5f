"""``podroutes completion``."""

import argparse
import re
from collections.abc import Callable, Iterable

from podroutes.cli import common
from podroutes.cli.parser import Parser, build_parser
from podroutes.errors import PodroutesError

_DESCRIPTION = """\
Print the completion script of a shell: commands, options and their values, and the names of nodes and labs.

  bash   source <(podroutes completion bash)
  zsh    source <(podroutes completion zsh), behind compinit
  fish   podroutes completion fish | source

The packages install the scripts where these shells look for them.

exit status: 0 printed, 1 error
"""
_SHELLS = ("bash", "zsh", "fish")
_PLAIN = re.compile(r"[A-Za-z0-9][\w.@-]*", re.ASCII)  # words without special characters in any shell


def configure(parser: Parser) -> None:
    """Declare the arguments; those for the scripts only are hidden."""
    parser.description = _DESCRIPTION
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, nargs="?", help="bash, zsh or fish")
    parser.add_argument("--list", choices=tuple(_LISTS), help=argparse.SUPPRESS)
    parser.add_argument("--inventory", help=argparse.SUPPRESS)
    parser.add_argument("--lab", nargs="?", const="lab", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell, or the names that a script requests."""
    if arguments.list:
        common.say(name for name in _LISTS[arguments.list](arguments) if _PLAIN.fullmatch(name))
        return 0
    if not arguments.shell:
        raise PodroutesError(f"completion: name a shell, {', '.join(_SHELLS[:-1])} or {_SHELLS[-1]}")
    from podroutes.cli.completion import SHELLS  # noqa: PLC0415, the listing above has to be quick
    from podroutes.cli.completion.grammar import grammar  # noqa: PLC0415

    print(SHELLS[arguments.shell](grammar(build_parser())), end="")
    return 0


def _labs(_: argparse.Namespace) -> Iterable[str]:
    from podroutes.lab import registry  # noqa: PLC0415

    return registry.names()


def _topics(arguments: argparse.Namespace) -> Iterable[str]:
    """Return the topics of ``podroutes help``: the commands and the codes."""
    from podroutes.cli.parser import subcommands  # noqa: PLC0415
    from podroutes.views import codes  # noqa: PLC0415

    return [*subcommands(build_parser(arguments.prog)), *codes.known()]


def _nodes(arguments: argparse.Namespace) -> Iterable[str]:
    """Return the nodes of an inventory, or the machines of a lab with their pods. No network is used."""
    if arguments.lab:
        from podroutes.lab import registry  # noqa: PLC0415

        nodes = registry.find(arguments.lab).cluster.nodes
        return [*(node.name for node in nodes), *(f"pod@{node.name}" for node in nodes if node.pod_cidrs), "switch"]
    if not arguments.inventory or arguments.inventory == "-":
        return []
    from podroutes import inventory  # noqa: PLC0415

    return [node.name for node in inventory.load(arguments.inventory).cluster.nodes]


_LISTS: dict[str, Callable[[argparse.Namespace], Iterable[str]]] = {"nodes": _nodes, "labs": _labs, "topics": _topics}
