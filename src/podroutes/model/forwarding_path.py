"""The path of a packet: the fields that routing uses, the decision of each machine, and how it ends."""

from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.host import LOOPBACK, Rule
from podroutes.model.route import NextHop, Route

Kind = Literal[
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "no-route",
    "unknown",
]
Fate = Literal[
    "local",  # it is delivered to a machine itself
    "on-link",  # it is sent on a link to its receiver; detail: the device
    "refused",  # blackhole, unreachable, prohibit, no route; detail: which
    "forwarding-off",  # detail: the incoming device
    "forwarding-unknown",  # likewise, if it was not collected whether the machine forwards
    "reverse-path",  # the route back to its source uses another device, and rp_filter drops it
    "asymmetric",  # likewise, if rp_filter was not collected
    "martian-source",  # its source is an address of the machine itself
    "link-down",  # detail: the device
    "bridge-port",  # the device is a port of a bridge, which receives the answers; detail: the device
    "no-neighbour",  # the next hop has no neighbour entry; detail: why
    "bridge-port-remembered",  # likewise, but the next hop may be known from before; detail: the device
    "remembered",  # nobody answers for the next hop, but it may be known from before; detail: why
    "loop",
    "left",  # to an unknown gateway; detail: its address
    "unseen",  # to a node whose tables were not collected; detail: its name
    "unknown",  # detail: the missing information
]


class Flow(NamedTuple):
    """The fields of a packet that routing uses. ``iif`` is the incoming device, ``lo`` if this machine sends it."""

    dst: Address
    src: Address | None = None
    iif: str = LOOPBACK
    tos: int = 0
    mark: int = 0


class Decision(NamedTuple):
    """What a machine does with a packet. ``hops`` are the possible next hops (several: ECMP), ``why`` explains ``unknown``."""

    kind: Kind
    rule: Rule | None = None
    route: Route | None = None
    hops: tuple[NextHop, ...] = ()
    why: str = ""

    @property
    def way(self) -> tuple[Kind, tuple[NextHop, ...]]:
        """What happens to the packet."""
        return self.kind, self.hops


class Hop(NamedTuple):
    """One machine on the path: the incoming device, the decision, and the index of the previous hop (-1: none)."""

    host: str
    iif: str
    decision: Decision
    before: int


class End(NamedTuple):
    """How one branch ends: after the hop with index ``hop``, over the next hop ``way`` if there is one.

    ``back`` is the route to the source, if this is why the packet is dropped.
    """

    hop: int
    fate: Fate
    detail: str = ""
    way: NextHop | None = None
    back: Decision | None = None


class Join(NamedTuple):
    """A branch that reaches a machine of another branch: after the hop with index ``hop`` it continues like the hop ``into``."""

    hop: int
    into: int
    way: NextHop | None = None


class ForwardingPath(NamedTuple):
    """All possible paths of a packet of one flow.

    ``sources`` are the source prefixes in policy rules on the path, each with its machine.
    """

    hops: tuple[Hop, ...]
    ends: tuple[End, ...]
    sources: frozenset[tuple[str, Prefix]] = frozenset()
    joins: tuple[Join, ...] = ()

    def path(self, end: End) -> list[Hop]:
        """Return the hops from the first to END."""
        found, place = [], end.hop
        while place >= 0:
            found.append(self.hops[place])
            place = found[-1].before
        return found[::-1]
