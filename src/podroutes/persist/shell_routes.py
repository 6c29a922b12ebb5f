"""Finds the routes that ``ip route add`` and ``route add`` make in shell scripts and in commands of interfaces(5). Pure.

A script is not run or interpreted: each command in it may run, whatever the condition around it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from podroutes.model.address import BITS, Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.configured import ConfiguredRoute

_ENDS = re.compile(r"\|\||&&|[;|&(){}]")  # what separates commands
_VARIABLE = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+")
_ANY = "\0"  # stands for a variable
_BEGINNINGS = tuple("0123456789abcdef")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_QUOTES = str.maketrans("\"'`", "   ")  # no word of a route contains a blank, so quotes can be ignored
_ROUTE_WORDS = {"r", "ro", "rou", "rout", "route"}  # ip(8) takes every abbreviation
_VERBS = {"a", "ad", "add", "replace", "append", "prepend", "change", "chg"}
_KINDS = {"unicast", "blackhole", "unreachable", "prohibit", "throw", "local", "broadcast", "multicast"}
_VALUED = {
    "dev",
    "via",
    "metric",
    "preference",
    "priority",
    "proto",
    "protocol",
    "src",
    "table",
    "scope",
    "tos",
    "dsfield",
}
_NET_TOOLS = {"netmask", "gw", "metric", "dev", "mss", "window", "irtt"}  # keywords with a value in route(8)
_MAIN = {"main", "254"}


def shell_routes(text: str, path: str, manager: str = "", dev: str | None = None) -> Iterator[ConfiguredRoute]:
    """Yield the routes for the main table of commands in TEXT, the content of PATH. DEV is the device that ``$IFACE`` stands for."""
    for number, line in joined(text):
        for command in _ENDS.split(_COMMENT.sub("", line).translate(_QUOTES)):
            route = _read(command.split())
            if route:
                dst, via, device, metric, kind = route
                named = dev if device is not None and "$" in device else device
                yield ConfiguredRoute(path, number, dst, via, named, metric, kind, manager)


def unclear_routes(text: str, wanted: Collection[Prefix]) -> Iterator[tuple[int, str]]:
    """Yield line and destination of commands whose destination has variables in it and may be one of WANTED.

    Only destinations that begin with a part of an address are meant: `ip route add "$net"` says nothing.
    """
    names = [str(dst) for dst in wanted]
    for number, line in joined(text):
        if "$" not in line:
            continue
        plain = _VARIABLE.sub(_ANY, _COMMENT.sub("", line))
        for command in _ENDS.split(plain.translate(_QUOTES)):
            words = command.split()
            at = next(
                (index for index, word in enumerate(words) if word.startswith(_BEGINNINGS) and _ANY in word), None
            )
            if at is None or not _VERBS.intersection(words[:at]):
                continue
            pattern = re.compile(re.escape(words[at]).replace(re.escape(_ANY), ".*"))
            if any(pattern.fullmatch(name) or pattern.fullmatch(name.partition("/")[0]) for name in names):
                yield number, words[at].replace(_ANY, "*")


def joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number. A line that ends with a backslash is joined with the next one."""
    start, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield start, " ".join(parts)
            start, parts = 0, []
    if parts:
        yield start, " ".join(parts)


_Parsed = tuple[Prefix, Address | None, str | None, int | None, str]


def _read(words: Sequence[str]) -> _Parsed | None:
    """Parse one command, after a possible prefix (sudo, if, a path)."""
    for position, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name == "ip":
            return _ip_route(words[position + 1 :])
        if name == "route":
            return _net_tools_route(words[position + 1 :])
    return None


def _ip_route(words: Sequence[str]) -> _Parsed | None:
    """Parse the arguments of ``ip``; see ip-route(8)."""
    rest = [word for word in words if not word.startswith("-")]
    if len(rest) < 3 or rest[0] not in _ROUTE_WORDS or rest[1] not in _VERBS:
        return None
    rest = rest[2:]
    kind = "unicast"
    if rest[0] in _KINDS:
        kind, *rest = rest
    if rest and rest[0] == "to":
        rest = rest[1:]
    dst = destination(rest[0]) if rest else None
    if dst is None:
        return None
    options = {key: value for key, value in pairwise(rest) if key in _VALUED}
    if options.get("table", "main") not in _MAIN:
        return None
    several = rest.count("nexthop") > 0
    via = None if several else gateway(options.get("via"))
    metric = options.get("metric", options.get("preference", options.get("priority", "")))
    return dst, via, options.get("dev"), int(metric) if metric.isdigit() else None, kind


def _net_tools_route(words: Sequence[str]) -> _Parsed | None:
    """Parse the arguments of ``route``; see route(8) of net-tools."""
    rest = [word for word in words if word not in ("-4", "-6", "-A", "inet", "inet6", "-v", "-n")]
    if len(rest) < 2 or rest[0] != "add":
        return None
    if "via" in rest:  # a line of `ip -batch`
        return _ip_route(["route", *rest])
    target, *rest = [word for word in rest[1:] if word not in ("-net", "-host")] or [""]
    options, iterator = dict[str, str](), iter(rest)
    for word in iterator:
        if word in _NET_TOOLS:
            options[word] = next(iterator, "")
        elif word != "reject":
            options["dev"] = word  # the device may be last without a keyword
    dst = destination(f"{target}/{options['netmask']}" if "netmask" in options else target)
    if dst is None:
        return None
    metric = options.get("metric", "")
    kind = "unreachable" if "reject" in rest else "unicast"
    return dst, gateway(options.get("gw")), options.get("dev"), int(metric) if metric.isdigit() else None, kind


def destination(text: str, *, masks: bool = False) -> Prefix | None:
    """Return the network TEXT. A bare address is a host, as for ip(8) and netplan, and IPv4 may have a netmask.

    With MASKS host bits are cleared, as network managers do; ip(8) refuses them.
    """
    head, slash, tail = text.partition("/")
    try:
        if not slash:
            address = parse_address(head)
            return network(address, BITS[address.version])
        if "." in tail:
            return _masked(parse_address(head), parse_address(tail))
        if masks and tail.isdigit():
            address = parse_address(head)
            return network(address, int(tail)) if int(tail) <= BITS[address.version] else None
        return parse_prefix(text)
    except ValueError:
        return None


def _masked(address: Address, mask: Address) -> Prefix | None:
    """Return the network of ADDRESS and a netmask, None if the mask is not contiguous or host bits are set."""
    length = mask.value.bit_count()
    prefix = network(address, length)
    host_mask = (1 << 32) - (1 << (32 - length))
    return prefix if mask.value == host_mask and prefix.value == address.value else None


def gateway(text: str | None) -> Address | None:
    """Return the address TEXT, None if it is not one."""
    try:
        return parse_address(text.removeprefix("inet6 ").strip()) if text else None
    except ValueError:
        return None
