"""``podroutes verify``."""

import argparse
import sys

from podroutes.cli import evidence, session
from podroutes.core.proof import prove
from podroutes.views import proof as views


def run(arguments: argparse.Namespace) -> int:
    """Prove that every pod CIDR is reachable from every node; 0 proven, 2 not."""
    found = evidence.gather(arguments)
    claims = found.source.claims
    proof = prove(found.network, claims)
    if arguments.output == "json":
        session.say_json(views.document(proof, claims.problems))
    else:
        session.say(views.text(proof, session.style(sys.stdout)))
        session.say_problems(claims.problems)
    clean = not any(problem.severity == "error" for problem in claims.problems)
    return 0 if proof.proven and clean else 2
