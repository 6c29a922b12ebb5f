"""Reader of Ansible's inventories, INI and YAML, those of kubespray included: hosts with ``ansible_host`` (or ``ip``) and ``pod_cidr``.

https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html
"""

import re
import shlex
from collections.abc import Iterator
from collections.abc import Mapping as Variables
from typing import NamedTuple

from podroutes.inventory.events import Event, List, Mapping, Scalar, Value, compose
from podroutes.inventory.nodes import Located, RawInventory, RawNode
from podroutes.inventory.source import Source
from podroutes.model.text import printable

INI = re.compile(
    rb"\[[A-Za-z_][\w.-]*(?::(?:vars|children))?\][ \t]*(?:[#;][^\n]*)?\r?(?:\n|$)|[\w.-]+[ \t][^\n=]*ansible_\w+="
)
YAML = re.compile(rb"(?:all|ungrouped)[ \t]*:[ \t]*\r?\n[ \t]|[\w-]+[ \t]*:[ \t]*\r?\n[ \t]+(?:hosts|children)[ \t]*:")
_ADDRESSES = (
    "ip",
    "ip6",
    "ansible_host",
)  # kubespray's ip is the address that other nodes use; ansible_host may be a bastion's
_PODS = {"podcidr", "podcidrs", "podsubnet"}  # without "_" and in lower case
_SUSPECT = re.compile(r"pods?(?:c[idr]{2,4}|net|network|range|subnet)s?")  # likely misspellings of pod_cidr


class _Host(NamedTuple):
    line: int
    variables: dict[str, list[Located]]


def read_ini(source: Source) -> RawInventory:
    """Return the hosts of an INI inventory. Raises InventoryError for a line that is not Ansible's INI."""
    hosts: dict[str, _Host] = {}
    kind = ""
    for number, text in enumerate(source.text().split("\n"), 1):
        line = text.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            kind = line.partition("]")[0].partition(":")[2]
        elif not kind:
            try:
                name, *words = shlex.split(line, comments=True)
            except ValueError as error:
                raise source.error(f"{str(error).lower()}: {printable(line)}", number) from None
            _refuse_range(source, name, number)
            _add(
                hosts,
                name,
                number,
                {key: [(value, number)] for key, _, value in (word.partition("=") for word in words)},
            )
    return _inventory(source, hosts, "worker-0 ansible_host=192.168.8.20 pod_cidr=10.200.0.0/24")


def read_yaml(source: Source, events: Iterator[Event]) -> RawInventory:
    """Return the hosts of a YAML inventory, with the hosts of all nested groups."""
    hosts: dict[str, _Host] = {}
    first = next(events, None)
    top = compose(events, first, source) if first else None
    for _ in events:  # the parser reports a second document only when it is read on
        pass
    _group(source, top, hosts)
    return _inventory(source, hosts, "pod_cidr: 10.200.0.0/24")


def _group(source: Source, groups: Value | None, hosts: dict[str, _Host]) -> None:
    for group in groups.values.values() if isinstance(groups, Mapping) else ():
        if not isinstance(group, Mapping):
            continue
        listed = group.values.get("hosts")
        for name, variables in listed.values.items() if isinstance(listed, Mapping) else ():
            line = listed.lines[name] if isinstance(listed, Mapping) else 0
            _refuse_range(source, name, line)
            known = variables.values if isinstance(variables, Mapping) else {}
            _add(hosts, name, line, {key: _strings(value) for key, value in known.items()})
        _group(source, group.values.get("children"), hosts)


def _strings(value: Value) -> list[Located]:
    values = value.values if isinstance(value, List) else [value]
    return [(item.text, item.line) for item in values if isinstance(item, Scalar) and item.kind != "null"]


def _add(hosts: dict[str, _Host], name: str, line: int, variables: Variables[str, list[Located]]) -> None:
    """Add a host. It may be in several groups and have variables in each."""
    hosts.setdefault(name, _Host(line, {})).variables.update(variables)


def _refuse_range(source: Source, name: str, line: int) -> None:
    if "[" in name:
        raise source.error(f"{printable(name)}: a range of hosts is not read; write each host with its address", line)


def _inventory(source: Source, hosts: dict[str, _Host], example: str) -> RawInventory:
    nodes = [_node(source, name, host) for name, host in hosts.items() if name != "localhost"]
    if nodes and not any(node.pod_cidrs for node in nodes):
        raise source.error(
            f"is an Ansible inventory in which no host has the variable pod_cidr; give it to each: {example}"
        )
    return RawInventory(nodes)


def _node(source: Source, name: str, host: _Host) -> RawNode:
    pods: list[Located] = []
    for key, values in host.variables.items():
        word = key.lower().replace("_", "").replace("-", "")
        if word in _PODS:
            pods += _split(values)
        elif _SUSPECT.fullmatch(word):
            line = values[0][1] if values else host.line
            raise source.error(f"host {printable(name)}: unknown variable {printable(key)}; meant pod_cidr?", line)
    ways = [_split(host.variables.get(key, [])) for key in _ADDRESSES]
    addresses = ways[0] + ways[1] or ways[2] or [(name, host.line)]
    return RawNode(name, addresses, pods, None, (), host.line)


def _split(values: list[Located]) -> list[Located]:
    """Return VALUES with each comma-separated list split."""
    return [(text, line) for each, line in values for text in each.replace(",", " ").split()]
