"""What outlives a boot: routes as they are written down, and the files that hold them."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.route import PROTOCOL, Route

FileAction = Literal["create", "replace", "delete", "edit"]
Written = tuple[Prefix, Address, int]  # a route in a file: destination, next hop, metric as the kernel has it


class PersistedRoute(NamedTuple):
    """A route to write down, and the node that it serves (None: no node claims it)."""

    route: Route
    node: str | None = None


class RenderContext(NamedTuple):
    """What a file depends on besides the routes: ``places`` names each device of theirs the way its manager does."""

    places: Mapping[str, str]
    command: tuple[str, ...] = ()  # applies the inventory; absolute paths, as it runs at boot
    there: tuple[str, ...] = ()  # the files that the backend has now: they stay, empty, when there are no routes


class File(NamedTuple):
    """A file as it should be on the machine: an absolute path, the whole content, the permissions."""

    path: str
    text: str
    mode: int = 0o644


class FileChange(NamedTuple):
    """One file to write or to take away. ``file`` is what will stand, or for a delete what goes.

    ``first`` stands already while the kernel is changed, where a file is what makes routes ours: whatever moment the run is
    interrupted at, no route is left that nobody claims. ``edit`` is a change of the administrator's own file, which was asked
    for by name; ``was`` is that file as it was read.
    """

    action: FileAction
    file: File
    backend: str
    first: File | None = None
    was: File | None = None


class OwnedRoutes(NamedTuple):
    """What our own files say about whose a route is.

    ``protocol`` is what routes of ours should carry, ``written`` what comes back at the next boot, each with its device ("" where
    the file does not tell; None: whatever is wanted comes back), ``static`` that part of it which a manager makes protocol
    static: such a route in the kernel is ours without our number.
    """

    protocol: int = PROTOCOL
    written: Mapping[Written, str] | None = {}
    static: frozenset[Written] = frozenset()


def written(route: Route) -> Written | None:
    """Return ROUTE the way files tell it, None where it has not just one gateway."""
    return (route.dst, route.via, route.metric) if route.via else None
