"""Routes that the administrator's own configuration makes: of the network manager, or of a script that runs at boot."""

from typing import NamedTuple

from podroutes.model.address import Address, Prefix


class ConfiguredRoute(NamedTuple):
    """One route in the main table, and where it is written. Nothing of ours is ever one of these."""

    path: str  # absolute, on the machine that it is about
    line: int  # counted from 1
    dst: Prefix
    via: Address | None  # None: no gateway, or not just one
    dev: str | None = None  # None where the line does not name it
    metric: int | None = None  # None where the line does not say: the manager's default
    kind: str = "unicast"  # rtm_type as ip(8) names it
    manager: str = ""  # the backend whose configuration it is, "" for a script of no manager

    @property
    def place(self) -> str:
        """Where it is written, as compilers write it."""
        return f"{self.path}:{self.line}"


class ConfiguredRoutes(NamedTuple):
    """What the configuration of one machine says. ``unread`` has the files that could not be read, each with the reason."""

    routes: tuple[ConfiguredRoute, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
