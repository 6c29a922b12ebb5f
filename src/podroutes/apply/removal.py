"""Plans the removal of our routes and files from one machine, and of nothing else."""

from collections.abc import Callable, Iterable

from podroutes.host.files import HostFiles
from podroutes.model.fib import Fib
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Plan
from podroutes.model.route import Route
from podroutes.persist import apply_files
from podroutes.persist.configured import configured_routes
from podroutes.persist.owned import find
from podroutes.plan.configured import left_behind
from podroutes.plan.ownership import ours


def clean(root: HostFiles) -> None:
    """Delete the temporary files that killed runs have left."""
    apply_files.clean(root)


def plan_removal(node: str, numbered: Iterable[Route], snapshot: Callable[[], Fib], root: HostFiles) -> Plan:
    """Return the plan that deletes the routes NUMBERED with our protocol, our files below ROOT, and the routes that these files made.

    SNAPSHOT returns the main table; it is called if a file of ours makes routes with another protocol. Raises PersistError if a
        file of ours cannot be read.
    """
    found = find(root)
    owned = found.owned("")
    routes = set(numbered)
    if owned.static:
        routes.update(ours(snapshot(), owned))
    changes = tuple(Change("delete", route) for route in sorted(routes, key=lambda route: route.dst))
    files = [FileChange("delete", file, name) for name, there in found.files.items() for file in there.values()]
    lines = configured_routes(root, (route.dst for route in routes)).routes
    return Plan(node, changes, 0, tuple(left_behind(changes, lines)), tuple(files) or None)
