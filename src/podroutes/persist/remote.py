"""Renders the files of a remote machine."""

from collections.abc import Sequence

from podroutes.errors import PersistError
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.plan import Plan
from podroutes.model.text import printable
from podroutes.persist import backend


def remote_files(name: str, plan: Plan, command: Sequence[str]) -> tuple[File, ...]:
    """Return the files of backend NAME for the machine of PLAN, which adds all routes. COMMAND applies them there at boot.

    Raises PersistError if the device of the routes is unknown.
    """
    chosen = backend(name)
    routes = [PersistedRoute(change.route, change.node) for change in plan.changes]
    devices = {persisted_route.route.dev for persisted_route in routes}
    if chosen.ROUTE and None in devices:
        raise PersistError(
            f"node {printable(plan.node)}: the device towards the other nodes is not known here; "
            "name it with --interface, or as `interface` in the inventory"
        )
    return chosen.render(routes, RenderContext({dev: chosen.away(dev) for dev in devices if dev}, tuple(command)))
