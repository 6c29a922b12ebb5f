"""Finds the node of the inventory that is this machine."""

from collections.abc import Iterable

from podroutes.errors import IdentityError
from podroutes.model.address import Address
from podroutes.model.cluster import Cluster, Node
from podroutes.model.text import listing, printable


def named_node(cluster: Cluster, name: str, addresses: Iterable[Address] = ()) -> Node:
    """Return the node NAME; of several entries the one with an address in ADDRESSES, which are this machine's.

    Raises ``IdentityError``, with similar names, if there is none or more than one.
    """
    nodes = [node for node in cluster.nodes if node.name == name]
    if nodes:
        return _only(cluster, _with_address(nodes, addresses) or nodes, f"is named {printable(name)}")
    from difflib import get_close_matches  # noqa: PLC0415, only for a typing error

    near = get_close_matches(name, [node.name for node in cluster.nodes]) or [node.name for node in cluster.nodes]
    raise IdentityError(f"no node is named {printable(name)} in {cluster.source}; it has {_names(near)}")


def this_node(cluster: Cluster, hostname: str, addresses: Iterable[Address]) -> Node:
    """Return the node that is this machine: the one named like the host, else the one with one of its ADDRESSES.

    HOSTNAME may be short or fully qualified. A node with this name and one of the addresses has precedence over others with this
        host name. Raises ``IdentityError``, with the candidates, if there are several or none.
    """
    own = set(addresses)
    names = own_names(hostname)
    by_name = [node for node in cluster.nodes if is_named(node, names)]
    if by_name:
        named = [node for node in by_name if node.name.lower() in names]
        sure = _with_address(named or by_name, own)
        return _only(cluster, sure or by_name, f"is named like this host ({printable(hostname)})")
    by_address = [node for node in cluster.nodes if not own.isdisjoint(node.internal_ips)]
    if by_address:
        return _only(cluster, by_address, "has an address of this host")
    raise IdentityError(
        f"this host ({printable(hostname)}) is not a node of {cluster.source}: no name and no InternalIP matches; "
        f"{'choose with --node from' if cluster.nodes else 'it has'} {_names([node.name for node in cluster.nodes])}"
    )


def own_names(hostname: str, node: str = "") -> frozenset[str]:
    """Return the names by which a node of the inventory is this machine: HOSTNAME, also its first part, and --node."""
    names = {hostname.lower(), hostname.lower().partition(".")[0]} - {"localhost"}
    return frozenset({*names, node.lower()} - {""})


def is_named(node: Node, names: frozenset[str]) -> bool:
    """Return whether NODE has one of NAMES."""
    return not names.isdisjoint(name.lower() for name in (node.name, *node.hostnames))


def _with_address(nodes: list[Node], addresses: Iterable[Address]) -> list[Node]:
    own = set(addresses)
    return [node for node in nodes if not own.isdisjoint(node.internal_ips)]


def _only(cluster: Cluster, nodes: list[Node], why: str) -> Node:
    distinct = {(node.name, node.internal_ips, node.pod_cidrs): node for node in reversed(nodes)}
    if len(distinct) == 1:
        return nodes[0]
    places = listing([f"{printable(node.name)} ({cluster.place(node)})" for node in nodes])
    fix = "choose with --node" if len({node.name for node in nodes}) > 1 else "remove the entry that is out of date"
    raise IdentityError(f"more than one node {why}: {places}; {fix}")


def _names(names: list[str]) -> str:
    return listing([printable(name) for name in names]) or "no nodes"
