"""A packet on its way: what routing looks at in it, what each machine decides, how it ends."""

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
    "local",  # a machine takes it for itself
    "on-link",  # it is put on a link for its receiver; detail: the device
    "refused",  # blackhole, unreachable, prohibit, no route; detail: which
    "forwarding-off",  # detail: the device that it came in by
    "forwarding-unknown",  # likewise, where it was not collected whether the machine forwards
    "reverse-path",  # its source is not where the machine would answer by that device
    "asymmetric",  # likewise, where it was not collected whether the machine cares
    "martian-source",  # its source is an address that only the machine itself may use
    "link-down",  # detail: the device
    "bridge-port",  # answers come in by the bridge that the device is a port of; detail: the device
    "no-neighbour",  # nobody answers for the next hop; detail: why
    "loop",
    "left",  # to a gateway that nothing is known about; detail: its address
    "unseen",  # to a node whose tables have not been seen; detail: its name
    "unknown",  # detail: what would have to be known
]


class Flow(NamedTuple):
    """What routing looks at in a packet. ``iif`` is the device it came in by, ``lo`` where this machine itself sends it."""

    dst: Address
    src: Address | None = None
    iif: str = LOOPBACK
    tos: int = 0
    mark: int = 0


class Decision(NamedTuple):
    """What a machine does with a packet: ``hops`` are the ways it may take (several: ECMP), ``why`` explains ``unknown``."""

    kind: Kind
    rule: Rule | None = None
    route: Route | None = None
    hops: tuple[NextHop, ...] = ()
    why: str = ""

    @property
    def way(self) -> tuple[Kind, tuple[NextHop, ...]]:
        """What happens to the packet, whoever decided it."""
        return self.kind, self.hops


class Hop(NamedTuple):
    """One machine on the way: where the packet came in, what was decided, and the place of the hop before it (-1: none)."""

    host: str
    iif: str
    decision: Decision
    before: int


class End(NamedTuple):
    """How one branch ends: behind the hop at place ``hop``, over ``way`` where there is one.

    ``back`` is where the machine would send the answer, where that is what the packet fails for.
    """

    hop: int
    fate: Fate
    detail: str = ""
    way: NextHop | None = None
    back: Decision | None = None


class Join(NamedTuple):
    """A branch that comes to a machine where another one has been: behind the hop at place ``hop`` it goes on as from ``into``."""

    hop: int
    into: int
    way: NextHop | None = None


class ForwardingPath(NamedTuple):
    """Everything that can happen to a packet of one flow.

    ``sources``: the source prefixes that policy rules on the way look at, each with its machine.
    """

    hops: tuple[Hop, ...]
    ends: tuple[End, ...]
    sources: frozenset[tuple[str, Prefix]] = frozenset()
    joins: tuple[Join, ...] = ()

    def path(self, end: End) -> list[Hop]:
        """Return the hops from the first one to END."""
        found, place = [], end.hop
        while place >= 0:
            found.append(self.hops[place])
            place = found[-1].before
        return found[::-1]
