"""Saved routes: which route served which node, kept beyond a boot."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix

LONGEST = (
    31 * 86400.0
)  # seconds after which a route is reported instead of restored: its next hop may be another machine by then


class SavedRoute(NamedTuple):
    """A route of ours and the node that it served. ``seen`` is when it was last in the kernel: seconds since the epoch."""

    dst: Prefix
    via: Address
    dev: str
    node: str
    uid: str = ""  # metadata.uid of the node, "" if it has none
    seen: float = 0.0


class Saved(NamedTuple):
    """The saved routes of one machine, and those that are too old to restore."""

    routes: tuple[SavedRoute, ...] = ()
    expired: tuple[SavedRoute, ...] = ()


def sorted_by_age(routes: tuple[SavedRoute, ...], now: float) -> Saved:
    """Return ROUTES split by their age at NOW, seconds since the epoch."""
    fresh = tuple(route for route in routes if now - route.seen <= LONGEST)
    return Saved(fresh, tuple(route for route in routes if now - route.seen > LONGEST))
