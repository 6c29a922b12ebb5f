"""The same machines in every format the inventory door reads, and what the door makes of a text."""

import io
import json
import re
from typing import NamedTuple

import pytest

from podroutes.errors import InventoryError
from podroutes.inventory import Inventory, load

_PLAIN = re.compile(
    r"[A-Za-z][A-Za-z0-9./:-]*[A-Za-z0-9]|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?"
)  # what kubectl writes without quotes


class Machine(NamedTuple):
    """One machine, as every format can tell it."""

    name: str
    internal_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...] = ()


SEED = [Machine(f"worker-{n}", (f"192.168.8.2{n}",), (f"10.200.{n}.0/24",)) for n in range(3)]
DUAL = [
    Machine("a", ("192.168.8.20", "fd01::20"), ("10.200.0.0/24", "fd00:0:0:1::/64")),
    Machine("control", ("192.168.8.10",)),
]


def read(document: str | bytes, name: str = "nodes") -> Inventory:
    """Return the inventory that DOCUMENT holds."""
    return load(name, io.BytesIO(document if isinstance(document, bytes) else document.encode()))


def messages(document: str | bytes) -> list[str]:
    """Return the messages of DOCUMENT's problems."""
    return [problem.message for problem in read(document).problems]


def refusal(document: str | bytes) -> str:
    """Return the one line that refuses DOCUMENT."""
    with pytest.raises(InventoryError) as error:
        read(document)
    message = str(error.value)
    assert "\n" not in message
    return message


def told(inventory: Inventory) -> list[Machine]:
    """Return the machines of INVENTORY in words."""
    return [
        Machine(node.name, tuple(map(str, node.internal_ips)), tuple(map(str, node.pod_cidrs)))
        for node in inventory.cluster.nodes
    ]


def machines_txt(machines: list[Machine]) -> str:
    """Write machines.txt."""
    return "".join(
        f"{','.join(one.internal_ips)} {one.name}.kubernetes.local {one.name} {','.join(one.pod_cidrs)}\n"
        for one in machines
    )


def own(machines: list[Machine]) -> dict[str, object]:
    """Return podroutes' own document."""
    return {
        "nodes": [
            {"name": one.name, "internalIPs": list(one.internal_ips), "podCIDRs": list(one.pod_cidrs)}
            for one in machines
        ]
    }


def own_json(machines: list[Machine]) -> str:
    """Write podroutes' own JSON."""
    return json.dumps(own(machines), indent=2)


def own_yaml(machines: list[Machine]) -> str:
    """Write podroutes' own YAML."""
    return f"# the cluster\n{as_yaml(own(machines))}"


def node(machine: Machine) -> dict[str, object]:
    """Return a Node, with texts in it that look like the layout of others."""
    cidrs = {"podCIDR": machine.pod_cidrs[0], "podCIDRs": list(machine.pod_cidrs)} if machine.pod_cidrs else {}
    addresses = [{"address": ip, "type": "InternalIP"} for ip in machine.internal_ips]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": {"note": "kubectl says:\n    name: wrong\n\n- apiVersion: v1\n        },\n        {\n"},
            "labels": {"name": "wrong", "podCIDR": "10.99.0.0/16"},
            "name": machine.name,
        },
        "spec": {**cidrs, "taints": [{"effect": "NoSchedule", "key": "name"}]},
        "status": {
            "addresses": [*addresses, {"address": machine.name, "type": "Hostname"}],
            "images": [{"names": ["registry.example.com/pause:3.10"], "sizeBytes": 320368}],
            "nodeInfo": {"addresses": [{"address": "10.99.0.1", "type": "InternalIP"}]},
        },
    }


def node_list(machines: list[Machine]) -> dict[str, object]:
    """Return what kubectl makes of several Nodes, keys in its order."""
    return {
        "apiVersion": "v1",
        "items": [node(one) for one in machines],
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def kubectl_json(machines: list[Machine]) -> str:
    """Write what ``kubectl get nodes -o json`` prints."""
    return json.dumps(node_list(machines), indent=4) + "\n"


def api_json(machines: list[Machine]) -> str:
    """Write what ``kubectl get --raw /api/v1/nodes`` prints."""
    items = [{key: value for key, value in node(one).items() if key not in {"apiVersion", "kind"}} for one in machines]
    return json.dumps({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": items}, separators=(",", ":"))


def kubectl_yaml(machines: list[Machine]) -> str:
    """Write what ``kubectl get nodes -o yaml`` prints."""
    return as_yaml(node_list(machines))


def as_yaml(value: object) -> str:
    """Write VALUE as kubectl lays YAML out: lists at the indentation of their key, texts of many lines as blocks."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: object) -> list[str]:
    if isinstance(value, dict) and value:
        lines = []
        for key, one in value.items():
            first, *rest = _lines(one)
            if isinstance(one, dict | list) and one:
                margin = "" if isinstance(one, list) else "  "
                lines += [f"{key}:", *(margin + line for line in (first, *rest))]
            else:
                lines += [f"{key}: {first}", *(f"  {line}".rstrip() for line in rest)]
        return lines
    if isinstance(value, list) and value:
        return [mark + line for one in value for mark, line in zip(("- ", *["  "] * 9999), _lines(one), strict=False)]
    if isinstance(value, str) and value.endswith("\n"):
        return ["|", *value.splitlines()]
    if (
        isinstance(value, str)
        and _PLAIN.fullmatch(value)
        and value not in {"true", "false", "null", "yes", "no", "on", "off"}
    ):
        return [value]
    return [json.dumps(value, ensure_ascii=False)]


FORMATS = {
    "machines.txt": machines_txt,
    "own YAML": own_yaml,
    "own JSON": own_json,
    "kubectl -o json": kubectl_json,
    "kubectl --raw": api_json,
    "kubectl -o yaml": kubectl_yaml,
}
