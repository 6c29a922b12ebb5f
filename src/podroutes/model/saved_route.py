"""What is remembered of the routes beyond a boot: which route served which node."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix

LONGEST = (
    31 * 86400.0
)  # seconds after which a route is reported, and no longer restored: its next hop may be a stranger's by then


class SavedRoute(NamedTuple):
    """A route of ours that stood, and the node that it served then. ``seen`` is when it last stood: seconds since the epoch."""

    dst: Prefix
    via: Address
    dev: str
    node: str
    uid: str = ""  # metadata.uid of the node, "" where it has none
    seen: float = 0.0


class Saved(NamedTuple):
    """The saved routes of one machine, and those of them that are too old to be restored."""

    routes: tuple[SavedRoute, ...] = ()
    expired: tuple[SavedRoute, ...] = ()


def sorted_by_age(routes: tuple[SavedRoute, ...], now: float) -> Saved:
    """Return ROUTES as they count NOW, seconds since the epoch."""
    fresh = tuple(route for route in routes if now - route.seen <= LONGEST)
    return Saved(fresh, tuple(route for route in routes if now - route.seen > LONGEST))
