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

# The backends, one module each, and where the files of each are: absolute, * stands for one name. Told here, as every run looks.
BACKENDS = {
    "networkd": ("/etc/systemd/network/*.network.d/50-podroutes.conf",),
    "networkmanager": ("/etc/NetworkManager/dispatcher.d/50-podroutes",),
    "ifupdown": ("/etc/network/if-up.d/podroutes",),
    "dhcpcd": ("/etc/dhcpcd.exit-hook",),
    "netplan": ("/etc/netplan/90-podroutes.yaml",),
    "systemd": (
        "/etc/systemd/system/podroutes.service",
        "/etc/systemd/system/multi-user.target.d/50-podroutes.conf",
    ),
}

# What happens to a machine after its routes were written down, by the word for it in SURVIVES of a backend.
EVENTS = {
    "reboot": "reboot",
    "manager": "reload, restart, reconfigure",
    "lease": "lease renewed, or another one",
    "carrier": "carrier lost and back",
    "link": "`ip link set DEV down`, then `up`",
}
THERE, GONE = "there", "**gone**"


class Backend(Protocol):
    """The interface of a backend, which is a module."""

    PROTOCOL: int  # the protocol of its routes in the kernel
    ROUTE: (
        re.Pattern[str] | None
    )  # finds dst, via and metric of the routes in a file; None: it stands for every wanted route
    SURVIVES: Mapping[str, str]  # by each of EVENTS: THERE, or what becomes of the routes
    RELOAD: tuple[tuple[str, ...], ...]  # what makes the manager take up its files without a restart
    READS: tuple[
        str, ...
    ]  # what else of a machine is looked at: files of the manager and of the administrator, as BACKENDS has them
    SECRETS: tuple[
        str, ...
    ]  # those of READS that hold passwords, too, of which only sections and routes are read from afar

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

    def configured_routes(self, reader: "Reader", /) -> Iterable[ConfiguredRoute]:
        """Return the routes for the main table in the administrator's files for the manager, each with file and line."""

    def check(self, root: HostFiles, files: Sequence[File], /) -> str:
        """Check FILES with the manager's own tool, if installed; return "" or its error."""


def backend(name: str) -> Backend:
    """Return the backend called NAME, one of BACKENDS."""
    found: Backend = import_module(f"podroutes.persist.{name}")
    return found
