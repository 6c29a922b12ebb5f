"""Reads our own files on a machine. They are found at fixed paths and recognised by their first lines."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.persisted import File, OwnedRoutes, Written
from podroutes.model.route import PROTOCOL
from podroutes.persist import BACKENDS, backend, backends
from podroutes.persist.file_format import is_ours, recorded
from podroutes.persist.system_files import (
    CNI,
    CNI_LOOPBACK,
    FORWARDING,
    MASQUERADE,
    MASQUERADE_UNIT,
    MASQUERADE_WANTS,
    MODULES,
    PROTOCOL_NAME,
)

_MASQUERADE = (MASQUERADE, MASQUERADE_UNIT, MASQUERADE_WANTS)
SHARED = (PROTOCOL_NAME, FORWARDING, MODULES, CNI, CNI_LOOPBACK, *_MASQUERADE)  # our files that go with every backend


def places() -> dict[str, tuple[str, ...]]:
    """Return the paths of our files by backend; "" for those of all backends."""
    return {name: each.PLACES for name, each in backends().items()} | {"": SHARED}


class Found(NamedTuple):
    """Our files by backend; "" for those of all backends."""

    files: dict[str, dict[str, File]]
    unread: Mapping[str, str] = {}  # by backend, why a file at one of its paths could not be read

    @property
    def backends(self) -> tuple[str, ...]:
        """Return the backends that have files here."""
        return tuple(name for name in BACKENDS if self.files.get(name))

    def owned(self, chosen: str | None) -> OwnedRoutes:
        """Return the ownership of routes if backend CHOSEN persists them."""
        routes: dict[Written, str] = {}
        static: set[Written] = set()
        boundless = False
        for name in self.backends:
            kept = backend(name)
            if kept.ROUTE is None:
                boundless = True
                continue
            rows = dict(row for file in self.files[name].values() for row in recorded(kept.ROUTE, file.text))
            routes |= rows
            if kept.PROTOCOL != PROTOCOL:
                static.update(rows)
        protocol = backend(chosen).PROTOCOL if chosen else PROTOCOL
        return OwnedRoutes(protocol, None if boundless else routes, frozenset(static))


def find(root: HostFiles) -> Found:
    """Return our files below ROOT. Raises PersistError if a file at one of our paths cannot be read."""
    return Found({name: _ours(root, patterns) for name, patterns in places().items()})


def find_readable(root: HostFiles) -> Found:
    """Return our files below ROOT as far as this user can read them: enough for a plan to look at, not for one to carry out."""
    files: dict[str, dict[str, File]] = {}
    unread: dict[str, str] = {}
    for name, patterns in places().items():
        files[name] = {}
        try:
            files[name] = _ours(root, patterns)
        except PersistError as error:
            unread[name] = str(error)
    return Found(files, unread)


def _ours(root: HostFiles, patterns: tuple[str, ...]) -> dict[str, File]:
    names = (name for pattern in patterns for name in root.glob(pattern))
    texts = ((name, root.read(name)) for name in names)
    return {name: File(name, text, root.mode(name)) for name, text in texts if text is not None and is_ours(text)}
