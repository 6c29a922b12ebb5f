"""``podroutes status``."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from podroutes.cli import common, options
from podroutes.cli.option_values import StatusOptions, read
from podroutes.cli.parser import Parser
from podroutes.errors import AgentError
from podroutes.host import local_http
from podroutes.model.text import escaped
from podroutes.views import status as views

_DESCRIPTION = """\
Ask the agent of this machine how it is doing: its source, its routes, what it holds back and what it cannot do.

With --all it asks the agents of all nodes of the inventory, over SSH: the sshd of each machine opens the connection to --listen
there. A line for each node, from 20 nodes on only for those that are not in sync; what is wrong once, with the nodes that have it.

exit status: 0 ready and nothing is wrong, 2 something needs attention, 1 no agent answers
"""
_WAIT = 300.0  # seconds; a rollout of the agents of a large cluster takes minutes
_PAUSE = 1.0  # seconds between two questions
_PATIENCE = 5.0  # seconds; the agent answers from memory
_LARGEST = 64 << 20  # bytes; a problem with each of 100,000 nodes takes less


class _Report(NamedTuple):
    """One answer: its exit status, its text and its document, and what a watch compares."""

    status: int
    lines: Sequence[str]
    document: Any
    condition: object


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.listen(parser, "where the agent listens, on each machine")
    parser.add_argument("--all", action="store_true", help="the agents of all nodes of the inventory, over SSH")
    options.reach(parser)
    wait = f"ask again until all is in sync, for so long at most (default {_WAIT:.0f})"
    parser.add_argument(
        "--wait", metavar="SECONDS", nargs="?", type=options.between(1, 86_400), const=int(_WAIT), help=wait
    )
    parser.add_argument("-w", "--watch", action="store_true", help="go on, and print what changes, until Ctrl-C")
    options.full(parser, "with --all")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the status of the agent, or of all; 0 in sync, 2 not."""
    wanted = read(StatusOptions, arguments)
    if wanted.watch and wanted.wait:
        raise AgentError("--watch goes on until Ctrl-C, --wait until all is in sync: leave one out")
    look = _looking_at_all(wanted) if wanted.all else lambda: _one(wanted.listen)
    if wanted.watch:
        return _watch(look, wanted.output)
    report = _wait(look, wanted.wait) if wanted.wait else look()
    _say(report, wanted.output)
    return report.status


def _say(report: _Report, output: str) -> None:
    if output != "text":
        common.say_document(report.document, output)
    else:
        common.say(report.lines)


def _wait(look: Callable[[], _Report], seconds: float) -> _Report:
    """Return the first report that is in sync, or the last one in time; an agent may start meanwhile."""
    end = time.monotonic() + seconds
    while True:
        try:
            report = look()
        except AgentError:
            if time.monotonic() + _PAUSE > end:
                raise
        else:
            if not report.status or time.monotonic() + _PAUSE > end:
                return report
        time.sleep(_PAUSE)


def _watch(look: Callable[[], _Report], output: str) -> int:
    """Print each report that differs from the one before; return the last exit status at Ctrl-C."""
    status, before = 0, object()
    with suppress(KeyboardInterrupt):
        while True:
            try:
                report = look()
            except AgentError as error:  # it may start again
                from podroutes.views import documents  # noqa: PLC0415, only for a failure

                report = _Report(1, (), documents.failure(error), str(error))
                if report.condition != before:
                    print(f"podroutes: {error}", file=sys.stderr)
            if report.condition != before:
                _say(report, output)
                sys.stdout.flush()
            status, before = report.status, report.condition
            time.sleep(_PAUSE)
    return status


def _one(listen: str) -> _Report:
    """Ask the agent of this machine, at LISTEN."""
    shown = _ask(listen)
    now = time.time()
    try:
        lines = list(views.text(shown, now, common.style(sys.stdout)))
        well = shown["ready"] and not views.troubles(shown, now)
        return _Report(0 if well else 2, lines, shown, views.condition(shown))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise AgentError(
            f"the agent on {escaped(listen)} is of another version, and its answer is not understood: ask it with its own"
        ) from None


def _looking_at_all(wanted: StatusOptions) -> Callable[[], _Report]:
    """Return what asks the agents of all nodes."""
    import asyncio  # noqa: PLC0415, asyncio and SSH are for those who asked

    from podroutes.cli.push import chosen  # noqa: PLC0415, asyncio and SSH are for those who asked
    from podroutes.host.progress import Progress  # noqa: PLC0415, the same
    from podroutes.model.listening import parse_listen  # noqa: PLC0415, the same
    from podroutes.push.agents import ask_all  # noqa: PLC0415, the same
    from podroutes.push.ssh import Access, SshClient  # noqa: PLC0415, the same
    from podroutes.views import agents  # noqa: PLC0415, the same

    nodes = chosen(common.read_source(wanted.source).cluster, wanted.reach.limit)
    reach = wanted.reach
    access = Access(reach.user, reach.port, reach.ssh_config, reach.sudo, reach.timeout)
    listen = parse_listen(wanted.listen)

    def look() -> _Report:
        with Progress("asking", len(nodes)) as progress:
            asked = asyncio.run(ask_all(SshClient(access), nodes, listen, reach.parallel, progress.step))
        now = time.time()
        known = [agents.understood(answer, now) for answer in asked]
        document = agents.document(known, now)
        full = wanted.full or len(nodes) < options.FEW
        lines = list(agents.text(known, now, common.style(sys.stdout), full=full))
        status = 0 if document["in_sync"] else 1 if all(agent.status is None for agent in known) else 2
        return _Report(status, lines, document, agents.condition(known, now))

    return look


def _ask(listen: str) -> dict[str, Any]:
    """Return the status document of the agent at LISTEN."""
    try:
        status, headers, body = local_http.get(listen, "/status", _PATIENCE, _LARGEST)
        from json import loads  # noqa: PLC0415, where somebody answers

        shown: dict[str, Any] = loads(body)
        if status == 200 and "podroutes" in headers.get("server", "") and isinstance(shown, dict):
            return shown
    except OSError as error:
        raise AgentError(
            f"no agent answers on {escaped(listen)}: {error.strerror or error}; start one with `podroutes agent`, or name its address with --listen"
        ) from None
    except (ValueError, RecursionError):  # neither HTTP nor JSON
        pass
    raise AgentError(f"what answers on {escaped(listen)} is not a podroutes agent: name its address with --listen")
