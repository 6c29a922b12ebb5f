"""The proof: whether pods reach pods, and the causes of failures."""

from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.forwarding_path import Flow, ForwardingPath
from podroutes.model.route import Route
from podroutes.model.text import escaped

Severity = Literal["unreachable", "cannot-tell", "warning"]
_RANKS = {"warning": 1, "cannot-tell": 2, "unreachable": 3}
_COUNTED = 2_000_000  # the number of pairs up to which they are counted one by one

# The stable codes, their meaning and advice. A test compares docs/causes.md with this table.
CAUSES: dict[str, tuple[str, str]] = {
    "asymmetric-path": (
        "Answers leave by another device than packets come in by. Reverse path filtering would drop the packets; whether it is on was not among what was collected.",
        "Route both ways over the same network, or collect the sysctls to be sure.",
    ),
    "bridge-port": (
        "The packet leaves by a device that is a port of a bridge: answers to ARP and neighbour discovery come in by the bridge, so that the next hop is never found.",
        "Give the address to the bridge instead of its port, and route by the bridge.",
    ),
    "cannot-tell": (
        "What happens depends on something that routes, rules, addresses and links do not tell, or that is not modelled (VRF, routes by source address, encapsulation).",
        "Try it with `verify --probe`.",
    ),
    "detour": (
        "The route leads to a node that does not own the pod CIDR but passes the packets on. They arrive for as long as that node works.",
        "`podroutes apply` on that node; a route that someone else made has to be removed first.",
    ),
    "forwarding-off": (
        "The machine has forwarding switched off, so it drops packets between its devices.",
        "`sysctl -w net.ipv4.ip_forward=1` (IPv6: `net.ipv6.conf.all.forwarding=1`), and in /etc/sysctl.d for the next boot.",
    ),
    "link-down": (
        "The device that the packet leaves or comes in by is down or has no carrier.",
        "Bring the link up (`ip link set DEV up`), or check the cable.",
    ),
    "martian-source": (
        "A machine drops packets that carry one of its own addresses, or a broadcast address, as their source.",
        "Give every node and pod its own address.",
    ),
    "no-neighbour": (
        "Nobody answers for the next hop, or the answer is not taken: ARP or neighbour discovery cannot find it.",
        "Put the next hop's address on the device that is on this network, and ask table local before all others (`ip rule`).",
    ),
    "no-pod-device": (
        "The node that owns the pod CIDR has no route to its own pods, or nothing is attached to their bridge. Most CNI plugins make the bridge with the first pod of a node.",
        "Start a pod there, or check the node's CNI configuration.",
    ),
    "no-route": (
        "The node has no route to the pod CIDR: packets leave by the default route or another less specific one, or are refused.",
        "`podroutes apply` on that node.",
    ),
    "reverse-path": (
        "A machine drops the packet because it would answer its source by another device (rp_filter).",
        "Route both ways over the same network, or set rp_filter to 2 (loose) on that device.",
    ),
    "route-refuses": (
        "A blackhole, unreachable or prohibit route, or such a policy rule, stands where the route should be.",
        "Find out who made it, and remove it.",
    ),
    "routing-loop": (
        "The packet comes to a machine for the second time.",
        "Correct the route of one of the machines on the way.",
    ),
    "rule-takes-pods": (
        "A policy rule sends the packets by another table before the main table is asked: that of a VPN, of an exit node, or of a second network card.",
        "Have the main table asked first: `ip rule add pref N to CIDR lookup main`, with a smaller number than that rule has.",
    ),
    "stolen-part": (
        "A route to a part of the pod CIDR is more specific than the route to all of it, and leads elsewhere.",
        "Remove that route, or move what it is for out of the pod network.",
    ),
    "sysctls-not-seen": (
        "Whether the machine forwards packets was not collected.",
        "Collect the sysctls of that machine, too: see docs/commands-verify.md.",
    ),
    "taken-locally": (
        "The owner of the pod CIDR takes packets for its pods as its own: a `local` route, or an address of its own.",
        "Delete that route or address on that node.",
    ),
    "tables-not-seen": (
        "The packet comes from or goes to a node whose tables were not collected.",
        "Collect the tables of all nodes and give their directory with `--tables`.",
    ),
    "unknown-gateway": (
        "The route leads through a machine that is not a node and whose tables were not collected.",
        "Collect that router's tables into a directory of its own next to the nodes', or try it with `verify --probe`.",
    ),
    "wrong-next-hop": (
        "The route leads to another machine than the one that owns the pod CIDR.",
        "`podroutes apply` on that node; a route that someone else made has to be removed first.",
    ),
    "wrong-pod-device": (
        "The owner of the pod CIDR sends packets for its pods to another device than the one that they are behind.",
        "Remove the route or the address that makes it so: a pod CIDR belongs to one bridge.",
    ),
    "wrong-node": (
        "A node that does not own the pod CIDR takes its packets for itself or for its own devices.",
        "Remove what is left of a former pod CIDR from that node (`ip addr`, the CNI's bridge).",
    ),
}


class Target(NamedTuple):
    """A destination: a pod CIDR, or the address of a node without pods, which answers must reach."""

    prefix: Prefix
    owner: str
    pods: bool = True


class Cause(NamedTuple):
    """The cause of a failure: ``node`` is where it happens, ``route`` the route that decides there, if any.

    ``part`` is the affected part of the target, None for all of it; ``source`` is the affected part of the sources' pods,
        likewise; ``detail`` is a device, an address, a node or a kind of refusal, depending on the code.
    """

    severity: Severity
    code: str
    node: str
    route: Route | None = None
    detail: str = ""
    part: Prefix | None = None
    source: Prefix | None = None


class Block(NamedTuple):
    """A set of pairs: each of ``sources`` with each of ``destinations``, except the ``own`` pairs of a node with itself."""

    sources: tuple[str, ...]
    destinations: tuple[Prefix, ...]
    own: int = 0


class Remedy(NamedTuple):
    """What cures one finding: shell commands for the machine NODE, and words where there are none, or that go with them."""

    text: str
    node: str = ""
    commands: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The remedy as one line."""
        typed = f"on {escaped(self.node)}: " + ", then ".join(f"`{escaped(command)}`" for command in self.commands)
        return ", ".join(filter(None, (typed if self.commands else "", self.text)))


class Finding(NamedTuple):
    """One cause and the pairs that it explains."""

    cause: Cause
    blocks: tuple[Block, ...]
    remedy: "Remedy | None" = None

    @property
    def fix(self) -> str:
        """What to do: the remedy of this finding, else what is said of every finding of its code."""
        return self.remedy.said if self.remedy else CAUSES[self.cause.code][1]

    @property
    def pairs(self) -> int:
        """The number of pairs in all blocks."""
        return sum(len(block.sources) * len(block.destinations) - block.own for block in self.blocks)


class Proof(NamedTuple):
    """The verdict. ``pairs`` is the number of (node, pod CIDR of another node), including those of ``unseen`` nodes."""

    sources: tuple[str, ...]  # nodes whose tables are known
    pod_cidrs: int
    pairs: int
    findings: tuple[Finding, ...]
    unseen: tuple[str, ...]
    followed: int  # the number of packets that were followed machine by machine
    owners: Mapping[Prefix, str] = {}  # of all targets

    @property
    def proven(self) -> bool:
        """Whether all pairs are proven and there is at least one: no finding except warnings."""
        return self.pairs > 0 and all(finding.cause.severity == "warning" for finding in self.findings)

    def count(self, severity: str) -> int:
        """Return the number of pairs with a finding of SEVERITY and none worse, limited to the number of pairs.

        Of 25 million pairs, which are not counted one by one, a pair with two findings counts twice.
        """
        if sum(finding.pairs for finding in self.findings) > _COUNTED:
            return min(self.pairs, sum(finding.pairs for finding in self.of(severity)))
        ranks: dict[tuple[str, Prefix], int] = {}
        for finding in self.findings:
            rank = _RANKS[finding.cause.severity]
            for source, destination in (pair for block in finding.blocks for pair in product(*block[:2])):
                if self.owners.get(destination) != source:
                    ranks[source, destination] = max(rank, ranks.get((source, destination), 0))
        return sum(rank == _RANKS[severity] for rank in ranks.values())

    def of(self, severity: str) -> list[Finding]:
        """Return the findings of one severity."""
        return [finding for finding in self.findings if finding.cause.severity == severity]


class Trace(NamedTuple):
    """A packet of ``flow`` from the machine ``start``. ``cause`` is why it is not delivered on all paths, or how it is delivered."""

    start: str
    flow: Flow
    forwarding_path: ForwardingPath
    cause: Cause | None
    remedy: Remedy | None = None

    @property
    def fix(self) -> str:
        """What to do about the cause."""
        return Finding(self.cause, (), self.remedy).fix if self.cause else ""

    @property
    def delivered(self) -> bool:
        """Whether it arrives on all possible paths."""
        return self.cause is None or self.cause.severity == "warning"
