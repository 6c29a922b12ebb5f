"""Parses ``iptables-save``: the chains that forwarded packets may pass. Pure; see iptables(8), iptables-extensions(8)."""

import shlex
from collections.abc import Iterator

from podroutes.model.address import BITS, Prefix, network, parse_address
from podroutes.model.packet_filter import Chain, Condition, FilterRule, Hook, Verdict

_VERDICTS: dict[str, Verdict] = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "drop",
    "RETURN": "return",
    "MASQUERADE": "snat",
    "SNAT": "snat",
    "DNAT": "dnat",
    "REDIRECT": "dnat",
    "NFQUEUE": "accept",
}
_MODULES = {
    "rpfilter",
    "comment",
    "conntrack",
    "state",
    "mark",
    "tcp",
    "udp",
    "icmp",
}  # matches whose conditions are separate options
_TEXTS = {
    "--comment", "--reject-with", "--log-prefix", "--log-level", "--icmp-type", "--set-xmark", "--queue-num", "--to-source",
    "--to-destination", "--to-ports", "--random", "--random-fully", "--persistent",
}  # fmt: skip
_HOOKS: dict[str, Hook] = {"PREROUTING": "prerouting", "FORWARD": "forward", "POSTROUTING": "postrouting"}  # by chain


def chains(text: str, tool: str, version: int) -> tuple[Chain, ...]:
    """Return all chains of every table; ValueError when TEXT is not what iptables-save prints."""
    policies: dict[tuple[str, str], str] = {}
    rules: dict[tuple[str, str], list[FilterRule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            policies[table, name] = policy
        elif line.startswith("-A"):
            words = shlex.split(line)
            rules.setdefault((table, words[1]), []).append(
                _rule(words[2:], line, {name for of, name in policies if of == table})
            )
    family = {4: "ip", 6: "ip6"}[version]
    return tuple(
        Chain(
            tool,
            (version,),
            f"{family} {table}",
            name,
            tuple(rules.get((table, name), ())),
            ("drop" if policy == "DROP" else "accept") if name in _HOOKS else None,
            hook=_HOOKS.get(name, ""),
        )
        for (table, name), policy in policies.items()
    )


def _rule(words: list[str], line: str, known: set[str]) -> FilterRule:
    verdict: Verdict = "continue"
    target = ""
    conditions: list[Condition] = []
    if "rpfilter" in words:  # matches what has a way back; strict unless --loose
        mode = "loose" if "--loose" in words else "strict"
        conditions.append(Condition("no-way-back", (mode,), negated="--invert" not in words))
    for option, value, negated in _options(words):
        if option in ("-j", "-g"):
            target = value
            verdict = _VERDICTS.get(value, ("jump" if option == "-j" else "goto") if value in known else "continue")
        elif option == "-m":
            conditions += [] if value in _MODULES else [Condition("other")]
        elif option not in _TEXTS or (option == "--icmp-type"):
            conditions += _condition(option, value, negated=negated)
    return FilterRule(tuple(conditions), verdict, target, line)


def _options(words: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield option, value ("" if it takes none) and whether it is negated."""
    negated = False
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "!":
            negated = True
            continue
        value = ""
        if position < len(words) and not words[position].startswith("-") and words[position] != "!":
            value = words[position]
            position += 1
        yield word, value, negated
        negated = False


def _condition(option: str, value: str, *, negated: bool) -> list[Condition]:
    if option in ("-s", "-d"):
        return [Condition("src" if option == "-s" else "dst", (_prefix(value),), negated)]
    if option in ("-i", "-o"):
        name = f"{value[:-1]}*" if value.endswith("+") else value
        return [Condition("iif" if option == "-i" else "oif", (name,), negated)]
    if option in ("--invert", "--loose", "--validmark"):  # of rpfilter, above
        return []
    if option == "-p":
        return [Condition("protocol", (value,), negated)] if value != "all" else []
    if option in ("--ctstate", "--state"):
        return [Condition("state", tuple(value.lower().split(",")), negated)]
    if option == "--mark":
        number, _, mask = value.partition("/")
        return [Condition("mark", ((int(number, 0), int(mask or "0xffffffff", 0)),), negated)]
    return [Condition("other")]


def _prefix(text: str) -> Prefix:
    head, _, length = text.partition("/")
    address = parse_address(head)
    bits = BITS[address.version]
    if "." in length:  # a non-contiguous mask stays as printed
        mask = parse_address(length).value
        length = str(bits - (~mask & (1 << bits) - 1).bit_length())
    return network(address, int(length or bits))
