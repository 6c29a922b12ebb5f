"""A lab's machines as a table for people and as an inventory for podroutes."""

import re
from collections.abc import Iterable

from podroutes.lab.paths import AGENT_LOG, RUNTIME
from podroutes.lab.registry import Lab
from podroutes.lab.topology import pod_address, to_document
from podroutes.model.cluster import Cluster
from podroutes.model.text import counted, escaped, listing

FEW = 16  # machines that are listed where the list was not requested
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*|[0-9./]+")
_YAML_WORDS = frozenset(
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
)  # not strings unless quoted, yaml.org/type


def machines(cluster: Cluster, most: int, *, cni: bool = False) -> list[str]:
    """Return the table of the lab's machines, limited to MOST rows; with CNI their pods are not known here."""
    rows = [("MACHINE", "INTERNAL-IP", "POD CIDR", "POD")]
    rows += [
        (escaped(node.name), _list(node.internal_ips), _list(node.pod_cidrs), _list(map(pod_address, node.pod_cidrs)))
        for node in cluster.nodes[:most]
    ]
    rows = [row[:3] for row in rows] if cni else rows  # type: ignore[misc]  # a column less
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    hidden = len(cluster.nodes) - most
    return [*lines, f"… and {hidden} more"] if hidden > 0 else lines


def programs(lab: Lab) -> list[str]:
    """Return the programs of LAB, which has an API."""
    state = "" if lab.api_ended is None else f": it has ended with status {lab.api_ended}"
    ended = [f"{escaped(name)} (status {status})" for name, status in lab.agents.items() if status is not None]
    lines = [
        f"lab API (it is not Kubernetes) at {lab.api}{state}",
        f"agents: {len(lab.agents) - len(ended)} of {len(lab.agents)} run",
    ]
    if ended:
        lines[-1] += f"; ended: {listing(ended)}; their reasons: {RUNTIME}/{AGENT_LOG} on the machine"
    return lines


def count(cluster: Cluster, *, cni: bool = False) -> str:
    """Return how many machines and pods CLUSTER has, in words; with CNI pods come later."""
    if cni:
        return counted(len(cluster.nodes), "machine")
    pods = sum(bool(node.pod_cidrs) for node in cluster.nodes)
    return f"{len(cluster.nodes)} machine{'s' * (len(cluster.nodes) != 1)} with {pods} pod{'s' * (pods != 1)}"


def inventory(cluster: Cluster) -> list[str]:
    """Return CLUSTER as lines of podroutes' YAML."""
    document = to_document(cluster)
    limits = [f"  {key}: {_flow(values)}" for key, values in document["cluster"].items()]
    lines = ["cluster:", *limits, "nodes:"]
    for node in document["nodes"]:
        lines.append(f"  - name: {_scalar(node['name'])}")
        for plural in ("internalIPs", "podCIDRs"):
            values = node.get(plural, [])
            if len(values) == 1:
                lines.append(f"    {plural[:-1]}: {_scalar(values[0])}")
            elif values:
                lines.append(f"    {plural}: {_flow(values)}")
        lines.append(f"    interface: {_scalar(node['interface'])}")
    return lines


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "-"


def _flow(values: list[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(value: str) -> str:
    """Quote VALUE if YAML would not read it as this string. Names of a lab need no escapes in quotes."""
    plain = (
        _PLAIN.fullmatch(value)
        and value.lower() not in _YAML_WORDS
        and (not value[0].isdigit() or value.count(".") > 1)
    )
    return value if plain else f'"{value}"'
