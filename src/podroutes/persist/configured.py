"""Reads the routes to pod CIDRs in the administrator's own configuration.

Each backend reads its manager's files (``configured_routes``); scripts of no manager are read here.
"""

import re
from collections.abc import Iterable, Iterator

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.address import Prefix
from podroutes.model.configured import ConfiguredRoute, ConfiguredRoutes
from podroutes.persist import backends
from podroutes.persist.file_format import is_ours
from podroutes.persist.shell_routes import shell_routes, unclear_routes
from podroutes.persist.suse import FILES, suse_routes

_EXECUTED = (  # run at boot, or when a device comes up, on distributions of all kinds, if they are executable
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/boot.local",
    "/etc/local.d/*.start",
    "/etc/networkd-dispatcher/*.d/*",
    "/usr/lib/networkd-dispatcher/*.d/*",
)
_SOURCED = (  # the same, whatever their mode
    "/etc/dhcp/dhclient-enter-hooks",
    "/etc/dhcp/dhclient-exit-hooks",
    "/etc/dhcp/dhclient-enter-hooks.d/*",
    "/etc/dhcp/dhclient-exit-hooks.d/*",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/*",
)
READS = (*_EXECUTED, *_SOURCED, *FILES)  # beside what the backends read
CALLED = (
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/opt/*.sh",
)  # where push looks for scripts that others call
_CALLED = re.compile(r"(?:^|[\s=\"'@:+!-])(/[\w./+-]+)")  # a program named by its whole path
_PROGRAMS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/lib/", "/dev/", "/proc/", "/sys/")
_LONGEST = 65536  # bytes of a script that another one calls


class Reader:
    """Reads the files of one machine. Unreadable files are recorded and skipped."""

    def __init__(self, root: HostFiles) -> None:
        self.root = root
        self.unread: dict[str, str] = {}
        self.texts: dict[str, str] = {}  # what was read, by path

    def read(self, path: str) -> str:
        """Return the text of PATH, "" if it does not exist, cannot be read, or is ours."""
        if self.root.path(path).is_dir():
            return ""
        try:
            text = self.root.read(path) or ""
        except PersistError as error:
            self.unread[path] = str(error)
            return ""
        self.texts[path] = "" if is_ours(text) else text
        return self.texts[path]

    def is_executable(self, path: str) -> bool:
        """Return whether PATH is run at all: somebody may execute it, or its mode cannot be told."""
        try:
            return bool(self.root.mode(path) & 0o111)
        except OSError:
            return True

    def called(self) -> list[str]:
        """Return the scripts that what was read so far calls by their whole path, and that are no programs of the system."""
        words = (word for text in self.texts.values() for word in _CALLED.findall(_commands(text)))
        paths = [word for word in dict.fromkeys(words) if not word.startswith(_PROGRAMS) and word not in self.texts]
        return [path for path in paths if self._is_script(path)]

    def _is_script(self, path: str) -> bool:
        file = self.root.path(path)
        try:
            return file.is_file() and file.stat().st_size <= _LONGEST and file.read_bytes()[:2] == b"#!"
        except OSError:
            return False

    def devices(self) -> dict[str, str]:
        """Return the devices of the machine by their index, as /sys has it."""
        paths = self.glob("/sys/class/net/*/ifindex")
        return {(self.root.read(path) or "").strip(): path.split("/")[-2] for path in paths}

    def glob(self, *patterns: str) -> Iterator[str]:
        """Yield the paths that match any of PATTERNS, each once."""
        yield from dict.fromkeys(path for pattern in patterns for path in self.root.glob(pattern))


def _commands(text: str) -> str:
    """Return TEXT without comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))


def configured_routes(root: HostFiles, wanted: Iterable[Prefix]) -> ConfiguredRoutes:
    """Return the routes to destinations in WANTED that the configuration below ROOT makes, in a stable order."""
    reader, destinations = Reader(root), set(wanted)
    routes = [route for backend in backends().values() for route in backend.configured_routes(reader)]
    for path in (*filter(reader.is_executable, reader.glob(*_EXECUTED)), *reader.glob(*_SOURCED)):
        routes += shell_routes(reader.read(path), path)
    for path in reader.glob(*FILES):
        routes += suse_routes(reader.read(path), path)
    for path in reader.called():
        routes += shell_routes(reader.read(path), path)
    matching = dict.fromkeys(route for route in routes if route.dst in destinations)
    unclear = (
        (f"{path}:{line}", dst)
        for path, text in reader.texts.items()
        if "$" in text
        for line, dst in unclear_routes(text, destinations)
    )
    return ConfiguredRoutes(tuple(matching), tuple(reader.unread.items()), tuple(unclear))


__all__ = ["ConfiguredRoute", "Reader", "configured_routes"]
