"""``podroutes render``."""

import argparse
import sys
from pathlib import Path

from podroutes.cli import session
from podroutes.core.planning import plan_away
from podroutes.errors import PodroutesError
from podroutes.model.text import printable
from podroutes.views import iproute


def run(arguments: argparse.Namespace) -> int:
    """Print the configuration of one node, or write that of all; 0 complete, 1 something had to be left out."""
    source = session.read_source(arguments)
    if arguments.directory and not arguments.all:
        raise PodroutesError("--directory goes with --all; for one node redirect the output")
    nodes = source.cluster.nodes if arguments.all else (session.own_node(arguments, source.cluster),)
    for node in dict.fromkeys(nodes):
        text = iproute.script(plan_away(source.claims, node, arguments.interface).plan)
        if arguments.directory:
            _write(Path(arguments.directory), node.name, text)
        else:
            sys.stdout.write(text)
    problems = source.claims.problems
    session.say_problems(problems)
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def _write(directory: Path, name: str, text: str) -> None:
    from podroutes.persist.files import write_whole  # noqa: PLC0415, printing does without

    if not name.isprintable() or "/" in name or name in {".", ".."}:
        raise PodroutesError(f"node name {printable(name)} cannot be a file name; render it alone with --node")
    path = directory / f"{name}.sh"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise PodroutesError(f"{path}: {error.strerror}") from error
    print(path)
