"""Persisted routes and the files that hold them."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.route import PROTOCOL, Route

FileAction = Literal["create", "replace", "delete", "edit"]
Written = tuple[Prefix, Address, int]  # a route in a file: destination, next hop, metric as in the kernel


class PersistedRoute(NamedTuple):
    """A route to persist, and the node that it serves (None: no node claims it)."""

    route: Route
    node: str | None = None


class RenderContext(NamedTuple):
    """What a file depends on besides the routes. ``places`` maps each of their devices to its name in the manager."""

    places: Mapping[str, str]
    command: tuple[str, ...] = ()  # the command that applies the inventory at boot; its paths are absolute
    there: tuple[
        str, ...
    ] = ()  # the present files of the backend; they are emptied, not deleted, if there are no routes


class File(NamedTuple):
    """A file as it should be on the machine: absolute path, complete content, mode."""

    path: str
    text: str
    mode: int = 0o644


class FileChange(NamedTuple):
    """One file to write or delete. ``file`` is the new file, or for a delete the present one.

    ``first`` is whether it is written before the kernel is changed, because the file makes routes ours: an interrupted run then
        leaves no unowned route. ``edit`` marks a change of the administrator's own file, which was requested explicitly;
        ``was`` is that file as it was read.
    """

    action: FileAction
    file: File
    backend: str
    first: File | None = None
    was: File | None = None


class OwnedRoutes(NamedTuple):
    """What our own files say about the ownership of routes.

    ``protocol`` is the protocol of our routes, ``written`` the routes that the next boot restores, each with its device (""
        if the file does not name it; None: all desired routes are restored), ``static`` those of them that a manager adds with
        protocol static: such a route in the kernel is ours without our number.
    """

    protocol: int = PROTOCOL
    written: Mapping[Written, str] | None = {}
    static: frozenset[Written] = frozenset()


def written(route: Route) -> Written | None:
    """Return ROUTE in the form of files, None unless it has exactly one gateway."""
    return (route.dst, route.via, route.metric) if route.via else None
