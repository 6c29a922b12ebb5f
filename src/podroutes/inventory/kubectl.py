"""Code shared by the readers of ``kubectl get nodes -o json`` and ``-o yaml``.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
"""

from collections.abc import Iterable, Iterator

from podroutes.inventory.nodes import Located
from podroutes.inventory.source import Source
from podroutes.model.cluster import Unread
from podroutes.model.problem import Problem
from podroutes.model.text import printable

_TYPES = frozenset({"InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"})  # k8s.io/api NodeAddressType
_NEAR = 0.75  # of difflib: Spec, spc, podCidr and adresses are near, phase is not
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


def misspelt(node: object, *, cidrs: bool, ips: bool) -> tuple[Unread, ...]:
    """Return the fields that stand behind misspelt keys of NODE, mappings and lists of a document that a person has edited.

    CIDRS and IPS tell which were found under their right keys.
    """
    misspelt_keys = []
    if not cidrs and (what := _meant(node, "spec") or _meant(_of(node, "spec"), "podCIDR")):
        misspelt_keys.append(Unread("podCIDR", what, "unknown-key"))
    if not ips and (what := _meant(node, "status") or _meant(_of(node, "status"), "addresses") or _types(node)):
        misspelt_keys.append(Unread("internalIP", what, "unknown-key"))
    return tuple(misspelt_keys)


def misspelt_problems(
    source: Source, name: str, unread: Iterable[Unread], line: int | None = None
) -> Iterator[Problem]:
    """Yield a problem for each UNREAD field of the node called NAME."""
    place = f"{source.name}:{line}" if line else source.name
    for field in unread:
        yield Problem("error", field.code, f"{place}: node {printable(name)}: {field.reason}", (name,))


def _types(node: object) -> str:
    """Return the type of an address that is none of the API's."""
    addresses = _of(_of(node, "status"), "addresses")
    for address in addresses if isinstance(addresses, list) else ():
        kind = _of(address, "type")
        if kind not in _TYPES:
            return f"address type {printable(str(kind))}; meant InternalIP?" if kind else "an address has no type"
    return ""


def _meant(fields: object, known: str) -> str:
    """Return that a key of FIELDS is KNOWN misspelt, where that is not there itself."""
    if not isinstance(fields, dict) or known in fields:
        return ""
    from difflib import SequenceMatcher  # noqa: PLC0415 - only a misspelt inventory pays for it

    for key in map(str, fields):
        if SequenceMatcher(None, key[:64].lower(), known.lower()).ratio() >= _NEAR:
            return f"unknown key {printable(key)}; meant {known}?"
    return ""


def _of(fields: object, key: str) -> object:
    return fields.get(key) if isinstance(fields, dict) else None
