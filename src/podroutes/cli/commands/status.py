"""``podroutes status``."""

import argparse
import sys
import time
from typing import Any

from podroutes.cli import common, options
from podroutes.cli.parser import Parser
from podroutes.errors import AgentError
from podroutes.host import local_http
from podroutes.model.text import escaped
from podroutes.views import status as views

_DESCRIPTION = """\
Ask the agent of this machine how it is doing: its source, its routes, what it holds back and what it cannot do.

exit status: 0 it is ready and nothing is wrong, 2 something needs attention, 1 no agent answers
"""
_PATIENCE = 5.0  # seconds; the agent answers from memory
_LARGEST = 64 << 20  # bytes; a problem with each of 100,000 nodes takes less


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.listen(parser, "where the agent listens")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the status of the agent; 0 in sync, 2 not."""
    shown = _ask(arguments.listen)
    try:
        lines = list(views.text(shown, time.time(), common.style(sys.stdout)))
        well = shown["ready"] and not views.troubles(shown, time.time())
    except (LookupError, TypeError, ValueError, AttributeError):
        raise AgentError(
            f"the agent on {escaped(arguments.listen)} is of another version, and its answer is not understood: ask it with its own"
        ) from None
    if arguments.output != "text":
        common.say_document(shown, arguments.output)
    else:
        common.say(lines)
    return 0 if well else 2


def _ask(listen: str) -> dict[str, Any]:
    """Return the status document of the agent at LISTEN."""
    try:
        status, headers, body = local_http.get(listen, "/status", _PATIENCE, _LARGEST)
        from json import loads  # noqa: PLC0415, where somebody answers

        shown: dict[str, Any] = loads(body)
        if status == 200 and "podroutes" in headers.get("server", "") and isinstance(shown, dict):
            return shown
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AgentError(
            f"no agent answers on {escaped(listen)}: {why}; start one with `podroutes agent`, or name its address with --listen"
        ) from None
    raise AgentError(f"what answers on {escaped(listen)} is not a podroutes agent: name its address with --listen")
