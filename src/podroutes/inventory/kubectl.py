"""What the readers of ``kubectl get nodes -o json`` and ``-o yaml`` share.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
"""

from collections.abc import Iterable

from podroutes.inventory.nodes import Located
from podroutes.inventory.source import Source
from podroutes.model.text import printable

_LISTS = ("List", "NodeList")  # kubectl prints the first, the API server answers the second


def check_list(source: Source, kind: str | None, *, items: bool) -> None:
    """Raise InventoryError when a document of KIND, with or without the key ``items``, is no list of Nodes."""
    if kind == "Config":
        from podroutes.inventory.foreign import kubeconfig  # noqa: PLC0415 - only for a mistake

        raise kubeconfig(source)
    if kind and kind not in _LISTS:
        raise source.error(f"is a {printable(kind)}, wanted a NodeList, a List or a Node: `kubectl get nodes -o json`")
    if not items:
        raise source.error("has no items; wanted what kubectl get nodes prints")


def node_name(source: Source, place: str, kind: str | None, name: str | None, line: int | None = None) -> str:
    """Return the name of the object at PLACE; InventoryError when it has none, or is of another KIND than Node."""
    if kind and kind != "Node":  # the items of a NodeList do not say what they are
        raise source.error(f"{place} is a {printable(kind)}, wanted only Nodes; see kubectl get nodes", line)
    if not name:
        raise source.error(f"{place} has no metadata.name", line)
    return name


def internal_ips_and_hostnames(
    addresses: Iterable[tuple[str | None, str | None, int | None]],
) -> tuple[list[Located], tuple[str, ...]]:
    """Return the addresses and names in ``status.addresses``, given as type, address and line of each."""
    internal_ips: list[Located] = []
    hostnames: list[str] = []
    for kind, address, line in addresses:
        if kind == "InternalIP":
            internal_ips.append((address or "", line))  # an empty one cannot be read, which is not the same as none
        elif address and kind == "Hostname":
            hostnames.append(address)
    return internal_ips, tuple(hostnames)
