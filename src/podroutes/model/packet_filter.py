"""A packet filter as far as forwarded packets meet it: nftables and iptables in one shape."""

from typing import Literal, NamedTuple

from podroutes.model.address import Prefix

Field = Literal["src", "dst", "iif", "oif", "state", "mark", "protocol", "version", "other"]
Verdict = Literal["accept", "drop", "jump", "goto", "return", "continue"]


class Condition(NamedTuple):
    """What a rule asks of a packet: that FIELD is one of VALUES (or, negated, none). ``other`` cannot be judged from here.

    Values: prefixes; interface names, where a trailing ``*`` stands for anything; connection states; the mark as
    (value, mask); protocol names; IP versions.
    """

    field: Field
    values: tuple[Prefix | str | int | tuple[int, int], ...] = ()
    negated: bool = False


class FilterRule(NamedTuple):
    """One rule: when all conditions hold, the verdict. ``target`` is the chain that ``jump`` and ``goto`` name."""

    conditions: tuple[Condition, ...]
    verdict: Verdict
    target: str = ""
    text: str = ""  # for people: the rule, or where it stands


class Chain(NamedTuple):
    """A list of rules. A base chain of the hook ``forward`` has a priority and a policy, the others have neither."""

    tool: str  # whose tables it was read from: nft, iptables-legacy-save, ...
    versions: tuple[int, ...]  # of IP
    table: str  # family and name: "inet filter"
    name: str
    rules: tuple[FilterRule, ...]
    policy: Verdict | None = None
    priority: int = 0

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"table {self.table}, chain {self.name}"
