"""``podroutes apply``."""

import argparse
import sys
from collections.abc import Callable

from podroutes.cli import options, session
from podroutes.cli.parser import Parser
from podroutes.core.advice import refusals
from podroutes.core.rounds import Done, joined, raced
from podroutes.errors import PersistError
from podroutes.kernel import Kernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Outcome, Plan
from podroutes.persist import backend, carry
from podroutes.persist.root import Root
from podroutes.views import data, report

_AGAIN = 2  # more plans when others change routes meanwhile; whoever does it all the time is not to be outrun
_DESCRIPTION = """\
Make the kernel's main table agree with the inventory: show the plan, carry it out, say what became of it. Only routes of
protocol 107 (podroutes), or of our own file where netplan gives them another, are ever changed or deleted; a change of next
hop is one atomic replace. Needs CAP_NET_ADMIN when there is something to change.

With --persist the same routes are written to a file of our own, in the place where the network manager reads it at the next
boot. No manager is restarted or reloaded, unless --activate asks for it.

exit status: 0 done, 1 something could not be done
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.source(parser)
    options.persist(parser)
    reload = "with --persist: have the manager read its files now; all goes back if another node stops answering"
    parser.add_argument("--activate", action="store_true", help=reload)
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the plan of this node and carry it out; 0 done, 1 something could not be done."""
    source = session.read_source(arguments)
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot()
        whole = session.plan_whole(arguments, source, fib)
        if arguments.activate and not whole.backend:
            raise PersistError("--activate goes with --persist BACKEND: there is no file that a manager could read")
        if whole.why:  # what was chosen once is chosen
            arguments.persist = whole.backend

        def again() -> Plan:
            return session.plan_whole(arguments, source, kernel.snapshot()).planned.plan

        done = carry_out(whole.planned.plan, kernel, arguments.output, again)
        if arguments.activate and done.complete:
            from podroutes.cli.activation import Then, activate  # noqa: PLC0415, seldom asked for

            arguments.persist = None
            activate(whole.backend, done.plan.files or (), Then(fib, whole.found), kernel, again)
        else:
            say_later(done)
        return 0 if done.complete else 1


def carry_out(plan: Plan, kernel: Kernel, output: str, again: Callable[[], Plan], verb: str = "Apply") -> Done:
    """Say what PLAN will do, do it, say what became of it; VERB is what the user asked for.

    Where others have changed routes meanwhile, AGAIN makes another plan, and that is carried out as well.
    """
    if output == "json":
        done = _rounds(plan, kernel, again, lambda _: None)
        session.say_json(data.plan(*done))
    else:
        done = _rounds(plan, kernel, again, _show)
        session.say_failures(*done)
        session.say_problems(done.plan.problems)
        print(report.outcome(*done, verb))
    return done


def say_later(done: Done) -> None:
    """Say how a manager that keeps its files in mind learns of what became of them."""
    for name in dict.fromkeys(change.backend for change in done.plan.files or () if change.backend):
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
    session.say(report.changes(plan, session.style(sys.stdout)))
    sys.stdout.flush()


def _do(plan: Plan, kernel: Kernel) -> tuple[Done, bool]:
    """Change kernel and files in an order that leaves no route unclaimed when it is interrupted; tell whether PLAN came late."""
    root, files = Root(), plan.files or ()
    if plan.files is not None:
        carry.check(root, files)
        carry.before(root, files)
    refused = kernel.apply(plan.changes)
    outcome = Outcome(refusals(plan.changes, refused), carry.after(root, files))
    return Done(plan, outcome), raced(refused.values())
