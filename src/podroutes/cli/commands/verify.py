"""``podroutes verify``."""

import argparse
import sys
from typing import TYPE_CHECKING

from podroutes.cli import collection, common, options
from podroutes.cli.option_values import ProofOptions, TableOptions, read
from podroutes.cli.parser import Parser
from podroutes.errors import PodroutesError
from podroutes.verify.proof import prove
from podroutes.views import proof as views

if TYPE_CHECKING:
    from pathlib import Path

_DESCRIPTION = """\
Decide for every node and every pod CIDR of another node whether packets get there, from the tables that the nodes really
have: all policy rules and tables, longest prefix, metric, TOS, ECMP, refusing routes, link state, reverse path. Prints a
proof, or the cause of each failure. Without --tables and --lab it knows the tables of this machine alone.

exit status: 0 proven (and with --probe every pair that was asked answered), 2 not, 1 error
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.tables(parser)
    parser.add_argument("--probe", action="store_true", help="send real packets, too, and say where they disagree")
    parser.add_argument("--pod", metavar="ADDRESS", help="with --probe: ask this address, not a pod of every node")
    parser.add_argument("--html", metavar="FILE", help="also write a page to look at: map, matrix, explanations")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prove that each pod CIDR is reachable from each node; 0 proven, and all packets answered, 2 not."""
    if arguments.pod and not arguments.probe:
        raise PodroutesError("--pod is what --probe sends packets to: add --probe")
    path = destination(arguments.html) if arguments.html else None
    wanted = read(TableOptions, arguments)
    found = collection.gather(wanted)
    if arguments.probe and arguments.tables:
        found = found._replace(own=collection.own_node(wanted.source, found))
    return conclude(read(ProofOptions, arguments), found, path)


def conclude(wanted: ProofOptions, found: collection.Evidence, path: "Path | None") -> int:
    """Prove what can be proven of what was FOUND, say it, and write it to the page at PATH; 0 proven, 2 not."""
    problems = found.source.claims.problems
    proof = prove(found.network, found.source.claims)
    good = proof.proven and not any(problem.severity == "error" for problem in problems)
    document = views.document(proof, problems) if wanted.output != "text" else {}
    if wanted.output == "text":
        common.say(views.text(proof, common.style(sys.stdout)))
    probed, possible = None, 0
    if wanted.probe:
        from podroutes.cli import probe  # noqa: PLC0415, sockets are for those who asked

        sys.stdout.flush()
        sent = probe.probe_all(found, wanted)
        probed = sent.results, probe.disagreements(proof, found, sent.results)
        possible = sent.possible
        good = good and any(each.asked for each in sent.results) and not any(each.lost for each in sent.results)
    if path:
        from podroutes.cli import html  # noqa: PLC0415, only where a page is wanted

        html.save(path, found, proof, probed)
    if probed:
        from podroutes.cli import doctor as examination  # noqa: PLC0415
        from podroutes.views import probe as probe_views  # noqa: PLC0415

        examined = examination.explain(found, probed[1])  # last: it goes from machine to machine
        document["probe"] = probe_views.document(*probed, examined, possible)
        if wanted.output == "text":
            common.say(probe_views.text(*probed, examined, possible, common.style(sys.stdout)))
    if wanted.output != "text":
        common.say_document(document, wanted.output)
    else:
        common.say_problems(problems)
    return 0 if good else 2


def destination(text: str) -> "Path":
    """Return the file of --html. Raises PodroutesError if it cannot be written."""
    from podroutes.cli import html  # noqa: PLC0415, only where a page is wanted

    return html.destination(text)
