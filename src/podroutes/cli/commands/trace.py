"""``podroutes trace``."""

import argparse
import sys

from podroutes.cli import collection, common, options
from podroutes.cli.option_values import TableOptions, read
from podroutes.cli.parser import Parser
from podroutes.verify.trace import trace
from podroutes.views import trace as views

_DESCRIPTION = """\
Follow one packet from SRC to DST as the nodes' tables have it, with the rule and the route that decide at each hop.
Packets of a pod start at its node, as do those that a node itself sends.

exit status: 0 delivered (on every way that it may take), 2 not, 1 error
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    parser.usage = f"{parser.prog} SRC DST [options]"  # arguments first: --lab takes the next word as a lab's name
    parser.add_argument(
        "src", metavar="SRC", help="where it comes from: the address of a pod or machine, or a node's name"
    )
    parser.add_argument("dst", metavar="DST", help="where it goes to, likewise or any other address")
    options.source(parser)
    options.tables(parser)
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Follow one packet; 0 delivered, 2 not."""
    evidence = collection.gather(read(TableOptions, arguments))
    followed = trace(evidence.network, evidence.source.claims, arguments.src, arguments.dst)
    if arguments.output != "text":
        common.say_document(views.document(followed), arguments.output)
    else:
        common.say(views.text(followed, common.style(sys.stdout)))
    return 0 if followed.delivered else 2
