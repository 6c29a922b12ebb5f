"""What a command knows of this machine besides its kernel: the routes that stood before, and what must not be routed away."""

import sys
import time
from functools import cache
from pathlib import Path

from podroutes.errors import PersistError
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.saved_route import Saved, SavedRoute, sorted_by_age
from podroutes.plan.planning import Planned
from podroutes.plan.remember import not_standing, remembered
from podroutes.plan.rounds import Done
from podroutes.plan.settle import Context


class Memory:
    """The memory of one run, in DIRECTORY, for a machine whose nodes come from SERVER (a URL, "" for a file).

    With SIMULATED the machine is not this one, and depends on nothing here.
    """

    def __init__(self, directory: Path, server: str, *, simulated: bool = False) -> None:
        self._directory = directory
        self._server = server
        self._simulated = simulated
        self._own = ""
        self._routes = cache(self._load)

    def context(self, own: Node) -> Context:
        """Return what a plan of machine OWN is made from besides inventory and kernel; what was saved is read where it matters."""
        self._own = own.name
        if self._simulated:
            return Context(self._saved)
        from podroutes.host.dependencies import read_dependencies  # noqa: PLC0415, what is away from the machine has none

        return Context(self._saved, read_dependencies(self._server))

    def former(self) -> dict[Prefix, str]:
        """Return the node that each prefix served before."""
        return {route.dst: route.node for route in self._routes(self._own)}

    def remember(self, planned: Planned, done: Done, cluster: Cluster) -> None:
        """Write down the routes that stand now that DONE is done; PLANNED was planned last. That this fails is said, and no more."""
        from podroutes.persist import saved_routes  # noqa: PLC0415

        now = time.time()
        missing = not_standing(done.plan, done.outcome)
        routes = remembered(planned.desired, missing, cluster, self._routes(self._own), now)
        try:
            saved_routes.save(self._directory, self._own, routes, now)
        except OSError as error:
            path = self._directory / saved_routes.NAME
            print(f"podroutes: {path}: {error.strerror}: which routes stood is not known after a boot", file=sys.stderr)

    def _saved(self) -> Saved:
        return sorted_by_age(self._routes(self._own), time.time())

    def _load(self, own: str) -> tuple[SavedRoute, ...]:
        from podroutes.persist import saved_routes  # noqa: PLC0415, only where something is disputed, or was changed

        try:
            return saved_routes.load(self._directory, own)
        except PersistError as error:
            print(f"podroutes: {error}", file=sys.stderr)
            return ()
