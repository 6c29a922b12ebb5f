"""Common parts of the files of all backends: the head, and the form of a route."""

import re
from collections.abc import Iterable, Iterator, Sequence

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.persisted import PersistedRoute, Written
from podroutes.model.route import PROTOCOL
from podroutes.model.text import escaped, printable

MARK = "# Written by podroutes"  # a file without this line near its top is not ours, whatever its name
HEADER = f"""{MARK}: the way to the pods of the other nodes.
# `podroutes apply` writes this file anew, `podroutes remove` deletes it; changes by hand do not last.
"""
_HEAD = 200  # the mark is within these characters, after an interpreter line
_DEFAULT = {4: 0, 6: 1024}  # the default metric; IP6_RT_PRIO_USER, linux/ipv6_route.h
# Characters of a device name that are safe in all formats without quotes; the kernel accepts all but "/", ":" and blanks.
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*")


def is_ours(text: str) -> bool:
    """Return whether TEXT is a file of ours."""
    return MARK in text[:_HEAD]


def remark(node: str | None) -> str:
    """Return a node's name as a comment for any format: one line, without a trailing backslash."""
    return escaped(node).replace("\\", "?") if node else "undecided"


def remark_by(persisted_route: PersistedRoute) -> str:
    """Return node and device of a route as a comment, for formats that do not name the device."""
    return f"{remark(persisted_route.node)} dev {persisted_route.route.dev}"


def metric(persisted_route: PersistedRoute) -> int:
    """Return the metric to write, 0 for the default."""
    route = persisted_route.route
    return 0 if route.metric == _DEFAULT[route.dst.version] else route.metric


def safe(dev: str) -> str:
    """Return DEV if it is safe in all formats. Raises PersistError otherwise."""
    if not _DEVICE.fullmatch(dev):
        raise PersistError(f"interface {printable(dev)}: such a name cannot be written into a configuration file")
    return dev


def by_device(routes: Iterable[PersistedRoute], devices: Iterable[str]) -> dict[str, list[PersistedRoute]]:
    """Group ROUTES by their device; each of DEVICES is a key."""
    grouped: dict[str, list[PersistedRoute]] = {dev: [] for dev in sorted(devices)}
    for persisted_route in routes:
        grouped.setdefault(persisted_route.route.dev or "", []).append(persisted_route)
    return grouped


def recorded(pattern: re.Pattern[str], text: str) -> Iterator[tuple[Written, str]]:
    """Yield the routes that PATTERN matches in TEXT, a file of ours, with their devices. Invalid routes are skipped."""
    for match in pattern.finditer(text):
        try:
            dst, via = parse_prefix(match["dst"]), parse_address(match["via"])
        except ValueError:
            continue
        yield (dst, via, int(match["metric"] or _DEFAULT[dst.version])), match["dev"] or ""


SCRIPT_ROUTE = re.compile(
    rf"^route add (?P<dst>\S+) via (?P<via>\S+) dev (?P<dev>\S+) proto {PROTOCOL}(?: metric (?P<metric>\d+))?(?=\s)",
    re.MULTILINE,
)


def hook(device: str, routes: Sequence[PersistedRoute], devices: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a shell script that adds the routes of the device named by the expansion DEVICE, and prints failures.

    ip(8) adds and never replaces, so that a foreign route stays. An existing route is not a failure.
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
