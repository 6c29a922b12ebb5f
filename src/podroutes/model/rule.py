"""Policy rules, ip-rule(8)."""

from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.linux import Table
from podroutes.model.route import MAIN

LOCAL, DEFAULT = int(Table.LOCAL), int(Table.DEFAULT)
ANY_TABLE = 0  # RT_TABLE_UNSPEC: stands in rules without a table
LOOPBACK = "lo"  # what packets that the machine itself sends come in by, fib_rules' ``iif lo``

RuleAction = Literal["lookup", "goto", "nop", "blackhole", "unreachable", "prohibit", "l3mdev"]


class Rule(NamedTuple):
    """One policy rule, ip-rule(8). ``unmodelled`` names its selectors that cannot be evaluated from routes and addresses."""

    priority: int
    action: RuleAction = "lookup"
    table: int = ANY_TABLE
    target: int = 0  # the priority that ``goto`` jumps to
    src: Prefix | None = None
    dst: Prefix | None = None
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    mask: int = 0
    tos: int = 0
    inverted: bool = False
    suppress_prefixlength: int = -1
    unmodelled: str = ""


DEFAULT_RULES = {
    4: (Rule(0, table=LOCAL), Rule(32766, table=MAIN), Rule(32767, table=DEFAULT)),
    6: (Rule(0, table=LOCAL), Rule(32766, table=MAIN)),
}
