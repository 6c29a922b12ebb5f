"""Policy rules: the dump request, and reading the answer."""

import struct
import sys

from podroutes.model.address import Address, Prefix, network
from podroutes.model.rule import ANY_TABLE, Rule
from podroutes.rtnl import constants as nl
from podroutes.rtnl.message import Message, attributes, message

_HEADER = struct.Struct(
    "=BBBBBBBBI"
)  # struct fib_rule_hdr: family, dst length, src length, TOS, table, -, -, action, flags
_KNOWN = {
    nl.FRA_DST, nl.FRA_SRC, nl.FRA_IIFNAME, nl.FRA_GOTO, nl.FRA_PRIORITY, nl.FRA_FWMARK, nl.FRA_SUPPRESS_PREFIXLEN,
    nl.FRA_TABLE, nl.FRA_FWMASK, nl.FRA_OIFNAME, nl.FRA_L3MDEV, nl.FRA_PAD, nl.FRA_PROTOCOL,
}  # fmt: skip
_NONE = 0xFFFFFFFF  # -1: no prefix length is suppressed


def rules_request(seq: int) -> bytes:
    """Ask for the rules of all IP versions."""
    return message(nl.RTM_GETRULE, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, seq, _HEADER.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))


def rule(datagram: bytes, header: Message) -> tuple[int, Rule] | None:
    """Read an RTM_NEWRULE message: its IP version and the rule; None for what is neither IPv4 nor IPv6."""
    family, dst_length, src_length, tos, table, _, _, action, flags = _HEADER.unpack_from(datagram, header.start)
    if family not in nl.VERSION:
        return None
    version = nl.VERSION[family]
    payloads = {
        kind: datagram[start:end] for kind, start, end in attributes(datagram, header.start + _HEADER.size, header.end)
    }

    def word(kind: int, default: int) -> int:
        return int.from_bytes(payloads[kind], sys.byteorder) if kind in payloads else default

    def prefix(kind: int, length: int) -> Prefix | None:
        return network(Address(version, int.from_bytes(payloads[kind], "big")), length) if kind in payloads else None

    def name(kind: int) -> str | None:
        return payloads[kind].rstrip(b"\0").decode(errors="surrogateescape") if kind in payloads else None

    unknown = sorted(payloads.keys() - _KNOWN)
    if payloads.get(nl.FRA_L3MDEV, b"\0") != b"\0":
        what = "l3mdev"
    else:
        what = nl.RULE_ACTIONS.get(action, "nop")
        unknown += [] if action in nl.RULE_ACTIONS else [action]
    suppressed = word(nl.FRA_SUPPRESS_PREFIXLEN, _NONE)
    return version, Rule(
        word(nl.FRA_PRIORITY, 0),
        what,  # type: ignore[arg-type]  # the names are the same
        word(nl.FRA_TABLE, table) if what == "lookup" else ANY_TABLE,
        word(nl.FRA_GOTO, 0),
        prefix(nl.FRA_SRC, src_length),
        prefix(nl.FRA_DST, dst_length),
        name(nl.FRA_IIFNAME),
        name(nl.FRA_OIFNAME),
        word(nl.FRA_FWMARK, 0),
        word(nl.FRA_FWMASK, _NONE if nl.FRA_FWMARK in payloads else 0),
        tos,
        bool(flags & nl.FIB_RULE_INVERT),
        -1 if suppressed == _NONE else suppressed,
        f"attributes of number {', '.join(map(str, unknown))}" if unknown else "",
    )
