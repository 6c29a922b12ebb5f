"""The mass-delete guard of a command: what went before, the question on the terminal, and what to remember for the next run."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from podroutes.cli import common
from podroutes.errors import PersistError
from podroutes.model.plan import Plan
from podroutes.persist import deletions
from podroutes.plan.guard import Deleted, Run, Verdict
from podroutes.plan.rounds import Done
from podroutes.plan.vanishing import Leaving
from podroutes.views import plan as plan_view

if TYPE_CHECKING:
    from podroutes.model.address import Prefix

_SHOWN = 20  # held routes that are listed above the question: more do not fit on a screen


class Guarding:
    """The guard of one run. A plan is given ``hold``; what is carried out of it is then remembered."""

    def __init__(self, arguments: argparse.Namespace, source: common.Source) -> None:
        self._arguments = arguments
        self._directory = Path(arguments.state_dir)
        self._memory = source.memory
        self._run = Run(source.cluster, {}, self._load(), time.time(), getattr(arguments, "allow_mass_delete", 0))
        self._passed: dict[Prefix, str] = {}  # what plans were allowed to delete, and counts

    def hold(self, found: Leaving) -> Verdict:
        """Judge what a plan leaves without a route."""
        if found.routes and self._memory:
            self._run = self._run._replace(former=self._memory.former())
        verdict = self._run(found)
        self._passed.update(verdict.passed)
        return verdict

    def agreed(self, plan: Plan) -> bool:
        """Ask whether what PLAN holds may go, where there is a terminal to ask on; if so, ``hold`` lets it go from now on."""
        if not plan.held:
            return False
        with terminal(self._arguments) as there:
            if there is None or not _says_yes(plan, *there):
                return False
        self._run = self._run._replace(agreed=frozenset(change.route.dst for change in plan.held))
        return True

    def remember(self, done: Done) -> None:
        """Write down which of the deletions that count were carried out, for the ten minutes to come."""
        failed = {done.plan.changes[position].route.dst for position in done.outcome.routes}
        now = time.time()
        gone = [Deleted(dst, node, now) for dst, node in self._passed.items() if dst not in failed]
        if not gone:
            return
        try:
            deletions.add(self._directory, gone, now)
        except OSError as error:
            print(
                f"podroutes: {self._directory / deletions.NAME}: {error.strerror}: the next run does not know what went now",
                file=sys.stderr,
            )

    def _load(self) -> tuple[Deleted, ...]:
        try:
            return deletions.load(self._directory)
        except PersistError as error:
            print(f"podroutes: {error}", file=sys.stderr)
            return ()


@contextmanager
def terminal(arguments: argparse.Namespace) -> Iterator[tuple[TextIO, TextIO] | None]:
    """Yield what to read an answer from and what to ask on, None where nobody is there to answer."""
    with ExitStack() as opened:
        if arguments.output != "text":
            yield None
        elif arguments.inventory == "-":  # standard input is the inventory
            yield _controlling_terminal(opened)
        elif sys.stdin and sys.stdin.isatty() and sys.stderr.isatty():
            yield sys.stdin, sys.stderr
        else:
            yield None


def _controlling_terminal(opened: ExitStack) -> tuple[TextIO, TextIO] | None:
    """Return the terminal of our session, tty(4), to be closed with OPENED; None where it has none."""
    tty = Path("/dev/tty")
    try:
        return opened.enter_context(tty.open(encoding="utf-8")), opened.enter_context(tty.open("w", encoding="utf-8"))
    except OSError:
        return None


def _says_yes(plan: Plan, answers: TextIO, screen: TextIO) -> bool:
    """Show what PLAN holds and why on SCREEN, and return whether a person agrees."""
    lines = list(plan_view.held(plan, common.style(screen)))
    more = [f"  … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    why = [problem.message for problem in plan.problems if problem.code == "mass-delete"]
    print(*lines[:_SHOWN], *more, *why, sep="\n", file=screen)
    print("Delete them? [y/N] ", end="", file=screen, flush=True)
    return answers.readline().strip().lower() in {"y", "yes"}
