"""Carries out a plan of kernel and files. ``apply``, ``remove``, the agent and activation change a machine only through it.

The order ensures that an interrupted run leaves no unowned route:

1. The network managers' own tools check the files. Files that make routes ours (``FileChange.first``) are written.
2. Host settings are changed: a packet that a new route leads to a pod is then not masqueraded. A failed change does not stop the others.
3. The kernel is changed. A failed change does not stop the others.
4. The other files are written, then files are deleted.

If step 1 fails, a run that requested the files (``Plan.files_required``) stops, and nothing is changed. A run that only updates
existing files still changes the kernel: a route that works now matters more than one that the next boot restores. Its new routes
then have protocol number 107, which makes them ours without a file.
"""

from collections.abc import Callable, Iterable, Iterator

from podroutes.apply import host_changes
from podroutes.apply.machine_plan import not_persistent
from podroutes.apply.observer import SILENT, Observer
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.kernel import Kernel
from podroutes.model.plan import Change, FileResult, Outcome, Plan
from podroutes.model.route import PROTOCOL
from podroutes.persist import apply_files
from podroutes.plan.refusals import results
from podroutes.plan.rounds import joined, raced

_RETRIES = 2  # further plans if others change routes meanwhile; limited, since a program may change them all the time


class Executor:
    """Carries plans out on the machine of KERNEL and ROOT, and tells OBSERVER."""

    def __init__(self, kernel: Kernel, root: HostFiles, observer: Observer = SILENT) -> None:
        self._kernel = kernel
        self._root = root
        self._observer = observer
        self._raced = False  # whether others changed routes during the last plan

    def carry_out(self, plan: Plan) -> Outcome:
        """Carry out PLAN once. Raises PersistError, before any change, if required files are refused; KernelError."""
        self._observer.starting(plan)
        return self._carry_out(plan)

    def carry_out_and_replan(self, plan: Plan, replan: Callable[[], Plan]) -> Outcome:
        """Carry out PLAN. If others changed routes meanwhile, also carry out the result of REPLAN. Raises the errors of ``carry_out``."""
        outcome = self.carry_out(plan)
        for _ in range(_RETRIES):
            if not self._raced:
                break
            plan = replan()
            if plan.pending:
                self._observer.starting_again(plan)
            outcome = joined(outcome, self._carry_out(plan))
        return outcome

    def _carry_out(self, plan: Plan) -> Outcome:
        refused = self._prepare(plan)
        changes = tuple(without_files(plan.changes)) if refused else plan.changes
        settings = host_changes.carry_out(self._root, plan.host)
        failures = self._kernel.apply(changes)
        # A script for nft(8) fails as a whole where the table is not the one any more that it was planned for.
        overtaken = any(result.failure and result.change.action == "update" for result in settings)
        self._raced = overtaken or raced(failures.values())
        for taken_over in self._kernel.taken_over():
            self._observer.displaced(taken_over)
        if refused:
            written = tuple(FileResult(change, refused) for change in plan.files or ())
        else:
            written = apply_files.after(self._root, plan.files or ())
        return Outcome(plan, results(changes, failures), written, settings)

    def _prepare(self, plan: Plan) -> str | None:
        """Check the files of PLAN and write those that come first; return why that failed, None if it did not."""
        if plan.files is None:
            return None
        apply_files.clean(self._root)
        try:
            apply_files.check(self._root, plan.files)
            apply_files.before(self._root, plan.files)
        except PersistError as error:
            if plan.files_required:
                raise
            return str(error)
        return None


def checked(plan: Plan, root: HostFiles) -> Plan:
    """Return the part of PLAN to carry out on another machine, after the check of its files below ROOT, by the same rule.

    Raises PersistError if required files are refused.
    """
    try:
        apply_files.check(root, plan.files or ())
    except PersistError as error:
        if plan.files_required:
            raise
        return plan._replace(changes=tuple(without_files(plan.changes)), files=()).with_problem(not_persistent(error))
    return plan


def without_files(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield CHANGES with protocol number 107 for the new routes, so that they are ours without files."""
    for change in changes:
        if change.action == "delete" or change.route.protocol == PROTOCOL:
            yield change
            continue
        route = change.route._replace(protocol=PROTOCOL)
        if route != change.was:  # otherwise it would only change the number
            yield change._replace(route=route)
