"""The part of a packet filter that forwarded packets pass: nftables and iptables in one form."""

from typing import Literal, NamedTuple

from podroutes.model.address import Prefix

Field = Literal["src", "dst", "iif", "oif", "state", "mark", "protocol", "version", "no-way-back", "other"]
Verdict = Literal["accept", "drop", "snat", "dnat", "jump", "goto", "return", "continue"]
Hook = Literal["", "ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"]


class Condition(NamedTuple):
    """A condition of a rule: FIELD is one of VALUES (or, negated, none of them). ``other`` cannot be evaluated.

    Values: prefixes; interface names, where a trailing ``*`` stands for anything; connection states; the mark as
    (value, mask); protocol names; IP versions. ``no-way-back`` has no values but "strict" or "loose": no route leads back to the source by
    the incoming device, or by any.
    """

    field: Field
    values: tuple[Prefix | str | int | tuple[int, int], ...] = ()
    negated: bool = False


class FilterRule(NamedTuple):
    """One rule: its conditions and its verdict. ``target`` is the chain of ``jump`` and ``goto``."""

    conditions: tuple[Condition, ...]
    verdict: Verdict
    target: str = ""
    text: str = ""  # for people: the rule, or its position


class Chain(NamedTuple):
    """A list of rules. A base chain has a hook, a priority and a policy, the others have none."""

    tool: str  # the tool that listed it: nft, iptables-legacy-save, ...
    versions: tuple[int, ...]  # of IP
    table: str  # family and name: "inet filter"
    name: str
    rules: tuple[FilterRule, ...]
    policy: Verdict | None = None
    priority: int = 0
    hook: Hook = ""
    devices: tuple[str, ...] = ()  # of the hooks ingress and egress; none: of all, or unknown

    @property
    def place(self) -> str:
        """Its position, for people."""
        return f"table {self.table}, chain {self.name}"
