"""The state of a desired route, or of a present route of ours."""

from typing import Literal, NamedTuple

from podroutes.model.route import Route

State = Literal["ok", "missing", "stale", "foreign", "unreachable"]


class Entry(NamedTuple):
    """One route, the node it serves (None: no node claims it), and its state.

    ``missing`` is desired and absent, ``stale`` ours and not desired (any more, or with another next hop), ``foreign`` another
        program's on a desired prefix, or ours where another program's route or rule decides instead, ``unreachable`` desired, but
        with a next hop that cannot be reached from here.
        ``lasts`` is whether the next boot restores it, ``boot`` why it does not although a file says so, or which file of the
        administrator does. ``kept`` is why it stays, or is restored, although no
        honoured claim wants it, "" if one does.
    """

    route: Route
    node: str | None
    state: State
    lasts: bool = False
    boot: str = ""
    kept: str = ""
