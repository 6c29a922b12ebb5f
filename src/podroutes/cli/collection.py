"""Reads the input of ``verify`` and ``trace``: the inventory and the tables of machines."""

import os
from typing import NamedTuple

from podroutes.cli import common
from podroutes.cli.option_values import SourceOptions, TableOptions
from podroutes.errors import PodroutesError, require_linux
from podroutes.model.cluster import Node
from podroutes.model.host import Host
from podroutes.model.text import printable
from podroutes.plan.claims import examine
from podroutes.plan.identity import named_node, this_node
from podroutes.verify.network import Network

_NEIGHBOURLY = 64  # machines of a lab up to which their neighbour tables are read
_INSTEAD = "name the nodes' tables with --tables, or let `podroutes push verify` read them over SSH"


class Evidence(NamedTuple):
    """The input of a proof. ``own`` is this machine's node, None in a lab, and where tables are of other machines.

    ``tables`` describes the source of the tables.
    """

    source: common.Source
    network: Network
    own: Node | None
    tables: str


def gather(options: TableOptions) -> Evidence:
    """Read the inventory and the tables that the command line names: files, a lab, or this machine."""
    if options.tables and options.lab is not None:
        raise PodroutesError("--tables and --lab both say where the tables are: leave one out")
    if options.lab is not None:
        require_linux("a lab", _INSTEAD)
        return _lab(options, options.lab)
    source = common.read_source(options.source)
    if options.tables:
        from podroutes.host.table_files import read_directory  # noqa: PLC0415, one of three

        hosts = read_directory(options.tables)
        known = {node.name for node in source.cluster.nodes}
        if not known & {host.name for host in hosts}:
            raise PodroutesError(
                f"{options.tables}: has a directory of none of the nodes of {source.cluster.source}; they are to be named like the nodes"
            )
        return Evidence(source, Network(hosts, source.cluster), None, f"files in {options.tables}")
    require_linux("reading the tables of this machine", _INSTEAD)
    from podroutes.host.iproute_json import Reader  # noqa: PLC0415
    from podroutes.host.local_tables import read_here  # noqa: PLC0415

    host = read_here("", Reader())
    addresses = [each.address for each in host.addresses]
    own = (
        named_node(source.cluster, options.source.node)
        if options.source.node
        else this_node(source.cluster, os.uname().nodename, addresses)
    )
    return Evidence(
        source, Network([host._replace(name=own.name)], source.cluster), own, f"of this machine, {own.name}"
    )


def own_node(options: SourceOptions, found: Evidence) -> Node:
    """Return the node of this machine, which sends packets; its tables are among those that were FOUND. Raises PodroutesError."""
    require_linux("--probe", _INSTEAD)
    from podroutes.host.iproute_json import Reader  # noqa: PLC0415
    from podroutes.host.local_tables import read_here  # noqa: PLC0415

    cluster = found.source.cluster
    addresses = [each.address for each in read_here("", Reader()).addresses]
    own = named_node(cluster, options.node) if options.node else this_node(cluster, os.uname().nodename, addresses)
    if own.name not in found.network.hosts:
        raise PodroutesError(
            f"--probe sends packets from this machine, {printable(own.name)}, and its tables are not in {found.tables}"
        )
    return own


def _lab(options: TableOptions, name: str) -> Evidence:
    """Enter a lab and read the tables of its machines and of its switch, which is their router."""
    from podroutes.host.iproute_json import Reader  # noqa: PLC0415
    from podroutes.host.local_tables import read_here  # noqa: PLC0415
    from podroutes.lab import inside, registry  # noqa: PLC0415
    from podroutes.lab.topology import SWITCH  # noqa: PLC0415

    lab = registry.find(name)
    source = (
        common.read_source(options.source)
        if common.names_source(options.source)
        else common.Source(lab.cluster, examine(lab.cluster))
    )
    inside.enter(lab)
    reader, hosts = Reader(), list[Host]()
    for machine in (SWITCH, *(node.name for node in lab.cluster.nodes)):
        inside.join_network(machine)
        # The kernel goes through the neighbours of all namespaces to list those of one.
        hosts.append(read_here(machine, reader, neighbours=len(lab.cluster.nodes) <= _NEIGHBOURLY))
    return Evidence(source, Network(hosts, source.cluster, closed=True), None, f"of the lab {name}")
