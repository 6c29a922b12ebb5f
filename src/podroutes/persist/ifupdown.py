"""ifupdown and ifupdown2: a script that ifup(8) runs when an interface is up, interfaces(5), which never fails.

A failure would fail ifup and skip what comes after; a second ``iface`` stanza can run before the address is there. The name has
no dot, as run-parts(8) passes over those that have.
"""

import re
from collections.abc import Sequence

from podroutes.errors import PersistError
from podroutes.model.fib import Link
from podroutes.model.lasting import File, Lasting, Setting
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import BACKENDS
from podroutes.persist.root import Root
from podroutes.persist.shell import syntax
from podroutes.persist.text import HEADER, SCRIPT_ROUTE, hook, safe

(PATH,) = BACKENDS["ifupdown"]
PROTOCOL = OURS
ROUTE = SCRIPT_ROUTE
RELOAD: tuple[tuple[str, ...], ...] = ()  # ifup looks for scripts each time
_FILES = ("/etc/network/interfaces", "/etc/network/interfaces.d/*")
_STATE = "/run/network/ifstate"


def render(routes: Sequence[Lasting], setting: Setting) -> tuple[File, ...]:
    """Return the script; it runs once for each family of the interface, and IPv6 routes wait for the second time."""
    lines = ["PATH=$PATH:/usr/sbin:/sbin", "exec >&2", *hook("$IFACE", routes, setting.places), "exit 0"]
    return (File(PATH, "#!/bin/sh\n" + HEADER + "\n".join(lines) + "\n", 0o755),)


def away(dev: str) -> str:
    """Return the name of DEV on a machine that we are not on."""
    return safe(dev)


def place(root: Root, link: Link) -> str:
    """Return the device's name, if a stanza of ifupdown's files is about it."""
    if not has_stanza(root, link.name):
        raise PersistError(f"no `iface {safe(link.name)}` in {_FILES[0]} or interfaces.d: ifupdown does not know it")
    return safe(link.name)


def has_stanza(root: Root, dev: str) -> bool:
    """Whether ifupdown configures DEV; files that are included from elsewhere are not followed."""
    stanza = re.compile(rf"^[ \t]*iface[ \t]+{re.escape(dev)}(?!\S)", re.MULTILINE)
    names = (name for pattern in _FILES for name in root.glob(pattern) if root.path(name).is_file())
    return any(stanza.search(root.read(name) or "") for name in names)


def running(root: Root, link: Link) -> str:
    """Return where ifup(8) has noted that it brought LINK up; that of ifupdown2 keeps other notes."""
    names = (line.split("=")[0] for line in (root.read(_STATE) or "").splitlines())
    return f"{_STATE} has {link.name}" if link.name in names else ""


def configured(root: Root, link: Link) -> str:
    """Return which file has a stanza for LINK."""
    return f"{_FILES[0]} has a stanza for {link.name}" if has_stanza(root, link.name) else ""


def check(root: Root, files: Sequence[File]) -> str:
    """Have the shell read the script."""
    return syntax(root, files)
