"""Problems of contradicting claims. Each is reported once, whatever the decision."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.claims import Claim
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem
from podroutes.model.text import listing, printable
from podroutes.plan.overlaps import Owners


def name_of(cluster: Cluster, node: Node) -> str:
    """Return a node's name and position for messages."""
    return f"node {printable(node.name)} ({cluster.place(node)})"


def overlaps(cluster: Cluster, claims: Collection[Claim], wide: Collection[Prefix]) -> Iterator[Problem]:
    """Yield a problem for each pair of overlapping destinations, except for those in WIDE, which are already reported."""
    owners = Owners(claims)
    nodes: defaultdict[Prefix, list[Node]] = defaultdict(list)
    for claim in claims:
        nodes[claim.dst].append(claim.node)
    for dst, same in nodes.items():
        if len(owners.names[dst]) > 1:
            message = f"podCIDR {dst} is claimed by {_names(cluster, same)}"
            yield _problem("duplicate-pod-cidr", message, same, dst)
        for above in owners.above(dst):
            if above not in wide and len(owners.names[above] | owners.names[dst]) > 1:
                outer = nodes[above]
                message = f"podCIDR {dst} of {_names(cluster, same)} lies inside {above} of {_names(cluster, outer)}"
                yield _problem("overlapping-pod-cidr", message, [*same, *outer], dst)


def unusable_addresses(
    cluster: Cluster, addresses: Iterable[tuple[Address, Node]], owners: Owners, homeless: Collection[str]
) -> Iterator[Problem]:
    """Yield problems for ADDRESSES that are unused because they are inside a podCIDR of OWNERS: errors for nodes in HOMELESS."""
    for address, node in addresses:
        alone = network(address, BITS[address.version])
        if owners.contended(alone, node.name):
            whose = owners.others(alone, node.name)
            message = (
                f"{name_of(cluster, node)}: InternalIP {address} lies in a podCIDR of node {whose}, and is not used"
            )
            severe = node.name in homeless
            yield Problem("error" if severe else "warning", "internal-ip-in-pod-cidr", message, (node.name,))


def _names(cluster: Cluster, nodes: Iterable[Node]) -> str:
    return listing([name_of(cluster, node) for node in nodes])


def _problem(code: str, message: str, nodes: Iterable[Node], dst: Prefix) -> Problem:
    return Problem("error", code, message, tuple(dict.fromkeys(node.name for node in nodes)), dst)
