"""``podroutes verify``."""

import argparse
import sys
from typing import TYPE_CHECKING

from podroutes.cli import evidence, session
from podroutes.core.proof import prove
from podroutes.errors import PodroutesError
from podroutes.views import proof as views

if TYPE_CHECKING:
    from pathlib import Path


def run(arguments: argparse.Namespace) -> int:
    """Prove that every pod CIDR is reachable from every node; 0 proven, and all packets answered, 2 not."""
    if arguments.pod and not arguments.probe:
        raise PodroutesError("--pod is what --probe sends packets to: add --probe")
    if arguments.probe and arguments.tables:
        raise PodroutesError("--probe sends packets from this machine, --tables speaks of others: leave one out")
    path = _destination(arguments.html) if arguments.html else None
    found = evidence.gather(arguments)
    problems = found.source.claims.problems
    proof = prove(found.network, found.source.claims)
    good = proof.proven and not any(problem.severity == "error" for problem in problems)
    document = views.document(proof, problems) if arguments.output == "json" else {}
    if arguments.output == "text":
        session.say(views.text(proof, session.style(sys.stdout)))
    probed = None
    if arguments.probe:
        from podroutes.cli import probing  # noqa: PLC0415, sockets are for those who asked
        from podroutes.views import probing as probe_views  # noqa: PLC0415

        sys.stdout.flush()
        results = probing.probe_all(found, arguments)
        differences = probing.disagreements(proof, found, results)
        probed = results, differences
        good = good and all(result.answered for result in results)
        document["probe"] = probe_views.document(results, differences)
        if arguments.output == "text":
            session.say(probe_views.text(results, differences, session.style(sys.stdout)))
    if arguments.output == "json":
        session.say_json(document)
    else:
        session.say_problems(problems)
    if path:
        from podroutes.cli import page  # noqa: PLC0415

        page.save(path, arguments, found, proof, probed)
    return 0 if good else 2


def _destination(text: str) -> "Path":
    from podroutes.cli import page  # noqa: PLC0415, only where a page is wanted

    return page.destination(text)
