"""``podroutes trace``."""

import argparse
import sys

from podroutes.cli import evidence, session
from podroutes.core.trace import trace
from podroutes.views import trace as views


def run(arguments: argparse.Namespace) -> int:
    """Follow one packet; 0 delivered, 2 not."""
    found = evidence.gather(arguments)
    followed = trace(found.network, found.source.claims, arguments.src, arguments.dst)
    if arguments.output == "json":
        session.say_json(views.document(followed))
    else:
        session.say(views.text(followed, session.style(sys.stdout)))
    return 0 if followed.cause is None else 2
