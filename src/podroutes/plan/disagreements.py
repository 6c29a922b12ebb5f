"""The problems of claims that cannot all be true, each told once, whatever was decided."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.claims import Claim
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem
from podroutes.model.text import listing, printable
from podroutes.plan.overlaps import Owners


def name_of(cluster: Cluster, node: Node) -> str:
    """Return how messages speak of a node: its name, and where it stands."""
    return f"node {printable(node.name)} ({cluster.place(node)})"


def overlaps(cluster: Cluster, claims: Collection[Claim], wide: Collection[Prefix]) -> Iterator[Problem]:
    """Yield what nodes do not agree on, once for each pair of destinations; that those in WIDE cover many is told already."""
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
    """Yield the ADDRESSES that are not used because they lie in a podCIDR of OWNERS: errors for the nodes that are HOMELESS so."""
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
