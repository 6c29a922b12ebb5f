"""``podroutes render``."""

import argparse
import sys
from pathlib import Path

from podroutes.cli import options, session
from podroutes.cli.parser import Parser
from podroutes.core.planning import plan_away
from podroutes.errors import PodroutesError
from podroutes.model.lasting import File
from podroutes.model.plan import Plan
from podroutes.model.text import printable
from podroutes.views import iproute

_DESCRIPTION = """\
Print the configuration that gives a node its routes, for use away from it. Touches nothing and needs no privileges.

exit status: 0 complete, 1 error (also when a podCIDR had to be left out; standard error says which)
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    formats = f"ip (commands for a shell), {', '.join(BACKENDS)}"
    parser.add_argument("format", metavar="FORMAT", choices=("ip", *BACKENDS), help=formats)
    options.source(parser)
    options.interface(parser)
    parser.add_argument("--all", action="store_true", help="for every node")
    parser.add_argument(
        "--directory", metavar="DIR", help="with --all: write a file for each node there instead of printing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the configuration of one node, or write that of all; 0 complete, 1 something had to be left out."""
    source = session.read_source(arguments)
    if arguments.directory and not arguments.all:
        raise PodroutesError("--directory goes with --all; for one node redirect the output")
    nodes = source.cluster.nodes if arguments.all else (session.own_node(arguments, source.cluster),)
    for node in dict.fromkeys(nodes):
        files = _files(plan_away(source.claims, node, arguments.interface).plan, arguments)
        if arguments.directory:
            _write(Path(arguments.directory), node.name, files)
        else:
            _print(files)
    problems = source.claims.problems
    session.say_problems(problems)
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def _files(plan: Plan, arguments: argparse.Namespace) -> tuple[File, ...]:
    if arguments.format == "ip":
        return (File("", iproute.script(plan)),)
    from podroutes.persist.away import files_away  # noqa: PLC0415, commands for a shell do without

    return files_away(arguments.format, plan, session.command_at_boot(arguments, "podroutes", node=plan.node))


def _print(files: tuple[File, ...]) -> None:
    """Print one file as it is, and several each behind a line with its name."""
    for file in files:
        sys.stdout.write(file.text if len(files) == 1 else f"# {file.path}\n{file.text}\n")


def _write(directory: Path, name: str, files: tuple[File, ...]) -> None:
    """Write commands to DIRECTORY/NAME.sh, and files to where they would be below DIRECTORY/NAME."""
    from podroutes.persist.files import write_whole  # noqa: PLC0415, printing does without

    if not name.isprintable() or "/" in name or name in {".", ".."}:
        raise PodroutesError(f"node name {printable(name)} cannot be a file name; render it alone with --node")
    for file in files:
        path = directory / (f"{name}{file.path}" if file.path else f"{name}.sh")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.text, mode=file.mode)
        except OSError as error:
            raise PodroutesError(f"{path}: {error.strerror}") from error
        print(path)
