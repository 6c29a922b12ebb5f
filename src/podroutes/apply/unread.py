"""What a plan comes to where this user cannot read all files: a plain user's, to whom netplan's files are closed (mode 0600)."""

from collections.abc import Iterable

from podroutes.model.fib import Fib, Link
from podroutes.model.linux import RouteProtocol
from podroutes.model.persisted import OwnedRoutes, written
from podroutes.model.problem import Problem
from podroutes.model.text import escaped
from podroutes.persist import backend
from podroutes.persist.owned import Found
from podroutes.plan.configured import Overlap
from podroutes.plan.desired import Desired
from podroutes.plan.planning import Planned

_CODE = "files-not-read"


def presumed(desired: Desired, fib: Fib, present: Found) -> OwnedRoutes:
    """Return what files of ours that cannot be read probably say: that the wanted routes of FIB are theirs.

    Where the manager makes routes with protocol static, a static route that is as wanted counts as ours, any other as somebody else's.
    """
    protocol = next(backend(name).PROTOCOL for name in (*filter(None, present.unread), "networkd"))
    ways = {
        (claim.dst, via)
        for wanted in desired.wanted.values()
        for claim, via in zip(wanted.claims, wanted.vias, strict=True)
    }
    static = int(RouteProtocol.STATIC)
    rows = [route for route in fib.others if protocol == static == route.protocol and (route.dst, route.via) in ways]
    return OwnedRoutes(protocol, None, frozenset(row for row in map(written, rows) if row))


def hindered_by_unread(links: Iterable[Link], present: Found) -> dict[str, str]:
    """Return by device that it is not known whether the next boot brings its routes back."""
    why = _reason(next(iter(present.unread.values())))
    return {link.name: f"{why}: what it says is not known" for link in links}


def with_unread(planned: Planned, present: Found, lines: Overlap) -> Planned:
    """Return PLANNED with what could not be read: files of ours, and of the administrator's."""
    plan = planned.plan
    for why in present.unread.values():
        message = f"{_reason(why)}: static routes that are as wanted count as ours, and the file was not compared"
        plan = plan.with_problem(Problem("warning", _CODE, message))
    for why in (field for field in lines.unread if field not in present.unread.values()):
        plan = plan.with_problem(Problem("warning", _CODE, f"{_reason(why)}: the routes in it are not known"))
    return planned._replace(plan=plan)


def _reason(why: str) -> str:
    """Return WHY, the text of an error, without its advice."""
    return escaped(why).partition("; ")[0]
