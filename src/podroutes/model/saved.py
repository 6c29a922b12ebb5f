"""What is remembered of the routes beyond a boot: which route served which node."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix


class SavedRoute(NamedTuple):
    """A route of ours that stood, and the node that it served then. ``seen`` is when it last stood: seconds since the epoch."""

    dst: Prefix
    via: Address
    dev: str
    node: str
    uid: str = ""  # metadata.uid of the node, "" where it has none
    seen: float = 0.0


LONGEST = (
    31 * 86400.0
)  # seconds after which a route is reported, and no longer restored: its next hop may be a stranger's by then
