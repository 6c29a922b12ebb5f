"""Parses routes of ``ip -j``, including those with nexthop objects. Pure.

The tables of 5,000 machines have many equal routes, which are decoded once and shared.
"""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from podroutes.host import TablesError
from podroutes.host.printed import CLASSES, items, name, number, parsed, pieces
from podroutes.model.address import BITS, Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.host import DEFAULT, LOCAL, Peculiarity
from podroutes.model.linux import NextHopFlag
from podroutes.model.route import MAIN, NextHop, Route, protocol_name
from podroutes.model.text import printable

Read = tuple[Route, Peculiarity]

# RTN_* of linux/rtnetlink.h from 1 on, which `ip -N` prints as numbers.
_TYPES = (
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
)  # fmt: skip
_KINDS = {**{kind: kind for kind in _TYPES}, **{str(index): kind for index, kind in enumerate(_TYPES, 1)}}
_WITHOUT_HOPS = {"blackhole", "unreachable", "prohibit", "throw"}  # IPv6 prints these with "dev lo"
_FLAGS = {(flag.name or "").lower(): int(flag) for flag in NextHopFlag}
_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}  # iproute2, rt_scopes
_PREFERENCES = {"high": 1, "medium": 0, "low": -1}
_PROTOCOLS = {protocol_name(value): value for value in range(256)}
_UNMODELLED = {"from": "is for some source addresses only", "encap": "encapsulates its packets"}
_LONGEST = 1 << 16  # bytes of one route; 256 next hops print as 30 KB
_ANYWHERE = Prefix(4, 0, 0)


class Objects:
    """The nexthop objects of one machine, ip-nexthop(8); None if they were not collected."""

    def __init__(self, printed: Iterable[msgspec.Raw] | None, place: str) -> None:
        objects = [parsed(raw, lambda item: item, place) for raw in printed or ()]
        self._by_id = {item.get("id"): item for item in objects}

    def ways(self, number: Any) -> list[dict[str, Any]] | None:
        """Return the next hops of object NUMBER in a route's form; none: a blackhole; None: unknown."""
        item = self._by_id.get(number)
        if item is None:
            return None
        if "blackhole" in item:
            return []
        if "group" not in item:
            return [item]
        members = [self._by_id.get(part.get("id")) for part in item["group"]]
        return None if None in members else [member for member in members if member and "blackhole" not in member]


class Routes:
    """Reads the routes of any number of machines; equal ones become one object, of which ``routes`` has each once.

    Routes are known by their places there. ``peculiar`` has what sets a few apart, ``six`` those of IPv6.
    """

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.peculiar: dict[int, Peculiarity] = {}
        self.six: set[int] = set()
        self._known: dict[bytes, int] = {}  # by the text without its braces
        self._tables = {"local": LOCAL, "main": MAIN, "default": DEFAULT}

    def table(self, text: Any) -> int:
        """Return the number of a table. A name from the machine's own /etc/iproute2 gets a negative number."""
        text = str(text)
        if text.isascii() and text.isdigit():
            return int(text)
        return self._tables.setdefault(text, -len(self._tables))

    @property
    def table_names(self) -> dict[int, str]:
        """The names of tables with negative numbers."""
        return {number: table for table, number in self._tables.items() if number < 0}

    def read(self, data: bytes, objects: Objects, place: str, unread: list[str]) -> list[int]:
        """Return the routes of a list that ip(8) printed. Errors of routes that are not understood are appended to UNREAD."""
        printed = pieces(data)
        routes = list(map(self._known.get, printed))
        numbers: list[int] = []
        start, errors = 0, len(unread)
        while printed and start < len(routes):
            try:
                unknown = routes.index(None, start)
            except ValueError:  # most tables have all but a few routes in common with those before
                return numbers + routes[start:]  # type: ignore[operator]  # no None among them
            numbers += routes[start:unknown]  # type: ignore[arg-type]
            if (complete := _whole(printed, unknown)) is None:
                break
            text, start = complete
            numbers.append(self._place(b"{%b}" % text, text, objects, place, unread))
        if printed and start == len(routes):
            return numbers
        del unread[errors:]
        return [self._place(bytes(raw), bytes(raw)[1:-1], objects, place, unread) for raw in items(data, place)]

    def _place(self, raw: bytes, text: bytes, objects: Objects, place: str, unread: list[str]) -> int:
        """Return the place of the route that RAW is; TEXT is what it is known by."""
        if (known := self._known.get(text)) is not None:
            return known
        number = len(self.routes)
        try:
            (route, peculiarity), shared = parsed(raw, partial(self._parse, raw, objects), place)
        except TablesError as error:
            unread.append(str(error))
            (route, peculiarity), shared = _unreadable(raw), False
        if shared:
            self._known[text] = number
        if any(peculiarity):
            self.peculiar[number] = peculiarity
        if route.dst.version == 6:
            self.six.add(number)
        self.routes.append(route)
        return number

    def _parse(self, text: bytes, objects: Objects, item: dict[str, Any]) -> tuple[Read, bool]:
        """Return the route, and whether the same text is the same route on all machines: false if it names a nexthop object."""
        kind = _KINDS.get(given := str(item.get("type", "unicast")))
        if kind is None:
            raise ValueError(f"type {printable(given)} is not known")
        if "encap" in item:  # the tunnel's remote address has the same key, after the destination
            item["dst"] = _destination_text(text)
        ways = item.get("nexthops") or ([item] if any(word in item for word in ("dev", "gateway", "via")) else [])
        unmodelled = next(
            (words for word, words in _UNMODELLED.items() if any(word in way for way in (item, *ways))), ""
        )
        by_object = "nhid" in item and not ways and kind not in _WITHOUT_HOPS
        if by_object:
            resolved = objects.ways(item["nhid"])
            kind = "blackhole" if resolved == [] else kind
            ways = resolved or []
            if resolved is None:
                unmodelled = f"leads by nexthop object {item['nhid']}, which was not collected (`ip -N -j nexthop`)"
        tos = str(item.get("tos", 0))
        if not (tos in CLASSES or tos[:1].isdigit()):
            unmodelled, tos = f"is for a traffic class of an unknown name, {printable(tos)}", "0"
        version = 6 if "pref" in item or ":" in f"{item['dst']}{item.get('gateway', '')}" else 4
        protocol = str(item.get("protocol", "boot"))
        route = Route(
            _destination(item["dst"], version),
            tuple(map(_hop, ways)) if kind not in _WITHOUT_HOPS else (),
            int(item.get("metric", 0)),
            _PROTOCOLS.get(protocol, int(protocol) if protocol.isdigit() else 0),
            self.table(item.get("table", "main")),
            kind,
            0 if version == 6 else number(item.get("scope", "global"), _SCOPES),
            number(tos, CLASSES),
            parse_address(item["prefsrc"]) if "prefsrc" in item else None,
            tuple(
                (str(key), value)
                for part in item.get("metrics", ())
                for key, value in part.items()
                if isinstance(value, int) and value
            ),
            int(item.get("nhid", 0)),
        )
        return (route, Peculiarity(_PREFERENCES.get(item.get("pref", "medium"), 0), unmodelled)), not by_object


def _whole(printed: list[bytes], place: int) -> tuple[bytes, int] | None:
    """Return the object that begins at PLACE, which may have been cut at objects inside of it, and where the next one begins."""
    text = printed[place]
    while not _is_object(text):
        place += 1
        if place == len(printed) or len(text) > _LONGEST:
            return None
        text = b"%b},{%b" % (text, printed[place])
    return text, place + 1


def _is_object(text: bytes) -> bool:
    try:
        msgspec.json.decode(b"{%b}" % text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _unreadable(text: bytes) -> Read:
    """Return a placeholder for a route that is not understood: where its packets go is unknown."""
    try:
        dst = _destination(destination := _destination_text(text), 6 if ":" in destination else 4)
    except (ValueError, OverflowError):
        dst = _ANYWHERE
    return Route(dst), Peculiarity(0, "is not understood")


def covers_all(route: Route, peculiarity: Peculiarity) -> bool:
    """Return whether even the destination of a placeholder is unknown."""
    return route.dst == _ANYWHERE and peculiarity.unmodelled == "is not understood"


def _destination_text(text: bytes) -> str:
    match = re.search(rb'"dst"\s*:\s*"([^"]*)"', text)
    return match[1].decode(errors="replace") if match else ""


def _destination(text: str, version: int) -> Prefix:
    if text == "default":
        return Prefix(version, 0, 0)
    return parse_prefix(text) if "/" in text else network(parse_address(text), BITS[6 if ":" in text else 4])


def _hop(item: Mapping[str, Any]) -> NextHop:
    via: Address | None = None
    if gateway := item.get("gateway") or (item.get("via") or {}).get("host"):
        via = parse_address(gateway)
    flags: Iterable[str] = item.get("flags", ())
    return NextHop(via, name(item, "dev"), sum(_FLAGS.get(flag, 0) for flag in flags))
