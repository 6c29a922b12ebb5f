"""The parser behind every format: turns raw nodes (strings with line numbers) into Node values and Problems.

Addresses are parsed here and nowhere else. A value that no route can use is left out of its Node, reported as a Problem, and
marks the field as unread. So one bad line neither stops the routes of other nodes nor deletes those of its own node.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from podroutes.errors import InventoryError
from podroutes.model.address import BITS, Address, Prefix, parse_address, parse_prefix
from podroutes.model.cluster import Format, Node, Unread
from podroutes.model.problem import Problem
from podroutes.model.text import printable

_Value = TypeVar("_Value", Address, Prefix)
Located = tuple[str, int | None]  # a value as written, and its line


class RawNode(NamedTuple):
    """One machine as written in its source. ``line`` is None if the format's reader keeps no line numbers."""

    name: str
    internal_ips: Sequence[Located] = ()
    pod_cidrs: Sequence[Located] = ()
    interface: str | None = None
    hostnames: tuple[str, ...] = ()
    line: int | None = None
    unread: tuple[Unread, ...] = ()  # fields that the reader itself could not read
    created: str = ""  # metadata.creationTimestamp as written
    uid: str = ""
    router: bool = False


class RawInventory(NamedTuple):
    """The output of a reader: the nodes (perhaps lazily), ``cluster.*CIDRs`` by field of Cluster, and problems."""

    nodes: Iterable[RawNode]
    limits: dict[str, list[Located]] = {}  # noqa: RUF012 - never written to
    problems: Sequence[Problem] = ()
    format: Format = "podroutes"
    parsed: tuple[Node, ...] | None = None  # in place of ``nodes``, where nothing is wrong with any of them


CODES = {"internalIP": "invalid-internal-ip", "podCIDR": "invalid-pod-cidr"}
LONGEST_NAME = 253  # characters of a Node's name: RFC 1123, enforced by the API server
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")  # metav1.Time, always in UTC
# Ranges that neither a next hop nor a pod may be in, and their names. The kernel routes everything else.
_SPECIAL = (
    *(
        (parse_prefix(text), words)
        for text, words in (
            ("0.0.0.0/8", "the unspecified range"),  # RFC 1122 section 3.2.1.3
            ("127.0.0.0/8", "the loopback range"),  # RFC 1122 section 3.2.1.3
            ("169.254.0.0/16", "the link-local range"),  # RFC 3927
            ("224.0.0.0/4", "the multicast range"),  # RFC 5771
            ("255.255.255.255/32", "the broadcast address"),  # RFC 919
            ("::/128", "the unspecified address"),  # RFC 4291 section 2.5.2
            ("::1/128", "the loopback address"),  # RFC 4291 section 2.5.3
            ("fe80::/10", "the link-local range"),  # RFC 4291 section 2.5.6
            ("ff00::/8", "the multicast range"),  # RFC 4291 section 2.7
        )
    ),
    (Prefix(6, 0xFFFF << 32, 96), "the IPv4-mapped range"),  # RFC 4291 section 2.5.5.2; parse_prefix refuses it
)
# First octets of the ranges in _SPECIAL: most addresses need no further search.
SUSPECT = {4: frozenset({0, 127, 169, 255, *range(224, 240)}), 6: frozenset({0x00, 0xFE, 0xFF})}


def once(values: Iterable[Located]) -> list[Located]:
    """Return VALUES without duplicates: the API server repeats the first of podCIDRs as podCIDR."""
    lines: dict[str, int | None] = {}
    for text, line in values:
        lines.setdefault(text, line)
    return list(lines.items())


def parse_nodes(raw_nodes: Iterable[RawNode], source: str, problems: list[Problem]) -> tuple[Node, ...]:
    """Return a Node for each of RAW_NODES, in order. Wrong values are added to PROBLEMS."""
    nodes = []
    for raw in raw_nodes:
        name, ips, cidrs, interface, hostnames, line, unread, created, uid, router = raw
        addresses, prefixes = [], []
        for value in ips:
            try:
                addresses.append(parse_internal_ip(value[0]))
            except ValueError as error:
                unread += (_unread("internalIP", value, error),)
                problems.append(_problem(source, raw, value, unread[-1]))
        for value in cidrs:
            try:
                prefixes.append(parse_pod_cidr(value[0]))
            except ValueError as error:
                unread += (_unread("podCIDR", value, error),)
                problems.append(_problem(source, raw, value, unread[-1]))
        if len(name) > LONGEST_NAME:
            words = f"{len(name):,} characters are more than the {LONGEST_NAME} of a DNS subdomain"
            problems.append(
                Problem(
                    "error",
                    "invalid-name",
                    f"{_place(source, line)}: node {printable(name)}: {words}",
                    (name[:LONGEST_NAME],),
                )
            )
            name = name[:LONGEST_NAME]
        if created and not _TIME.fullmatch(created):
            created = ""
        nodes.append(
            Node(name, _unique(addresses), _unique(prefixes), interface, hostnames, line, unread, created, uid, router)
        )
    return tuple(nodes)


def parse_limits(values: Iterable[Located], source: str) -> tuple[Prefix, ...]:
    """Return the networks of a limit in ``cluster:``. Raises InventoryError for a wrong value: a limit must not be ignored."""
    prefixes = []
    for text, line in values:
        try:
            prefixes.append(parse_prefix(text))
        except ValueError as error:
            raise InventoryError(f"{_place(source, line)}: cluster: network {printable(text)} {error}") from None
    return _unique(prefixes)


def parse_internal_ip(text: str) -> Address:
    """Parse an address that a next hop can have. Raises ``ValueError`` with a short reason."""
    address = parse_address(text)
    version, value = address
    if value >> (BITS[version] - 8) in SUSPECT[version]:
        _refuse_special(Prefix(version, value, BITS[version]))
    return address


def parse_pod_cidr(text: str) -> Prefix:
    """Parse a network that pods can have, including /32 and /128. Raises ``ValueError`` with a short reason."""
    prefix = parse_prefix(text)
    version, value, length = prefix
    if length < 8 or value >> (BITS[version] - 8) in SUSPECT[version]:
        if not length:
            raise ValueError("is the default route, not a network of pods")
        _refuse_special(prefix)
    return prefix


def _refuse_special(prefix: Prefix) -> None:
    for special, words in _SPECIAL:
        if special == prefix:
            raise ValueError(f"is {words}")
        if special.covers(prefix):
            raise ValueError(f"lies in {words} {special}")
        if prefix.covers(special):
            raise ValueError(f"contains {words} {special}")


def _unique(values: list[_Value]) -> tuple[_Value, ...]:
    return tuple(values) if len(values) < 2 else tuple(dict.fromkeys(values))


def _place(source: str, line: int | None) -> str:
    return f"{source}:{line}" if line else source


def _unread(field: str, value: Located, why: ValueError) -> Unread:
    text, _ = value
    what = f"{field} {printable(text)} {why}" if text else f"{field} is empty; leave it out where there is none"
    return Unread(field, what, CODES[field])


def _problem(source: str, node: RawNode, value: Located, unread: Unread) -> Problem:
    message = f"{_place(source, value[1])}: node {printable(node.name)}: {unread.reason}"
    return Problem("error", CODES[unread.field], message, (node.name,))
