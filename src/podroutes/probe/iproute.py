"""What ``ip -j`` prints, as values: links, addresses, rules and routes of one machine. Pure; any iproute2 since 4.19.

What is printed in one run for 5,000 machines repeats itself, so that equal routes are decoded once and shared.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from podroutes.model.address import BITS, Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.fib import IfAddress, Link
from podroutes.model.host import ANY_TABLE, DEFAULT, DEFAULT_RULES, LOCAL, Host, Peculiarity, Rule
from podroutes.model.route import MAIN, NextHop, Route, protocol_name
from podroutes.model.text import escaped, printable
from podroutes.probe import TablesError

_KINDS = {
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
}  # fmt: skip
_WITHOUT_HOPS = {"blackhole", "unreachable", "prohibit", "throw"}  # IPv6 shows these with "dev lo"
_FLAGS = {"dead": 1, "pervasive": 2, "onlink": 4, "linkdown": 16}  # RTNH_F_*, linux/rtnetlink.h
_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}  # iproute2, rt_scopes
_PREFERENCES = {"high": 1, "medium": 0, "low": -1}
_PROTOCOLS = {protocol_name(number): number for number in range(256)}
_UNMODELLED = {"from": "is for some source addresses only", "encap": "encapsulates its packets"}
_ACTIONS = {
    "6": "blackhole",
    "7": "unreachable",
    "8": "prohibit",
}  # FR_ACT_*, linux/fib_rules.h, as `ip -N` prints them
_RULE_WORDS = {
    "priority", "src", "srclen", "dst", "dstlen", "iif", "iif_detached", "oif", "oif_detached", "fwmark", "fwmask", "tos",
    "table", "action", "goto", "unresolved", "nop", "l3mdev", "not", "suppress_prefixlen", "protocol",
}  # fmt: skip
_TEXT_MOST = 300  # of a line of sysctl(8)


class Texts(NamedTuple):
    """What was printed on one machine, each with the place to name when it is wrong. Missing: None."""

    link: bytes
    addr: bytes
    route: bytes
    rule: bytes
    route6: bytes | None = None
    rule6: bytes | None = None


class Reader:
    """Reads any number of machines; equal routes become one object."""

    def __init__(self) -> None:
        self._routes: dict[bytes, tuple[Route, Peculiarity]] = {}
        self._tables = {"local": LOCAL, "main": MAIN, "default": DEFAULT}

    def host(self, name: str, texts: Texts, sysctls: Mapping[str, int], place: Callable[[str], str]) -> Host:
        """Return the machine NAME. PLACE tells what to call a field of TEXTS in messages; TablesError says what is wrong."""

        def items(field: str) -> list[msgspec.Raw]:
            printed = getattr(texts, field)
            return [] if printed is None else _items(printed, place(field))

        def read(field: str, parse: Callable[[Any], Any]) -> list[Any]:
            return [found for raw in items(field) if (found := _parsed(raw, parse, place(field))) is not None]

        links = read("link", _link)
        addresses = [each for found in read("addr", _addresses) for each in found]
        routes = [self._route(raw, place("route")) for raw in items("route")]
        if texts.route6 is not None:
            routes = [found for found in routes if found[0].dst.version == 4]
            routes += [self._route(raw, place("route6")) for raw in items("route6")]
        rules: dict[int, tuple[Rule, ...] | None] = {4: tuple(read("rule", self._rule)), 6: DEFAULT_RULES[6]}
        if texts.rule6 is not None:
            rules[6] = tuple(read("rule6", self._rule))
        has = {found.version for found in (*(route.dst for route, _ in routes), *(each.address for each in addresses))}
        if 6 in has and (texts.rule6 is None or not any(route.dst.version == 6 for route, _ in routes)):
            rules[6] = None  # IPv6 is there, but only in part among what was collected
        return Host(
            name,
            {link.name: link for link, _ in links},
            {link.name: master for link, master in links if master},
            tuple(addresses),
            rules,
            tuple(route for route, _ in routes),
            {route: peculiarity for route, peculiarity in routes if any(peculiarity)},
            {number: table for table, number in self._tables.items() if number < 0},
            sysctls,
        )

    def _route(self, raw: msgspec.Raw, place: str) -> tuple[Route, Peculiarity]:
        text = bytes(raw)
        found = self._routes.get(text)
        if found is None:
            found = self._routes[text] = _parsed(raw, self._parse_route, place)
        return found

    def _parse_route(self, item: dict[str, Any]) -> tuple[Route, Peculiarity]:
        kind = item.get("type", "unicast")
        if kind not in _KINDS:
            raise ValueError(f"type {printable(str(kind))} is not known")
        version = 6 if "pref" in item or ":" in f"{item['dst']}{item.get('gateway', '')}" else 4
        hops: tuple[NextHop, ...] = ()
        if kind not in _WITHOUT_HOPS:
            hops = tuple(_hop(each) for each in item.get("nexthops") or ([item] if _leads(item) else []))
        route = Route(
            _destination(item["dst"], version),
            hops,
            int(item.get("metric", 0)),
            _PROTOCOLS.get(protocol := str(item.get("protocol", "boot")), int(protocol) if protocol.isdigit() else 0),
            self._table(item.get("table", "main")),
            kind,
            0 if version == 6 else _number(item.get("scope", "global"), _SCOPES),
            _number(item.get("tos", 0), {}),
            parse_address(item["prefsrc"]) if "prefsrc" in item else None,
        )
        ways = [item, *item.get("nexthops", ())]
        unmodelled = next((text for word, text in _UNMODELLED.items() if any(word in way for way in ways)), "")
        return route, Peculiarity(_PREFERENCES.get(item.get("pref", "medium"), 0), unmodelled)

    def _rule(self, item: dict[str, Any]) -> Rule | None:
        if not item:
            return None
        action = _ACTIONS.get(str(item.get("action")), str(item.get("action", "lookup")))
        action = next((word for word in ("goto", "nop", "l3mdev") if word in item), action)
        unmodelled = sorted(item.keys() - _RULE_WORDS)
        if action not in ("lookup", "goto", "nop", "l3mdev", *_ACTIONS.values()):
            unmodelled.append(action)
        mark = _number(item.get("fwmark", 0), {})
        return Rule(
            int(item.get("priority", 0)),
            action,  # type: ignore[arg-type]  # an unknown one is unmodelled
            self._table(item["table"]) if "table" in item else ANY_TABLE,
            int(item.get("goto", 0)),
            _selector(item, "src"),
            _selector(item, "dst"),
            _name(item, "iif"),
            _name(item, "oif"),
            mark,
            _number(item.get("fwmask", 0xFFFFFFFF if "fwmark" in item else 0), {}),
            _number(item.get("tos", 0), {}),
            "not" in item,
            int(item.get("suppress_prefixlen", -1)),
            ", ".join(map(str, unmodelled)),
        )

    def _table(self, name: Any) -> int:
        """Return the number of a table; one that only its machine's /etc/iproute2 knows gets a negative one."""
        text = str(name)
        if text.isascii() and text.isdigit():
            return int(text)
        return self._tables.setdefault(text, -len(self._tables))


def sysctls(text: str, place: str) -> dict[str, int]:
    """Return what sysctl(8) prints, ``net.ipv4.ip_forward = 1`` a line; where a device has a dot it prints a slash."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if line.strip():
            if not equals or not value.strip().lstrip("-").isdigit() or len(line) > _TEXT_MOST:
                raise TablesError(f"{place}:{number}: {printable(line)} is not NAME = NUMBER, as sysctl(8) prints it")
            found[key.strip().replace("/", ".")] = int(value)
    return found


def sysctls_json(data: bytes, place: str) -> dict[str, int]:
    """Return ``{"net.ipv4.ip_forward": 1, …}``."""
    try:
        return {
            key.replace("/", "."): value
            for key, value in msgspec.json.decode(data, type=dict[str, int], strict=False).items()
        }
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise TablesError(f'{place}: is not {{"net.ipv4.ip_forward": 1, …}}: {printable(str(error))}') from None


def _items(data: bytes, place: str) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        what = "is empty" if not data.strip() else f"is not what ip -j prints: {printable(str(error))}"
        raise TablesError(f"{place}: {what}; collect it again") from None


def _parsed(raw: msgspec.Raw, parse: Callable[[Any], Any], place: str) -> Any:
    """Return what PARSE makes of one object; TablesError quotes it when it makes nothing."""
    try:
        item = msgspec.json.decode(raw)
        if not isinstance(item, dict):
            raise TypeError("is not an object")  # noqa: TRY301, as for all else that is wrong
        return parse(item)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        quoted = printable(bytes(raw).decode(errors="replace"))
        why = f"lacks {error}" if isinstance(error, KeyError) else escaped(str(error))
        raise TablesError(f"{place}: {quoted} is not what ip -j prints: {why}") from None


def _link(item: dict[str, Any]) -> tuple[Link, str | None] | None:
    if not item:  # ip(8) prints {} for what a filter left out
        return None
    flags = set(item["flags"])
    master = item.get("master")
    return Link(int(item["ifindex"]), str(item["ifname"]), "UP" in flags, "LOWER_UP" in flags), master and str(master)


def _addresses(item: dict[str, Any]) -> list[IfAddress]:
    return [
        IfAddress(parse_address(each["local"]), _length(each["prefixlen"], each["local"]), str(item["ifname"]))
        for each in item.get("addr_info", ())
        if each.get("family") in ("inet", "inet6") and "local" in each and not each.get("dadfailed")
    ]


def _length(value: Any, address: str) -> int:
    if not 0 <= int(value) <= BITS[6 if ":" in address else 4]:
        raise ValueError(f"prefixlen {value} is too long")
    return int(value)


def _destination(text: str, version: int) -> Prefix:
    if text == "default":
        return Prefix(version, 0, 0)
    return parse_prefix(text) if "/" in text else network(parse_address(text), BITS[6 if ":" in text else 4])


def _selector(item: Mapping[str, Any], end: str) -> Prefix | None:
    text = item.get(end, "all")
    if text == "all":
        return None
    address = parse_address(text)
    return network(address, _length(item.get(f"{end}len", BITS[address.version]), text))


def _leads(item: Mapping[str, Any]) -> bool:
    return any(word in item for word in ("dev", "gateway", "via"))


def _hop(item: Mapping[str, Any]) -> NextHop:
    via: Address | None = None
    if gateway := item.get("gateway") or (item.get("via") or {}).get("host"):
        via = parse_address(gateway)
    flags: Iterable[str] = item.get("flags", ())
    return NextHop(via, _name(item, "dev"), sum(_FLAGS.get(flag, 0) for flag in flags))


def _name(item: Mapping[str, Any], key: str) -> str | None:
    """Return the name of a device, None where there is none."""
    name = item.get(key)
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{key} is no name")
    return name


def _number(value: Any, names: Mapping[str, int]) -> int:
    """Return a number that ip(8) prints as 16, "0x10" or by name."""
    if isinstance(value, int):
        return value
    return names[value] if value in names else int(value, 0)
