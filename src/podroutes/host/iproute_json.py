"""Parses the output of ``ip -j``: links, addresses, rules and routes of one machine. Pure; for iproute2 4.19 and later."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from podroutes.host import TablesError
from podroutes.host.iproute_routes import Objects, Routes, covers_all
from podroutes.host.printed import CLASSES, items, length, name, number, parsed
from podroutes.model.address import BITS, Address, Prefix, network, parse_address
from podroutes.model.fib import IfAddress, Link, Unusable
from podroutes.model.host import ANY_TABLE, DEFAULT_RULES, Host, Medium, Neighbour, NeighbourTable, Rule
from podroutes.model.table import Table
from podroutes.model.text import printable

_ACTIONS = {
    "6": "blackhole",
    "7": "unreachable",
    "8": "prohibit",
}  # FR_ACT_*, linux/fib_rules.h, as `ip -N` prints them
_RULE_WORDS = {
    "priority", "src", "srclen", "dst", "dstlen", "iif", "iif_detached", "oif", "oif_detached", "fwmark", "fwmask", "tos",
    "table", "action", "goto", "unresolved", "nop", "l3mdev", "not", "suppress_prefixlen", "protocol",
}  # fmt: skip
_FORWARDING = "forwarding"
# What a bridge port does that passes on all that the machine itself sends; ip-link(8), bridge_slave.
_PORT = {"flood": True, "neigh_suppress": False, "locked": False, "proxy_arp": False, "proxy_arp_wifi": False}
_GROUP = 1  # the bit of a MAC address's first byte that makes it one of several devices
_TEXT_MOST = 300  # characters of a line of sysctl(8)
_NEIGHBOURS_MOST = 100_000  # kept entries of all machines: 30 MB; without the rest less can be told


class Texts(NamedTuple):
    """The outputs of one machine's commands. None: missing."""

    link: bytes
    addr: bytes
    route: bytes
    rule: bytes
    route6: bytes | None = None
    rule6: bytes | None = None
    nexthop: bytes | None = None
    neigh: bytes | None = None
    proxy: bytes | None = None


class Reader:
    """Reads any number of machines; equal routes become one object."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._media: dict[Medium, Medium] = {}
        self._neighbours = 0

    def host(self, name: str, texts: Texts, sysctls: Mapping[str, int], place: Callable[[str], str]) -> Host:
        """Return the machine NAME. PLACE tells what to call a field of TEXTS in messages; TablesError says what is wrong.

        A route or rule that is not understood makes only the affected part of the machine's state uncertain.
        """

        def raws(field: str) -> list[msgspec.Raw]:
            printed = getattr(texts, field)
            return [] if printed is None else items(printed, place(field))

        def read(field: str, parse: Callable[[Any], Any]) -> list[Any]:
            return [found for raw in raws(field) if (found := parsed(raw, parse, place(field))) is not None]

        links = read("link", self._link)
        addresses = [each for found in read("addr", _addresses) for each in found]
        unread: list[str] = []
        objects = Objects(raws("nexthop"), place("nexthop"))
        routes = self._routes.read(texts.route, objects, place("route"), unread)
        six = self._routes.six
        if texts.route6 is not None:
            routes = [number for number in routes if number not in six]
            routes += self._routes.read(texts.route6, objects, place("route6"), unread)
        rules = {4: self._rules(raws("rule"), place("rule"), unread), 6: DEFAULT_RULES[6]}
        if texts.rule6 is not None:
            rules[6] = self._rules(raws("rule6"), place("rule6"), unread)
        has_six = not six.isdisjoint(routes)
        addressed = has_six or any(each.address.version == 6 for each in addresses)
        if addressed and (texts.rule6 is None or not has_six):
            rules[6] = None  # IPv6 is there, but only in part among what was collected
        apart = self._routes.peculiar.keys() & routes if self._routes.peculiar else ()
        peculiar = {self._routes.routes[number]: self._routes.peculiar[number] for number in apart}
        if unread and any(covers_all(*each) for each in peculiar.items()):
            rules = dict.fromkeys(rules)
        return Host(
            name,
            {link.name: link for link, _, _ in links},
            {link.name: master for link, master, _ in links if master},
            tuple(addresses),
            rules,
            Table(self._routes.routes, routes),
            peculiar,
            self._routes.table_names,
            sysctls,
            {link.name: medium for link, _, medium in links},
            tuple(unread),
            tuple(each for found in read("addr", _unusable) for each in found),
            self._neighbour_table(texts, place),
            self._macs(texts, place),
        )

    def _neighbour_table(self, texts: Texts, place: Callable[[str], str]) -> NeighbourTable | None:
        """Return a machine's neighbours; None if not collected, or more than are kept."""
        if texts.neigh is None:
            return None
        raws = items(texts.neigh, place("neigh"))
        self._neighbours += len(raws)
        if self._neighbours > _NEIGHBOURS_MOST:
            return None
        found = (parsed(raw, _neighbour, place("neigh")) for raw in raws)
        proxied = None
        if texts.proxy is not None:
            proxied = frozenset(parsed(raw, _end, place("proxy")) for raw in items(texts.proxy, place("proxy")))
        return NeighbourTable(dict(each for each in found if each), proxied)

    def _macs(self, texts: Texts, place: Callable[[str], str]) -> dict[str, str]:
        """Return the MAC addresses of a machine's devices, which neighbour tables are compared with."""
        if texts.neigh is None:
            return {}
        devices = (parsed(raw, _mac, place("link")) for raw in items(texts.link, place("link")))
        return dict(device for device in devices if device)

    def _link(self, item: dict[str, Any]) -> tuple[Link, str | None, Medium] | None:
        if not item:  # ip(8) prints {} for a filtered object
            return None
        flags = set(item["flags"])
        link = Link(
            int(item["ifindex"]), str(item["ifname"]), "UP" in flags, "LOWER_UP" in flags, int(item.get("mtu", 0))
        )
        more = item.get("linkinfo") or {}
        kind = more.get("info_kind", "") if "promiscuity" in item else None  # printed only with -d
        port = more.get("info_slave_data") or {} if more.get("info_slave_kind") == "bridge" else {}
        selects = bool((more.get("info_data") or {}).get("vlan_filtering")) or any(
            port.get(key, wanted) is not wanted for key, wanted in _PORT.items()
        )
        outside = "link_netnsid" in item if "link_index" in item or "link" in item else None
        resolves = item.get("link_type", "ether") in ("ether", "loopback") and "NOARP" not in flags
        reports = item.get("operstate") != "UNKNOWN" or "LOOPBACK" in flags
        medium = Medium(
            kind and str(kind),
            resolves,
            reports,
            outside,
            blocked=port.get("state", _FORWARDING) != _FORWARDING,
            selects=selects,
        )
        return link, str(item["master"]) if item.get("master") else None, self._media.setdefault(medium, medium)

    def _rules(self, raws: list[msgspec.Raw], place: str, unread: list[str]) -> tuple[Rule, ...] | None:
        """Return the rules of one IP version, None if one of them is not understood."""
        try:
            return tuple(rule for raw in raws if (rule := parsed(raw, self._rule, place)) is not None)
        except TablesError as error:
            unread.append(str(error))
            return None

    def _rule(self, item: dict[str, Any]) -> Rule | None:
        if not item:
            return None
        action = _ACTIONS.get(str(item.get("action")), str(item.get("action", "lookup")))
        action = next((word for word in ("goto", "nop", "l3mdev") if word in item), action)
        unmodelled = sorted(item.keys() - _RULE_WORDS)
        if action not in ("lookup", "goto", "nop", "l3mdev", *_ACTIONS.values()):
            unmodelled.append(action)
        tos = str(item.get("tos", 0))
        if not (tos in CLASSES or tos[:1].isdigit()):
            unmodelled.append(f"tos {printable(tos)}")
            tos = "0"
        return Rule(
            int(item.get("priority", 0)),
            action,  # type: ignore[arg-type]  # an unknown action is unmodelled
            self._routes.table(item["table"]) if "table" in item else ANY_TABLE,
            int(item.get("goto", 0)),
            _selector(item, "src"),
            _selector(item, "dst"),
            name(item, "iif"),
            name(item, "oif"),
            number(item.get("fwmark", 0), {}),
            number(item.get("fwmask", 0xFFFFFFFF if "fwmark" in item else 0), {}),
            number(tos, CLASSES),
            "not" in item,
            int(item.get("suppress_prefixlen", -1)),
            ", ".join(map(str, unmodelled)),
        )


def sysctls(text: str, place: str) -> dict[str, int]:
    """Parse the output of sysctl(8), lines of ``net.ipv4.ip_forward = 1``. It prints a dot in a device name as a slash."""
    found = {}
    for count, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if key.strip() == "kernel.osrelease":
            found["kernel.osrelease"] = release(value.strip())
        elif line.strip():
            if not equals or not value.strip().lstrip("-").isdigit() or len(line) > _TEXT_MOST:
                raise TablesError(f"{place}:{count}: {printable(line)} is not NAME = NUMBER, as sysctl(8) prints it")
            found[key.strip().replace("/", ".")] = int(value)
    return found


def release(text: str) -> int:
    """Return a kernel version as a number, 6017 for 6.17; 0 if TEXT is not one. See uname(2)."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})\b", text)
    return int(found[1]) * 1000 + int(found[2]) if found else 0


def sysctls_json(data: bytes, place: str) -> dict[str, int]:
    """Parse a JSON object of sysctls: ``{"net.ipv4.ip_forward": 1, …}``."""
    try:
        return {
            key.replace("/", "."): value
            for key, value in msgspec.json.decode(data, type=dict[str, int], strict=False).items()
        }
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise TablesError(f'{place}: is not {{"net.ipv4.ip_forward": 1, …}}: {printable(str(error))}') from None


def _addresses(item: dict[str, Any]) -> list[IfAddress]:
    return [
        _address(each, str(item["ifname"]))
        for each in item.get("addr_info", ())
        if each.get("family") in ("inet", "inet6") and "local" in each and not each.get("dadfailed")
    ]


def _address(each: Mapping[str, Any], dev: str) -> IfAddress:
    peer = parse_address(each["address"]) if "address" in each else None
    return IfAddress(parse_address(each["local"]), length(each["prefixlen"], each["local"]), dev, peer)


def _unusable(item: dict[str, Any]) -> list[Unusable]:
    """Return the IPv6 addresses that duplicate address detection has not given to this machine, or not yet."""
    return [
        Unusable(_address(each, str(item["ifname"])), failed=bool(each.get("dadfailed")))
        for each in item.get("addr_info", ())
        if each.get("family") == "inet6"
        and "local" in each
        and (each.get("dadfailed") or (each.get("tentative") and not each.get("optimistic")))
    ]


def _end(item: Mapping[str, Any]) -> tuple[str, Address]:
    return str(item.get("dev", "")), parse_address(item["dst"])


def _neighbour(item: Mapping[str, Any]) -> tuple[tuple[str, Address], Neighbour] | None:
    """Return an entry with a MAC address: of a failed or incomplete one there is none, and those of groups and broadcasts are the kernel's."""
    states = item.get("state", ())
    if "lladdr" not in item or ("NOARP" in states and int(str(item["lladdr"])[:2], 16) & _GROUP):
        return None
    return _end(item), Neighbour(str(item["lladdr"]), not {"PERMANENT", "NOARP"}.isdisjoint(states))


def _mac(item: Mapping[str, Any]) -> tuple[str, str] | None:
    loops = "LOOPBACK" in item.get("flags", ())
    return (str(item["ifname"]), str(item["address"])) if "address" in item and not loops else None


def _selector(item: Mapping[str, Any], end: str) -> Prefix | None:
    text = item.get(end, "all")
    if text == "all":
        return None
    address = parse_address(text)
    return network(address, length(item.get(f"{end}len", BITS[address.version]), text))
