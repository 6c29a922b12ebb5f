"""Reads and writes persistent files, and knows the network managers that read them.

A backend is one module with what Backend asks for, of which ``render`` is pure. Around them: ``detect`` finds the manager of an
interface, ``owned`` reads what our own files say, ``apply_files`` checks and writes them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

# The backends by name: the module of each. This is the one place where a backend is registered.
BACKENDS = {
    name: f"podroutes.persist.{name}"
    for name in ("networkd", "networkmanager", "ifupdown", "dhcpcd", "netplan", "systemd")
}

# What happens to a machine after its routes were written down, by the word for it in SURVIVES of a backend.
EVENTS = {
    "reboot": "reboot",
    "manager": "reload, restart, reconfigure",
    "lease": "lease renewed",
    "carrier": "carrier lost and back",
    "link": "`ip link set DEV down`, then `up`",
}
THERE, GONE = "there", "**gone**"


class Backend(Protocol):
    """The interface of a backend, which is a module."""

    MANAGER: str  # what people call the network manager
    DAEMON: str  # the name of its process, as /proc/PID/comm has it; "" if it has none
    PLACES: tuple[str, ...]  # paths of our files, absolute; * stands for one name
    PROTOCOL: int  # the protocol of its routes in the kernel
    ROUTE: (
        re.Pattern[str] | None
    )  # finds dst, via and metric of the routes in a file; None: a file stands for every wanted route
    SURVIVES: Mapping[str, str]  # by each of EVENTS: THERE, or what becomes of the routes
    RELOAD: tuple[tuple[str, ...], ...]  # what makes the manager take up its files without a restart
    REREAD: tuple[tuple[str, ...], ...]  # what makes it read the administrator's files, where these were edited
    RUNS_PODROUTES: bool  # whether its files start podroutes at boot, which then has to be installed
    READS: tuple[
        str, ...
    ]  # what else of a machine is read: files of the manager and of the administrator, in the form of PLACES
    SECRETS: tuple[
        str, ...
    ]  # such files that hold passwords, too, of which only sections and routes are read from afar
    NEEDED: tuple[
        str, ...
    ]  # those of READS without which there is no plan; of others it is only said that they cannot be read

    def render(self, routes: Sequence[PersistedRoute], context: RenderContext, /) -> tuple[File, ...]:
        """Return the files that add ROUTES at boot. Pure: equal arguments give equal text."""

    def away(self, dev: str, /) -> str:
        """Return the probable name of DEV in the manager of a remote machine."""

    def place(self, root: HostFiles, link: Link, links: Sequence[Link], /) -> str:
        """Return the manager's name of LINK, one of LINKS.

        Raises PersistError if the manager does not have LINK, or if a file for it would also apply to another of LINKS.
        """

    def hindrance(self, root: HostFiles, link: Link, there: Mapping[str, File], /) -> str:
        """Return why the next boot would not bring back what is written for LINK in THERE, our files by path; "" where nothing is known."""

    def running(self, root: HostFiles, link: Link, /) -> str:
        """Return the evidence that the manager runs and has LINK, "" if there is none."""

    def configured(self, root: HostFiles, link: Link, /) -> str:
        """Return the evidence that the manager is configured for LINK, running or not; "" if there is none."""

    def claims(self, root: HostFiles, link: Link, /) -> str:
        """Return the evidence that the manager configures LINK now, provided that its daemon runs; "" if there is none.

        A manager that leaves its devices to another one claims none.
        """

    def configured_routes(self, reader: "Reader", /) -> Iterable[ConfiguredRoute]:
        """Return the routes for the main table in the administrator's files for the manager, each with file and line."""

    def check(self, root: HostFiles, files: Sequence[File], /) -> str:
        """Check FILES with the manager's own tool, if installed; return "" or its error."""


def backend(name: str) -> Backend:
    """Return the backend called NAME, one of BACKENDS."""
    found: Backend = import_module(BACKENDS[name])
    return found


def backends() -> dict[str, Backend]:
    """Return all backends by name."""
    return {name: backend(name) for name in BACKENDS}
