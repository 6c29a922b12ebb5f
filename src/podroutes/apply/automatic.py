"""What ``--persist auto`` comes to where no file has to be written, or none can be."""

from collections.abc import Sequence

from podroutes.errors import PersistError
from podroutes.model.persisted import PersistedRoute
from podroutes.model.text import escaped, listing
from podroutes.plan.configured import Overlap
from podroutes.plan.planning import Planned


def nothing_to_keep(
    planned: Planned, persisted_routes: Sequence[PersistedRoute], lines: Overlap, *, adopt: bool
) -> str:
    """Return why no file is needed for PERSISTED_ROUTES, the routes to persist: the administrator's files have all of them. "" where one is needed.

    Raises PersistError, with advice, if there are no routes of ours.
    """
    foreign = [
        problem
        for problem in planned.plan.problems
        if problem.code == "foreign-route" and problem.dst not in lines.same
    ]
    if not persisted_routes and foreign:
        why = f"there are no routes of ours to keep: {len(foreign)} wanted {'is' if len(foreign) == 1 else 'are'} somebody else's"
        if adopt:
            raise PersistError(f"{why}, and none is identical to a route of ours: {foreign[0].message}")
        raise PersistError(f"{why}; `podroutes apply --adopt --persist auto` takes over those that are as wanted")
    if not persisted_routes and lines.same:
        files = listing(sorted({line.path for line in lines.same.values()}))
        return f"{files} keeps every route that is wanted, so that there is nothing to write"
    if not persisted_routes and lines.other:
        line = next(iter(lines.other.values()))
        raise PersistError(
            f"there are no routes of ours to keep: {escaped(line.place)} and {len(lines.other) - 1} other lines make routes to podCIDRs that are "
            "not as wanted; take them out, then run it again"
            if len(lines.other) > 1
            else f"there are no routes of ours to keep: {escaped(line.place)} makes a route to {line.dst} that is not as wanted; take it out, then "
            "run it again"
        )
    return ""
