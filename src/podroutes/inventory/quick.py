"""Reads inventories of the usual shape by columns: ten thousand nodes in the time that their bytes take.

What has another shape, or any mistake, is left to the parser of its format, which knows places and words: the answer is None then.
"""

import re
import sys
from _socket import AF_INET, inet_pton
from array import array
from collections.abc import Iterable
from itertools import repeat

from podroutes.inventory.nodes import LONGEST_NAME, SUSPECT
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Node

_LENGTHS = {str(length): length for length in range(8, 33)}
_HOST_BITS = [(1 << (32 - length)) - 1 for length in range(33)]
_REST = [Node._field_defaults[field] for field in Node._fields[6:]]
# One node as in the documentation, on a line or in a block; words that YAML takes for something else than a string are no names.
_NAME = r"((?!(?:null|true|false)\b)[a-z][a-z0-9.-]*)"
_ITEM = re.compile(
    rf"  - (?:\{{name: {_NAME}, internalIP: ([0-9.]+)(?:, podCIDR: ([0-9./]+))?\}}"
    rf"|name: {_NAME}\n    internalIP: ([0-9.]+)(?:\n    podCIDR: ([0-9./]+))?)\n"
)
_HEAD = re.compile(r"(?:#[ -~]*\n|\n)*nodes:\n")


def machines(text: str) -> tuple[Node, ...] | None:
    """Return the nodes of a machines.txt with one IPv4 address and at most one IPv4 podCIDR a line."""
    lines = text.split("\n")
    if "#" in text:
        lines = ["" if line[:1] == "#" else line for line in lines]
        if any("#" in line for line in lines):
            return None
    numbered = [(number, row) for number, line in enumerate(lines, 1) if (row := line.split())]
    if not {len(row) for _, row in numbered} <= {3, 4}:
        return None
    rows = [row for _, row in numbered]
    names = [row[2] for row in rows]
    if any("/" in name for name in names):
        return None
    cidrs = [row[3] if len(row) == 4 else "" for row in rows]
    hostnames = list(zip([row[1] for row in rows]))
    return _nodes(names, [row[0] for row in rows], cidrs, hostnames, [number for number, _ in numbered])


def yaml(text: str) -> tuple[Node, ...] | None:
    """Return the nodes of our own format as the documentation writes it: ``nodes:``, one address and podCIDR a node, IPv4."""
    head = _HEAD.match(text)
    if not head:
        return None
    line, position, rows, numbers = text.count("\n", 0, head.end()) + 1, head.end(), [], []
    while position < len(text):
        item = _ITEM.match(text, position)
        if not item:
            return None
        first = item.groups("")
        rows.append(first[:3] if first[0] else first[3:])
        numbers.append(line)
        position = item.end()
        line += 1 if first[0] else 2 + bool(first[5])
    if not rows:
        return None
    names, ips, cidrs = map(list, zip(*rows, strict=True))
    return _nodes(names, ips, cidrs, repeat((), len(rows)), numbers)


def _nodes(
    names: list[str],
    ips: list[str],
    cidrs: list[str],
    hostnames: Iterable[tuple[str, ...]],
    lines: list[int],
) -> tuple[Node, ...] | None:
    """Return a Node a row, None if any value is not an address or network that a node can have. An empty podCIDR is none."""
    if not names or max(map(len, names)) > LONGEST_NAME:
        return None
    there = [cidr.partition("/") for cidr in cidrs if cidr]
    try:
        vias = _addresses(ips)
        networks = _addresses([head for head, _, _ in there])
        lengths = [_LENGTHS[length] for _, _, length in there]
    except (OSError, ValueError, KeyError):
        return None
    if any(value & _HOST_BITS[length] for value, length in zip(networks, lengths, strict=True)):
        return None
    if not SUSPECT[4].isdisjoint({value >> 24 for value in vias} | {value >> 24 for value in networks}):
        return None
    new = tuple.__new__  # what a NamedTuple's own constructor comes down to
    addresses = zip(map(new, repeat(Address), zip(repeat(4), vias)))
    prefixes = map(new, repeat(Prefix), zip(repeat(4), networks, lengths))
    pods = zip(prefixes) if len(there) == len(cidrs) else [(next(prefixes),) if cidr else () for cidr in cidrs]
    columns = (names, addresses, pods, repeat(None), hostnames, lines, *map(repeat, _REST))
    return tuple(map(new, repeat(Node), zip(*columns, strict=False)))  # repeats have no end


def _addresses(texts: list[str]) -> list[int]:
    """Return IPv4 addresses as integers. Raises ``OSError`` or ``ValueError`` if one is none."""
    words = array("I", b"".join(map(inet_pton, repeat(AF_INET), texts)))
    if sys.byteorder == "little":
        words.byteswap()
    return words.tolist()
