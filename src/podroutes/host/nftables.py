"""Parses ``nft -j list ruleset``: the chains that forwarded packets may pass. Pure; see libnftables-json(5)."""

import json
from collections.abc import Iterator
from typing import Any

from podroutes.model.address import BITS, Prefix, network, parse_address
from podroutes.model.packet_filter import Chain, Condition, FilterRule, Verdict

TOOL = "nft"
_VERSIONS = {
    "ip": (4,),
    "ip6": (6,),
    "inet": (4, 6),
    "netdev": (4, 6),
    "bridge": (4, 6),
}  # families of forwarded IP packets
_META = {"iifname": "iif", "iif": "iif", "oifname": "oif", "oif": "oif", "mark": "mark", "l4proto": "protocol"}
_ENDS = {"saddr": "src", "daddr": "dst"}
_VERDICTS: dict[str, Verdict] = {
    "accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump", "goto": "goto",
    "masquerade": "snat", "snat": "snat", "dnat": "dnat", "redirect": "dnat",
    "queue": "accept",  # an unknown program decides
}  # fmt: skip
_HARMLESS = {"counter", "log", "mangle", "notrack", "ct helper", "ct timeout", "flow", "secmark", "tproxy"}
_OTHER = Condition("other")


def chains(text: bytes, skip: frozenset[tuple[str, str]] = frozenset()) -> tuple[Chain, ...]:
    """Return all chains except SKIP ("ip filter", "FORWARD"). Raises ValueError if TEXT is not nft's output."""
    items = json.loads(text or b"{}").get("nftables", [])
    sets = {
        (f"{each['family']} {each['table']}", each["name"]): each["elem"]
        for item in items
        if (each := item.get("set")) and each.get("elem")
    }
    rules: dict[tuple[str, str], list[FilterRule]] = {}
    for item in items:
        if rule := item.get("rule"):
            table = f"{rule['family']} {rule['table']}"
            rules.setdefault((table, rule["chain"]), []).extend(_rules(_with_sets(rule, table, sets)))
    base_chains = []
    for item in items:
        chain = item.get("chain")
        if not chain or chain["family"] not in _VERSIONS:
            continue
        table = f"{chain['family']} {chain['table']}"
        if (table, chain["name"]) not in skip:
            hook = chain.get("hook", "")
            devices = chain.get("dev", ())
            base_chains.append(
                Chain(
                    TOOL,
                    _VERSIONS[chain["family"]],
                    table,
                    chain["name"],
                    tuple(rules.get((table, chain["name"]), ())),
                    ("drop" if chain.get("policy") == "drop" else "accept") if hook else None,
                    chain["prio"] if hook and isinstance(chain.get("prio"), int) else 0,
                    hook,
                    (devices,) if isinstance(devices, str) else tuple(devices),
                )
            )
    return tuple(base_chains)


def _with_sets(rule: dict[str, Any], table: str, sets: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return RULE with the elements of the named sets that it asks for, as far as they are listed."""

    def whole(expression: dict[str, Any]) -> dict[str, Any]:
        match = expression.get("match")
        right = match.get("right") if isinstance(match, dict) else None
        if isinstance(right, str) and (elements := sets.get((table, right.removeprefix("@")))) and right[:1] == "@":
            return {"match": {**match, "right": {"set": elements}}}  # type: ignore[dict-item]  # it is a dict
        return expression

    return {**rule, "expr": [whole(each) if isinstance(each, dict) else each for each in rule.get("expr", ())]}


def _rules(rule: dict[str, Any]) -> Iterator[FilterRule]:
    """Yield a rule once for each verdict that it may have; a verdict map has many."""
    text = f"handle {rule.get('handle')}" + (f" ({rule['comment']})" if rule.get("comment") else "")
    conditions: list[Condition] = []
    for expression in rule.get("expr", ()):
        for kind, body in expression.items():
            if kind in _VERDICTS:
                target = body.get("target", "") if isinstance(body, dict) else ""
                yield FilterRule(tuple(conditions), _VERDICTS[kind], str(target), text)
                return
            if kind == "match":
                conditions.append(_match(body))
            elif kind == "vmap":
                yield from _map(body, tuple(conditions), text)
            elif kind == "xt":
                if body.get("name") in ("REJECT", "DROP"):
                    yield FilterRule(tuple(conditions), "drop", "", text)
                    return
                conditions += [] if body.get("name") == "comment" or body.get("type") == "target" else [_OTHER]
            elif kind not in _HARMLESS:
                conditions.append(_OTHER)


def _map(body: dict[str, Any], conditions: tuple[Condition, ...], text: str) -> Iterator[FilterRule]:
    data = body.get("data")
    pairs = data.get("set", []) if isinstance(data, dict) else None
    if pairs is None:  # a named map, whose content may let everything through
        yield FilterRule((*conditions, _OTHER), "accept", "", text)
        return
    for value, verdict in pairs:
        kind, detail = next(iter(verdict.items()))
        target = detail.get("target", "") if isinstance(detail, dict) else ""
        condition = _match({"op": "==", "left": body.get("key"), "right": value})
        yield FilterRule((*conditions, condition), _VERDICTS.get(kind, "continue"), str(target), text)


def _match(body: dict[str, Any]) -> Condition:
    left, right, op = body.get("left"), body.get("right"), body.get("op")
    if isinstance(left, dict) and (fib := left.get("fib")):
        return _fib(fib, right, op)
    field = _field(left)
    values = [right] if not isinstance(right, list) else right
    if isinstance(right, dict) and "set" in right:
        values = right["set"] if isinstance(right["set"], list) else [right["set"]]
    if not field or op not in ("==", "!=", "in"):
        return _OTHER
    try:
        matches = tuple(each for value in values for each in _value(field, value))
    except (ValueError, TypeError, KeyError):
        return _OTHER
    return Condition(field, matches, negated=op == "!=")  # type: ignore[arg-type]


def _fib(fib: dict[str, Any], right: Any, op: Any) -> Condition:
    """Return the reverse path filter: ``fib saddr . iif oif missing``, which is printed as false or 0."""
    flags = set(fib.get("flags", ()))
    if (
        fib.get("result") not in ("oif", "check")
        or "saddr" not in flags
        or right not in (False, "0", 0)
        or op not in ("==", "!=")
    ):
        return _OTHER
    return Condition("no-way-back", ("strict" if "iif" in flags else "loose",), negated=op == "!=")


def _field(left: Any) -> str:
    if not isinstance(left, dict):
        return ""
    if payload := left.get("payload"):
        return _ENDS.get(payload.get("field"), "") if payload.get("protocol") in ("ip", "ip6") else ""
    if meta := left.get("meta"):
        return "version" if meta["key"] in ("nfproto", "protocol") else _META.get(meta["key"], "")
    return "state" if (left.get("ct") or {}).get("key") == "state" else ""


def _value(field: str, value: Any) -> list[Any]:
    """Return what one value stands for; a named set (``@name``) and what has no model are a ValueError."""
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"]["val"]
    if field in ("src", "dst"):
        return _addresses(value)
    if field == "version":
        return [{"ipv4": 4, "ip": 4, "ipv6": 6, "ip6": 6}[value]]
    if field == "mark":
        return [(int(value), 0xFFFFFFFF)]
    if not isinstance(value, str) or value.startswith("@"):
        raise ValueError(value)
    return [value]


def _addresses(value: Any) -> list[Prefix]:
    if isinstance(value, dict) and "prefix" in value:
        address = parse_address(value["prefix"]["addr"])
        return [network(address, int(value["prefix"]["len"]))]
    if isinstance(value, dict) and "range" in value:
        first, last = (parse_address(each) for each in value["range"])
        return list(_spanning(first.version, first.value, last.value))
    address = parse_address(value)
    return [network(address, BITS[address.version])]


def _spanning(version: int, first: int, last: int) -> Iterator[Prefix]:
    """Yield the prefixes that together are all addresses from FIRST to LAST."""
    while first <= last:
        host_bits = min(
            (first & -first).bit_length() - 1 if first else BITS[version], (last - first + 1).bit_length() - 1
        )
        yield Prefix(version, first, BITS[version] - host_bits)
        first += 1 << host_bits
