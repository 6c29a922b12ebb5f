"""``podroutes confirm``."""

import argparse

from podroutes.cli import common, options
from podroutes.cli.parser import Parser
from podroutes.errors import require_linux
from podroutes.model.text import escaped, listing

_DESCRIPTION = """\
Have the agent of this machine delete the routes that it holds: those of nodes that are gone for good. DIGEST names the set that
was looked at, as `podroutes status` and the log show it; where another set is held by now, nothing is deleted. Only root may.

exit status: 0 the routes go now, 1 nothing is held, it is another set, or no agent runs here
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    parser.add_argument("digest", metavar="DIGEST", nargs="?", default="", help="the set that may go; without it, any")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Confirm the held deletions. Raises AgentError."""
    require_linux("`podroutes confirm`", "run it on the node whose agent holds routes")
    from podroutes.agent import control  # noqa: PLC0415, threads and sockets are for those who asked

    done = control.confirm(arguments.digest)
    if arguments.output != "text":
        common.say_document(done, arguments.output)
    else:
        whose = escaped(listing(list(map(str, done["nodes"]))))
        routes = f"{done['routes']} route{'s' * (done['routes'] != 1)}"
        print(f"{routes} of {whose} ({escaped(str(done['digest']))}) deleted now")
    return 0
