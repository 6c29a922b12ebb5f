"""Code shared by the readers of ``kubectl get nodes -o json`` and ``-o yaml``.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
"""

from collections.abc import Iterable

from podroutes.inventory.nodes import Located
from podroutes.inventory.source import Source
from podroutes.model.text import printable

_LISTS = ("List", "NodeList")  # kubectl prints List, the API server sends NodeList


def check_list(source: Source, kind: str | None, *, items: bool) -> None:
    """Raise InventoryError if a document of KIND, with or without the key ``items``, is not a list of Nodes."""
    if kind == "Config":
        from podroutes.inventory.foreign import kubeconfig  # noqa: PLC0415 - only for a mistake

        raise kubeconfig(source)
    if kind and kind not in _LISTS:
        raise source.error(f"is a {printable(kind)}, wanted a NodeList, a List or a Node: `kubectl get nodes -o json`")
    if not items:
        raise source.error("has no items; wanted what kubectl get nodes prints")


def node_name(source: Source, place: str, kind: str | None, name: str | None, line: int | None = None) -> str:
    """Return the name of the object at PLACE. Raises InventoryError if it has no name or its KIND is not Node."""
    if kind and kind != "Node":  # the items of a NodeList have no kind
        raise source.error(f"{place} is a {printable(kind)}, wanted only Nodes; see kubectl get nodes", line)
    if not name:
        raise source.error(f"{place} has no metadata.name", line)
    return name


def internal_ips_and_hostnames(
    addresses: Iterable[tuple[str | None, str | None, int | None]],
) -> tuple[list[Located], tuple[str, ...]]:
    """Return the InternalIPs and Hostnames of ``status.addresses``, given as (type, address, line)."""
    internal_ips: list[Located] = []
    hostnames: list[str] = []
    for kind, address, line in addresses:
        if kind == "InternalIP":
            internal_ips.append(
                (address or "", line)
            )  # an empty string is an unreadable address, which is not the same as no address
        elif address and kind == "Hostname":
            hostnames.append(address)
    return internal_ips, tuple(hostnames)
