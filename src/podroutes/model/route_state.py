"""What became of a route that should be on a machine, or of one of ours that is."""

from typing import Literal, NamedTuple

from podroutes.model.route import Route

State = Literal["ok", "missing", "stale", "foreign", "unreachable"]


class Entry(NamedTuple):
    """One route, the node it serves (None: no node claims it), and its state.

    ``missing`` is wanted and not there, ``stale`` ours and not wanted (any more, or that way), ``foreign`` somebody else's
    on a prefix that is wanted, ``unreachable`` wanted, but its next hop cannot be reached from here.
    ``lasts`` is whether a file of ours brings it back at the next boot. ``kept`` is why it stays, or comes back, although no claim that
    is honoured by itself wants it, "" where one does.
    """

    route: Route
    node: str | None
    state: State
    lasts: bool = False
    kept: str = ""
