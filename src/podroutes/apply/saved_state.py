"""The state of earlier runs, from the state directory: saved routes and recent deletions.

Unreadable state never stops a run: it causes a warning, and the run continues without it.
"""

import os
import time
from collections.abc import Callable
from functools import cache

from podroutes.errors import PersistError
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.plan import Outcome
from podroutes.model.saved_route import Saved, SavedRoute, sorted_by_age
from podroutes.persist import deletions, saved_routes
from podroutes.plan.guard import Deleted
from podroutes.plan.planning import Planned
from podroutes.plan.settle import Context

Warn = Callable[[str], None]


def load_routes(directory: str | os.PathLike[str], own: str, warn: Warn) -> tuple[SavedRoute, ...]:
    """Return the saved routes of node OWN; none, after a call of WARN, if they cannot be read."""
    try:
        return saved_routes.load(directory, own)
    except PersistError as error:
        warn(str(error))
        return ()


def load_deletions(directory: str | os.PathLike[str], warn: Warn) -> tuple[Deleted, ...]:
    """Return the recent deletions; none, after a call of WARN, if they cannot be read."""
    try:
        return deletions.load(directory)
    except PersistError as error:
        warn(str(error))
        return ()


class RunState:
    """The saved routes of one run, in DIRECTORY. SERVER is the URL of the API server, "" for a file.

    A SIMULATED machine has none of this machine's dependencies.
    """

    def __init__(self, directory: str | os.PathLike[str], server: str, warn: Warn, *, simulated: bool = False) -> None:
        self._directory = directory
        self._server = server
        self._warn = warn
        self._simulated = simulated
        self._own = ""
        self._routes = cache(lambda own: load_routes(directory, own, warn))

    def context(self, own: Node) -> Context:
        """Return the context of a plan for machine OWN. The saved routes are read only if needed."""
        self._own = own.name
        if self._simulated:
            return Context(self._saved)
        from podroutes.host.dependencies import read_dependencies  # noqa: PLC0415, what is away from the machine has none

        return Context(self._saved, read_dependencies(self._server))

    def former(self) -> dict[Prefix, str]:
        """Return the node that each prefix served in the saved routes."""
        return {route.dst: route.node for route in self._routes(self._own)}

    def save(self, planned: Planned, outcome: Outcome, cluster: Cluster) -> None:
        """Save the routes after OUTCOME; PLANNED is the last plan. WARN is called if they cannot be saved."""
        from podroutes.plan.remember import not_standing, remembered  # noqa: PLC0415, only for what changes routes

        now = time.time()
        routes = remembered(planned.desired, not_standing(outcome), cluster, self._routes(self._own), now)
        try:
            saved_routes.save(self._directory, self._own, routes, now)
        except OSError as error:
            path = os.path.join(self._directory, saved_routes.NAME)  # noqa: PTH118, pathlib is slow to load
            self._warn(f"{path}: {error.strerror}: which routes stood is not known after a boot")

    def _saved(self) -> Saved:
        return sorted_by_age(self._routes(self._own), time.time())
