"""Reads an inventory of nodes from a file. The format is recognised from the content.

A reader for each format yields raw nodes: strings with their line numbers. One parser (``nodes``) turns them into Node values.

- ``own``: podroutes' own YAML or JSON;
- ``machines``: machines.txt of Kubernetes The Hard Way;
- ``kubectl_json``, ``kubectl_yaml``: what ``kubectl get nodes -o json`` or ``-o yaml`` prints;
- ``ansible``: an Ansible inventory, INI or YAML, whose hosts have ``pod_cidr``.

Files of other programs that are no inventory are recognised by their beginning; the error says what to do (``foreign``).
"""

import re
from typing import BinaryIO, NamedTuple

from podroutes.errors import InventoryError
from podroutes.inventory.nodes import RawInventory, parse_limits, parse_nodes
from podroutes.inventory.source import CHUNK, Source, opened
from podroutes.model.cluster import Cluster
from podroutes.model.problem import Problem

__all__ = ["Inventory", "load"]

_NOISE = re.compile(
    rb"(?:\s++|#[^\n]*+|---(?=\s|$)|%[A-Z][^\n]*+)*+"
)  # what may come before the first word of the content
_JSON = re.compile(rb'\{\s*+(?:"(\w*+)|\}|$)|\[')  # else a brace begins a YAML flow mapping
_YAML = re.compile(
    rb"""["']?([^\s:"']++)["']?\s*+:(?=\s|$)|[-?](?=\s)|[{"'!&*|>]"""
)  # a key, or what can begin a value
_MACHINE = re.compile(rb"[0-9A-Fa-f]*+[.:]|$")  # an address, or comments beyond the head
_KUBERNETES = frozenset({b"apiVersion", b"items", b"kind", b"metadata", b"spec", b"status"})  # no key of ours


# The beginnings of other programs' files; only these are examined further.
_FOREIGN = re.compile(rb'NAME[ \t]|\{\s*+"[\w-]++"\s*+:\s*+\{|[A-Za-z_"][\w "-]*+[=,;]')
_ANSIBLE = re.compile(
    rb"\[[A-Za-z_]|(?!(?:nodes|cluster|apiVersion|kind|items):)[\w-]++[ \t]*+:[ \t]*+\r?\n|[\w.-]++[ \t][^\n=]*+="
)


class Inventory(NamedTuple):
    """The content of one source: its nodes and limits, and a Problem for each value that was left out."""

    cluster: Cluster
    problems: tuple[Problem, ...]


def load(path: str, stream: BinaryIO | None = None) -> Inventory:
    """Read the inventory at PATH (``-``: standard input), or from STREAM, which PATH then only names.

    Nodes and their values keep the order of the source. A wrong value is left out and reported as a Problem
        (``invalid-pod-cidr``, ``invalid-internal-ip``, ``unknown-key``); conflicts between nodes are not
        checked here. Raises InventoryError when the source cannot be read, is in no known format, is broken, or holds no nodes.
    """
    with opened(path, stream) as source:
        try:
            raw = _read(source)
            parse_problems: list[Problem] = []
            nodes = raw.parsed or parse_nodes(raw.nodes, source.name, parse_problems)
            problems = [*raw.problems, *parse_problems]
        except MemoryError:
            raise source.error("does not fit into memory") from None
        if not nodes:
            raise (
                InventoryError(f"{problems[0].message}; {source.name} holds no nodes")
                if problems
                else source.error("holds no nodes")
            )
        limits = {field: parse_limits(values, source.name) for field, values in raw.limits.items()}
    pods, machines_txt, services = (limits.get(field, ()) for field in ("pod_cidrs", "node_cidrs", "service_cidrs"))
    return Inventory(Cluster(nodes, pods, machines_txt, services, source.name, raw.format), tuple(problems))


def _read(source: Source) -> RawInventory:
    """Recognise the format by the first word of the content, and read it."""
    noise = _NOISE.match(source.head)
    start = noise.end() if noise else 0
    if start == len(source.head) < CHUNK:  # nothing but comments
        return RawInventory(())
    if raw_inventory := _read_others(source, start):
        return raw_inventory
    if b"#" not in source.head[:start] and (json := _JSON.match(source.head, start)):  # with a comment it is YAML
        if json[1] in _KUBERNETES:
            from podroutes.inventory import kubectl_json  # noqa: PLC0415 - each format pays for its own parser

            return kubectl_json.read(source)
        from podroutes.inventory import jsontext, native  # noqa: PLC0415

        return native.read(source, jsontext.json_events(source))
    if yaml := _YAML.match(source.head, start):
        if yaml[1] in _KUBERNETES:
            from podroutes.inventory import kubectl_yaml  # noqa: PLC0415

            return kubectl_yaml.read(source)
        from podroutes.inventory import quick  # noqa: PLC0415

        text = source.text()
        if parsed := quick.yaml(text):
            return RawInventory((), parsed=parsed)
        from podroutes.inventory import native, yamltext  # noqa: PLC0415

        return native.read(source, yamltext.yaml_events(source, text))
    if _MACHINE.match(source.head, start):
        return _read_machines(source)
    raise _unknown(source, start)


def _read_machines(source: Source) -> RawInventory:
    if b"127.0.0.1" in source.head or b"::1" in source.head:
        from podroutes.inventory import foreign  # noqa: PLC0415 - only for a mistake

        foreign.refuse_hosts(source)
    from podroutes.inventory import quick  # noqa: PLC0415

    text = source.text()
    if parsed := quick.machines(text):
        return RawInventory((), format="machines", parsed=parsed)
    from podroutes.inventory import machines_txt  # noqa: PLC0415

    return machines_txt.read(source, text)


def _unknown(source: Source, start: int) -> InventoryError:
    from podroutes.inventory import foreign  # noqa: PLC0415 - only for a mistake

    line = source.head.count(b"\n", 0, start) + 1
    text = source.head[start:].partition(b"\n")[0].decode(errors="replace")
    what = "is neither YAML nor JSON nor a machine (IPV4 FQDN HOST [POD_SUBNET])"
    return foreign.placeholder(source, text, line) or source.error(what, line)


def _read_others(source: Source, start: int) -> RawInventory | None:
    """Read Ansible's INI or YAML; None where it is neither. Raises InventoryError for a file of another program."""
    if _FOREIGN.match(source.head, start):
        from podroutes.inventory import foreign  # noqa: PLC0415 - only for a mistake

        foreign.refuse_kind(source, start)
    if not _ANSIBLE.match(source.head, start):
        return None
    from podroutes.inventory import ansible  # noqa: PLC0415 - each format pays for its own parser

    if ansible.INI.match(source.head, start):
        return ansible.read_ini(source)
    if ansible.YAML.match(source.head, start):
        from podroutes.inventory import yamltext  # noqa: PLC0415

        return ansible.read_yaml(source, yamltext.yaml_events(source, source.text()))
    return None
