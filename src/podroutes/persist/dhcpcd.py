"""dhcpcd: a script that dhcpcd-run-hooks(8) reads last, after each change of an interface.

dhcpcd has only one such file and no directory for it, so an administrator's file in its place is not touched. The script is
sourced by the shell that runs the others, and must not exit it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.route import PROTOCOL as OURS
from podroutes.model.text import printable
from podroutes.persist import EVENTS, THERE, boot
from podroutes.persist.file_format import HEADER, SCRIPT_ROUTE, hook, safe
from podroutes.persist.shell_check import syntax

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "dhcpcd", "dhcpcd"
PATH = "/etc/dhcpcd.exit-hook"
PLACES = (PATH,)
PROTOCOL = OURS
SURVIVES = dict.fromkeys(EVENTS, THERE)
ROUTE = SCRIPT_ROUTE
RELOAD: tuple[tuple[str, ...], ...] = ()  # dhcpcd searches the script each time
REREAD = (("dhcpcd", "--rebind"),)
_CONFIG = "/etc/dhcpcd.conf"
_HOOKS = (
    "/etc/dhcpcd.enter-hook",
    PATH,
    "/lib/dhcpcd/dhcpcd-hooks/*",
    "/usr/lib/dhcpcd/dhcpcd-hooks/*",
    "/usr/libexec/dhcpcd-hooks/*",
)
_MASTER = (
    "/run/dhcpcd/pid"  # of the process for all interfaces; if ifupdown starts it, the interface's name is in the path
)
READS = (_MASTER, _CONFIG, *_HOOKS)
SECRETS: tuple[str, ...] = ()
NEEDED: tuple[str, ...] = ()
RUNS_PODROUTES = False
_SCRIPT = re.compile(
    r"^\s*script[ \t]+(?!\S*/dhcpcd-run-hooks\b)(\S*)", re.MULTILINE
)  # what is run instead of all hooks
_BLOCKS = ("interface", "ssid", "profile")  # a setting belongs to the one before it
_CLASSLESS = r"^\s*static\s+(?:(?:ms_)?classless_static_|static_)?routes\s*=\s*(.*)$"


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return the script, which acts once the interface has an address."""
    lines = [
        "(",
        "PATH=$PATH:/usr/sbin:/sbin",
        "exec >&2",
        '[ "$if_up" = true ] || exit 0',
        *hook("$interface", routes, context.places),
        "exit 0",
        ")",
    ]
    return (File(PATH, "#!/bin/sh\n" + HEADER + "\n".join(lines) + "\n"),)


def away(dev: str) -> str:
    """Return the name of DEV on a remote machine."""
    return safe(dev)


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:  # noqa: ARG001, a script asks for its device
    """Return the device's name, if dhcpcd manages all interfaces of the machine."""
    if not running(root, link):
        raise PersistError(f"dhcpcd does not manage {safe(link.name)}: {_MASTER} is not there; try --persist auto")
    if match := _SCRIPT.search(root.read(_CONFIG) or ""):
        raise PersistError(
            f"dhcpcd runs {printable(match[1] or 'nothing')} in place of its hooks here ({_CONFIG}: script): take that line out, or use "
            "--persist systemd"
        )
    return safe(link.name)


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:  # noqa: ARG001, dhcpcd reads one script for all
    """Return what keeps dhcpcd from our script at a boot."""
    return boot.not_started(root, "dhcpcd")


def running(root: HostFiles, link: Link) -> str:
    """Return the evidence that dhcpcd runs for all interfaces, including LINK."""
    if root.read(_MASTER) is None or _denied(root.read(_CONFIG) or "", link.name):
        return ""
    return f"{_MASTER} is there"


def _denied(text: str, dev: str) -> bool:
    """Return whether dhcpcd.conf(5) excludes DEV."""
    from fnmatch import fnmatchcase  # noqa: PLC0415, only where dhcpcd is

    allowed: list[str] = []
    denied: list[str] = []
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "interface":
            break  # the rest is about one interface
        if word == "allowinterfaces":
            allowed += rest.replace(",", " ").split()
        elif word == "denyinterfaces":
            denied += rest.replace(",", " ").split()
    return any(fnmatchcase(dev, each) for each in denied) or (
        bool(allowed) and not any(fnmatchcase(dev, each) for each in allowed)
    )


def configured(root: HostFiles, link: Link) -> str:  # noqa: ARG001, dhcpcd takes every interface without being told
    """Return "": its file need not name LINK."""
    return ""


claims = running  # what says that it has LINK says that it configures it


def configured_routes(reader: "Reader") -> Iterator[ConfiguredRoute]:
    """Yield the static routes of dhcpcd.conf(5), a destination and a gateway a line, and those of the administrator's hooks."""
    from podroutes.persist.shell_routes import destination, gateway, shell_routes  # noqa: PLC0415, only where we write

    dev = None
    for number, line in enumerate(reader.read(_CONFIG).splitlines(), 1):
        word, rest = [*line.split(None, 1), "", ""][:2]
        if word in _BLOCKS:
            dev = rest.strip() if word == "interface" else None
        match = re.match(_CLASSLESS, line)
        words = match[1].split() if match else []
        dst = destination(words[0], masks=True) if len(words) == 2 else None  # of a line with more dhcpcd takes nothing
        if dst:
            yield ConfiguredRoute(_CONFIG, number, dst, gateway(words[1]), dev, manager="dhcpcd")
    for path in reader.glob(*_HOOKS):
        yield from shell_routes(reader.read(path), path, "dhcpcd")


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Check the script with the shell. dhcpcd has no tool that reads its configuration without using it."""
    return syntax(root, [file for file in files if file.path == PATH])
