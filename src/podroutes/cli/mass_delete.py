"""Asks on the terminal whether held deletions may be made."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from podroutes.cli import common
from podroutes.model.plan import Plan
from podroutes.views import plan as plan_view

_SHOWN = 20  # held routes listed above the question; more do not fit on a screen


def agreed(plan: Plan, *, inventory: str | None, output: str) -> bool:
    """Ask on the terminal, if there is one, whether the deletions that PLAN holds may be made; return the answer."""
    if not plan.held:
        return False
    with terminal(inventory=inventory, output=output) as there:
        return there is not None and _says_yes(plan, *there)


@contextmanager
def terminal(*, inventory: str | None, output: str) -> Iterator[tuple[TextIO, TextIO] | None]:
    """Yield the streams for the answer and the question, None if there is no terminal."""
    with ExitStack() as opened:
        if output != "text":
            yield None
        elif inventory == "-":  # standard input is the inventory
            yield _controlling_terminal(opened)
        elif sys.stdin and sys.stdin.isatty() and sys.stderr.isatty():
            yield sys.stdin, sys.stderr
        else:
            yield None


def _controlling_terminal(opened: ExitStack) -> tuple[TextIO, TextIO] | None:
    """Return the controlling terminal, tty(4), to be closed with OPENED; None if there is none."""
    tty = Path("/dev/tty")
    try:
        return opened.enter_context(tty.open(encoding="utf-8")), opened.enter_context(tty.open("w", encoding="utf-8"))
    except OSError:
        return None


def _says_yes(plan: Plan, answers: TextIO, screen: TextIO) -> bool:
    """Show the held deletions of PLAN and the reason on SCREEN; return whether a person agrees."""
    lines = list(plan_view.held(plan, common.style(screen)))
    more = [f"  … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    why = [problem.message for problem in plan.problems if problem.code == "mass-delete"]
    print(*lines[:_SHOWN], *more, *why, sep="\n", file=screen)
    print("Delete them? [y/N] ", end="", file=screen, flush=True)
    return answers.readline().strip().lower() in {"y", "yes"}
