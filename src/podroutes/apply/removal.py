"""Plans the removal of our routes and files from one machine, and of nothing else."""

from collections.abc import Callable, Iterable

from podroutes.apply.host_settings import taken_back
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.fib import Fib
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Plan
from podroutes.model.problem import Problem
from podroutes.model.route import Route
from podroutes.persist import apply_files, masquerade_table
from podroutes.persist.configured import configured_routes
from podroutes.persist.owned import find
from podroutes.persist.system_files import FORWARDING, MASQUERADE
from podroutes.plan.configured import left_behind
from podroutes.plan.ownership import ours


def clean(root: HostFiles) -> None:
    """Delete the temporary files that killed runs have left."""
    apply_files.clean(root)


def plan_removal(node: str, numbered: Iterable[Route], snapshot: Callable[[], Fib], root: HostFiles) -> Plan:
    """Return the plan that deletes the routes NUMBERED with our protocol, our files below ROOT, and the routes that these files made.

    The masquerade table goes, too, and sysctls that our file set get their former values.

    SNAPSHOT returns the main table; it is called if a file of ours makes routes with another protocol. Raises PersistError if a
        file of ours cannot be read.
    """
    present = find(root)
    owned = present.owned("")
    routes = set(numbered)
    if owned.static:
        routes.update(ours(snapshot(), owned))
    changes = tuple(Change("delete", route) for route in sorted(routes, key=lambda route: route.dst))
    files = [FileChange("delete", file, name) for name, there in present.files.items() for file in there.values()]
    lines = configured_routes(root, (route.dst for route in routes)).routes
    problems = [*left_behind(changes, lines)]
    host = [
        change
        for file in present.files[""].values()
        if file.path == FORWARDING
        for change in taken_back(root, file.text)
    ]
    try:
        host += [masquerade_table.deletion()] if masquerade_table.read(root) else []
    except PersistError as error:
        if MASQUERADE in present.files[""]:
            problems.append(Problem("warning", "masquerade-not-kept", str(error), nodes=(node,)))
    return Plan(node, changes, 0, tuple(problems), tuple(files) or None, host=tuple(host))
