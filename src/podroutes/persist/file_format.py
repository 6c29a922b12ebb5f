"""What the files of all backends have in common: how they begin, and how they write a route."""

import re
from collections.abc import Iterable, Iterator, Sequence

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.persisted import PersistedRoute, Written
from podroutes.model.route import PROTOCOL
from podroutes.model.text import escaped, printable

MARK = "# Written by podroutes"  # a file that has no such line near its top is not ours, whatever its name
HEADER = f"""{MARK}: the way to the pods of the other nodes.
# `podroutes apply` writes this file anew, `podroutes remove` deletes it; changes by hand do not last.
"""
_HEAD = 200  # the mark stands within these characters, behind an interpreter line
_DEFAULT = {4: 0, 6: 1024}  # the metric that goes without saying; IP6_RT_PRIO_USER, linux/ipv6_route.h
# What a device name may hold in every format at once, unquoted; the kernel would take anything but "/", ":" and blanks.
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*")


def is_ours(text: str) -> bool:
    """Whether TEXT is a file of ours."""
    return MARK in text[:_HEAD]


def remark(node: str | None) -> str:
    """Return a node's name as a comment in any format: one line, without the backslash that would join it to the next."""
    return escaped(node).replace("\\", "?") if node else "undecided"


def remark_by(persisted_route: PersistedRoute) -> str:
    """Return node and device of a route as a comment, for the formats that do not name the device: it can be down when they are read."""
    return f"{remark(persisted_route.node)} dev {persisted_route.route.dev}"


def metric(persisted_route: PersistedRoute) -> int:
    """Return the metric to write down, 0 for the one that goes without saying."""
    route = persisted_route.route
    return 0 if route.metric == _DEFAULT[route.dst.version] else route.metric


def safe(dev: str) -> str:
    """Return DEV if it means the same in every format; PersistError for a name made to be misread."""
    if not _DEVICE.fullmatch(dev):
        raise PersistError(f"interface {printable(dev)}: such a name cannot be written into a configuration file")
    return dev


def by_device(routes: Iterable[PersistedRoute], devices: Iterable[str]) -> dict[str, list[PersistedRoute]]:
    """Sort ROUTES by their device; every one of DEVICES is there."""
    found: dict[str, list[PersistedRoute]] = {dev: [] for dev in sorted(devices)}
    for persisted_route in routes:
        found.setdefault(persisted_route.route.dev or "", []).append(persisted_route)
    return found


def recorded(pattern: re.Pattern[str], text: str) -> Iterator[tuple[Written, str]]:
    """Yield the routes that PATTERN finds in TEXT, a file of ours, with their devices; what was made unreadable is passed over."""
    for found in pattern.finditer(text):
        try:
            dst, via = parse_prefix(found["dst"]), parse_address(found["via"])
        except ValueError:
            continue
        yield (dst, via, int(found["metric"] or _DEFAULT[dst.version])), found["dev"] or ""


SCRIPT_ROUTE = re.compile(
    rf"^route add (?P<dst>\S+) via (?P<via>\S+) dev (?P<dev>\S+) proto {PROTOCOL}(?: metric (?P<metric>\d+))?(?=\s)",
    re.MULTILINE,
)


def hook(device: str, routes: Sequence[PersistedRoute], devices: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a shell script that adds the routes of the device named by the expansion DEVICE, and prints what fails.

    ip(8) adds and never replaces, so that a route somebody else made since stays; what is there already is no failure.
    """
    yield f'case "{device}" in'
    for dev, rows in by_device(routes, devices).items():
        yield f"{safe(dev)})"
        yield "    ip -force -batch - <<'ROUTES' 2>&1 | grep -v -e 'File exists' -e '^Command failed'"
        for persisted_route in rows:
            route = persisted_route.route
            weight = f" metric {metric(persisted_route)}" if metric(persisted_route) else ""
            yield f"route add {route.dst} via {route.via} dev {dev} proto {PROTOCOL}{weight} # {remark(persisted_route.node)}"
        yield "ROUTES"
        yield "    ;;"
    yield "esac"
