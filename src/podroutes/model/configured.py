"""Routes in the administrator's own configuration: of the network manager, or in a script that runs at boot."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix


class ConfiguredRoute(NamedTuple):
    """One route for the main table, and where it is configured. Never one of our own files."""

    path: str  # absolute, on the machine concerned
    line: int  # from 1
    dst: Prefix
    via: Address | None  # None: no gateway, or several
    dev: str | None = None  # None if the line does not name it
    metric: int | None = None  # None: the manager's default
    kind: str = "unicast"  # rtm_type as ip(8) names it
    manager: str = ""  # the backend whose configuration it is, "" for a script
    by_gateway: bool = False  # ``dev`` is only that of the stanza: the kernel takes the one that leads to the gateway

    @property
    def place(self) -> str:
        """The position of the line, in the form of compilers."""
        return f"{self.path}:{self.line}"


class ConfiguredRoutes(NamedTuple):
    """The routes in the configuration of one machine. ``unread`` has the files that could not be read, each with the reason.

    ``unclear`` has the places of commands that may make a wanted route, each with the destination as it is written there.
    """

    routes: tuple[ConfiguredRoute, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    unclear: tuple[tuple[str, str], ...] = ()
