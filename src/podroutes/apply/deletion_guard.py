"""The mass-delete guard of one run of a command. It counts the deletions of earlier runs, and saves its own for later ones."""

import os
import time
from typing import TYPE_CHECKING

from podroutes.apply.saved_state import RunState, Warn, load_deletions
from podroutes.model.cluster import Cluster
from podroutes.model.plan import Outcome, Plan
from podroutes.persist import deletions
from podroutes.plan.guard import Deleted, Run, Verdict
from podroutes.plan.vanishing import Leaving

if TYPE_CHECKING:
    from podroutes.model.address import Prefix


class DeletionGuard:
    """Decides about the plans of one run with ``hold``. DIRECTORY has the state; ALLOWED prefixes may be deleted at once."""

    def __init__(
        self, cluster: Cluster, directory: str | os.PathLike[str], allowed: int, saved: RunState | None, warn: Warn
    ) -> None:
        self._directory = directory
        self._saved = saved
        self._warn = warn
        self._run = Run(cluster, {}, load_deletions(directory, warn), time.time(), allowed)
        self._passed: dict[Prefix, str] = {}  # allowed deletions, which count

    def hold(self, leaving: Leaving) -> Verdict:
        """Decide about the prefixes that a plan leaves without a route."""
        if leaving.routes and self._saved:
            self._run = self._run._replace(former=self._saved.former())
        verdict = self._run(leaving)
        self._passed.update(verdict.passed)
        return verdict

    def allow(self, plan: Plan) -> None:
        """Allow the deletions that PLAN holds from now on: a person agreed."""
        self._run = self._run._replace(agreed=frozenset(change.route.dst for change in plan.held))

    def save(self, outcome: Outcome) -> None:
        """Save the counted deletions that were carried out, for the next ten minutes."""
        failed = {result.change.route.dst for result in outcome.routes if result.refusal}
        now = time.time()
        gone = [Deleted(dst, node, now) for dst, node in self._passed.items() if dst not in failed]
        if not gone:
            return
        try:
            deletions.add(self._directory, gone, now)
        except OSError as error:
            path = os.path.join(self._directory, deletions.NAME)  # noqa: PTH118, pathlib is slow to load
            self._warn(f"{path}: {error.strerror}: the next run does not know what went now")
