"""Whether pods reach pods: the verdict, and the causes of what fails."""

from typing import Literal, NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.journey import Flow, Journey
from podroutes.model.route import Route

Severity = Literal["unreachable", "cannot-tell", "warning"]

# The stable codes: what each means, and what to do about it. docs/causes.md is this table, held to it by a test.
CAUSES: dict[str, tuple[str, str]] = {
    "asymmetric-path": (
        "Answers leave by another device than packets come in by. Strict reverse path filtering would drop the packets; whether it is on was not among what was collected.",
        "Route both ways over the same network, or collect the sysctls to be sure.",
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
    "no-pod-device": (
        "The node that owns the pod CIDR has no route to its own pods. Most CNI plugins make their bridge with the first pod of a node.",
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
    "stolen-part": (
        "A route to a part of the pod CIDR is more specific than the route to all of it, and leads elsewhere.",
        "Remove that route, or move what it is for out of the pod network.",
    ),
    "tables-not-seen": (
        "The packet goes to a node whose tables were not collected.",
        "Collect the tables of all nodes and give their directory with `--tables`.",
    ),
    "unknown-gateway": (
        "The route leads through a machine that is no node and whose tables were not collected.",
        "Collect that router's tables into a directory of its own next to the nodes', or try it with `verify --probe`.",
    ),
    "wrong-next-hop": (
        "The route leads to another machine than the one that owns the pod CIDR.",
        "`podroutes apply` on that node; a route that someone else made has to be removed first.",
    ),
    "wrong-node": (
        "A node that does not own the pod CIDR takes its packets for itself or for its own devices.",
        "Remove what is left of a former pod CIDR from that node (`ip addr`, the CNI's bridge).",
    ),
}


class Target(NamedTuple):
    """Where packets shall be delivered: a pod CIDR, or the address of a node without pods, which answers have to reach."""

    prefix: Prefix
    owner: str
    pods: bool = True


class Cause(NamedTuple):
    """What explains a failure: ``node`` is where it happens, ``route`` what decides there (None: nothing does).

    ``part`` is the part of the target that it is about, None for all of it; ``detail`` is a device, an address, a node or
    the kind of refusal, as the code has it.
    """

    severity: Severity
    code: str
    node: str
    route: Route | None = None
    detail: str = ""
    part: Prefix | None = None


class Block(NamedTuple):
    """Pairs: from every one of ``sources`` to every one of ``destinations``."""

    sources: tuple[str, ...]
    destinations: tuple[Prefix, ...]


class Finding(NamedTuple):
    """One cause and the pairs that it explains."""

    cause: Cause
    blocks: tuple[Block, ...]

    @property
    def pairs(self) -> int:
        """How many pairs there are in all blocks."""
        return sum(len(block.sources) * len(block.destinations) for block in self.blocks)


class Proof(NamedTuple):
    """The verdict. ``pairs`` counts (node, pod CIDR of another node); it holds for ``sources`` alone where some are ``unseen``."""

    sources: tuple[str, ...]
    pod_cidrs: int
    pairs: int
    findings: tuple[Finding, ...]
    unseen: tuple[str, ...]
    followed: int  # packets that had to be followed machine by machine

    @property
    def proven(self) -> bool:
        """Whether every pair is, and there is one at all: no finding but warnings."""
        return self.pairs > 0 and all(finding.cause.severity == "warning" for finding in self.findings)

    def of(self, severity: str) -> list[Finding]:
        """Return the findings of one severity."""
        return [finding for finding in self.findings if finding.cause.severity == severity]


class Trace(NamedTuple):
    """A packet of ``flow`` from the machine ``start``. ``cause`` is why it is not delivered on every way, None where it is."""

    start: str
    flow: Flow
    journey: Journey
    cause: Cause | None
