"""The output of ``apply`` and ``remove``: the plan, its progress and its result."""

import sys
from collections.abc import Callable

from podroutes.apply.executor import Executor
from podroutes.apply.observer import SILENT
from podroutes.cli import common
from podroutes.cli.privilege import require_net_admin
from podroutes.kernel import Kernel
from podroutes.model.plan import Outcome, Plan, TakenOver
from podroutes.persist import backend
from podroutes.views import iproute, plan_json
from podroutes.views import plan as plan_view


class Terminal:
    """An observer that prints."""

    def starting(self, plan: Plan) -> None:
        """Print PLAN."""
        common.say(plan_view.changes(plan, common.style(sys.stdout)))
        common.say(plan_view.kept(plan, common.style(sys.stdout)))
        sys.stdout.flush()

    def starting_again(self, plan: Plan) -> None:
        """Print that there is more to do, and PLAN."""
        _say_raced()
        self.starting(plan)

    def displaced(self, taken_over: TakenOver) -> None:
        """Print which route was displaced."""
        common.warn(iproute.taken_over(taken_over))


class Document:
    """An observer for a run whose standard output is one document: prints to standard error only."""

    starting = SILENT.starting
    displaced = Terminal.displaced

    def starting_again(self, plan: Plan) -> None:
        """Print that there is more to do."""
        del plan
        _say_raced()


def _say_raced() -> None:
    common.warn("somebody else changed routes meanwhile; what is left to do:")


def carry_out(plan: Plan, kernel: Kernel, output: str, replan: Callable[[], Plan], verb: str = "Apply") -> Outcome:
    """Show PLAN, carry it out, and show the result. VERB is the command.

    If others changed routes meanwhile, the result of REPLAN is carried out, too. Raises KernelError, before anything is printed,
        if this process may not change routes.
    """
    if plan.changes and not common.MACHINE.get():
        require_net_admin()
    if output != "text":
        outcome = Executor(kernel, common.root(), Document()).carry_out_and_replan(plan, replan)
        common.say_document(plan_json.outcome(outcome), output)
    else:
        outcome = Executor(kernel, common.root(), Terminal()).carry_out_and_replan(plan, replan)
        common.say_failures(outcome)
        common.say_problems(outcome.plan.problems)
        print(plan_view.outcome(outcome, verb))
    return outcome


def say_later(outcome: Outcome) -> None:
    """Print the commands that make a manager read its changed files."""
    written = [change for change in outcome.files_written if change.backend]
    edited = {change.backend for change in written if change.action == "edit"}
    chosen = {name: backend(name) for name in dict.fromkeys(change.backend for change in written)}
    commands = {name: each.REREAD if name in edited else each.RELOAD for name, each in chosen.items()}
    for name, words in commands.items():
        if words and not any(
            set(words) < set(more) for more in commands.values()
        ):  # netplan's begin with what networkd reads
            now = " && ".join(map(" ".join, words))
            common.warn(f"{name} applies this at the next boot; to apply it now: {now}")
