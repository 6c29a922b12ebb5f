"""Carry a plan out and say what became of it: what ``apply`` and ``remove`` have in common."""

import sys
from collections.abc import Callable

from podroutes.cli import common
from podroutes.cli.privilege import require_net_admin
from podroutes.kernel import Kernel
from podroutes.model.plan import Outcome, Plan
from podroutes.persist import apply_files, backend
from podroutes.plan.refusals import refusals
from podroutes.plan.rounds import Done, joined, raced
from podroutes.views import iproute, json_values
from podroutes.views import plan as plan_view

_AGAIN = 2  # more plans when others change routes meanwhile; whoever does it all the time is not to be outrun


def carry_out(plan: Plan, kernel: Kernel, output: str, again: Callable[[], Plan], verb: str = "Apply") -> Done:
    """Say what PLAN will do, do it, say what became of it; VERB is what the user asked for.

    Where others have changed routes meanwhile, AGAIN makes another plan, and that is carried out as well. KernelError, before
    anything is printed, where this process may not change routes.
    """
    if plan.changes and not common.MACHINE.get():
        require_net_admin()
    if output != "text":
        done = _rounds(plan, kernel, again, lambda _: None)
        common.say_document(json_values.plan(*done), output)
    else:
        done = _rounds(plan, kernel, again, _show)
        common.say_failures(*done)
        common.say_problems(done.plan.problems)
        print(plan_view.outcome(*done, verb))
    return done


def say_later(done: Done) -> None:
    """Say how a manager that keeps its files in mind learns of what became of them."""
    for name in dict.fromkeys(change.backend for change in done.files if change.backend):
        if commands := " && ".join(" ".join(words) for words in backend(name).RELOAD):
            print(f"podroutes: {name} takes this up at the next boot; to have it so now: {commands}", file=sys.stderr)


def _rounds(plan: Plan, kernel: Kernel, again: Callable[[], Plan], show: Callable[[Plan], None]) -> Done:
    show(plan)
    done, late = _do(plan, kernel)
    for _ in range(_AGAIN):
        if not late:
            break
        plan = again()
        if plan.pending:
            print("podroutes: somebody else changed routes meanwhile; what is left to do:", file=sys.stderr)
            show(plan)
        then, late = _do(plan, kernel)
        done = joined(done, then)
    return done


def _show(plan: Plan) -> None:
    common.say(plan_view.changes(plan, common.style(sys.stdout)))
    common.say(plan_view.kept(plan, common.style(sys.stdout)))
    sys.stdout.flush()


def _do(plan: Plan, kernel: Kernel) -> tuple[Done, bool]:
    """Change kernel and files in an order that leaves no route unclaimed when it is interrupted; tell whether PLAN came late."""
    root, files = common.root(), plan.files or ()
    if plan.files is not None:
        apply_files.check(root, files)
        apply_files.before(root, files)
    refused = kernel.apply(plan.changes)
    for each in kernel.taken_over():
        print(f"podroutes: {iproute.taken_over(each)}", file=sys.stderr)
    outcome = Outcome(refusals(plan.changes, refused), apply_files.after(root, files))
    return Done(plan, outcome), raced(refused.values())
