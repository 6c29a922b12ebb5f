"""Formats all routes of a cluster as Terraform in its JSON form: https://developer.hashicorp.com/terraform/language/syntax/json.

A file holds variables, the routes, and the resources made of them, one for each route (and route table): a node that moves changes one
resource. Where not all podCIDRs can be routed, Terraform is told to destroy nothing.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from podroutes.model.text import escaped
from podroutes.views.routers import PodRoute

_MARK = "Written by podroutes render"
_INCOMPLETE = (
    "Not complete: some podCIDRs cannot be routed, so nothing is destroyed. podroutes named them on standard error."
)


def google(routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
    """Yield static routes of a VPC network: google_compute_route, which takes IPv4 alone (provider 6). The instances need can_ip_forward."""
    rows = list(routes)
    resource = {
        "for_each": "${local.podroutes}",
        # With the next hop in it: a route cannot be changed, and the new one is made before the old one goes.
        "name": 'podroutes-${replace(replace("${each.key}-via-${each.value.via}", ".", "-"), "/", "-")}',
        "network": "${var.podroutes_network}",
        "dest_range": "${each.key}",
        "next_hop_ip": "${each.value.via}",
        "description": "podCIDR of node ${each.value.node}, made by podroutes",
    }
    left_out = sum(row.dst.version == 6 for row in rows)
    note = f" {left_out} of IPv6 left out: google_compute_route takes IPv4 alone." if left_out else ""
    document = {
        "//": f"{_MARK} terraform-google: static routes of a network, one for each podCIDR.{note}",
        "variable": {"podroutes_network": _variable("the VPC network: its name or its self_link", "string")},
        "locals": {"podroutes": _locals(row for row in rows if row.dst.version == 4)},
        "resource": {"google_compute_route": {"podroutes": resource | _lifecycle(complete=complete, first=True)}},
    }
    yield from _lines(document, complete=complete)


def aws(routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
    """Yield routes of VPC route tables: aws_route to the network interface that has the node's address. It needs source_dest_check = false."""
    rows = list(routes)
    hops = {str(row.via): row.via.version for row in rows}
    pairs = "setproduct(var.podroutes_route_tables, keys(local.podroutes))"
    each = f'{{for pair in {pairs} : join(" ", pair) => {{table = pair[0], dst = pair[1]}}}}'
    via = "local.podroutes[each.value.dst].via"
    resource = {
        "for_each": f"${{{each}}}",
        "route_table_id": "${each.value.table}",
        "destination_cidr_block": '${strcontains(each.value.dst, ":") ? null : each.value.dst}',
        "destination_ipv6_cidr_block": '${strcontains(each.value.dst, ":") ? each.value.dst : null}',
        "network_interface_id": f"${{data.aws_network_interface.podroutes[{via}].id}}",
    }
    interface = {
        "for_each": {
            hop: {4: "addresses.private-ip-address", 6: "ipv6-addresses.ipv6-address"}[version]
            for hop, version in hops.items()
        },
        "filter": [
            {"name": "${each.value}", "values": ["${each.key}"]},
            {"name": "vpc-id", "values": ["${var.podroutes_vpc}"]},
        ],
    }
    document = {
        "//": f"{_MARK} terraform-aws: routes of a VPC's route tables, one for each podCIDR and table.",
        "variable": {
            "podroutes_vpc": _variable("the id of the VPC with the nodes", "string"),
            "podroutes_route_tables": _variable("the ids of the route tables of the nodes' subnets", "set(string)"),
        },
        "locals": {"podroutes": _locals(rows)},
        "data": {"aws_network_interface": {"podroutes": interface}},
        "resource": {"aws_route": {"podroutes": resource | _lifecycle(complete=complete)}},
    }
    yield from _lines(document, complete=complete)


def _variable(description: str, kind: str) -> dict[str, str]:
    return {"description": description, "type": kind}


def _locals(rows: Iterable[PodRoute]) -> dict[str, dict[str, str]]:
    return {str(row.dst): {"via": str(row.via), "node": _literal(row.node)} for row in rows}


def _literal(text: str) -> str:
    """Return TEXT so that Terraform finds no template in it."""
    return escaped(text).replace("${", "$${").replace("%{", "%%{")


def _lifecycle(*, complete: bool, first: bool = False) -> dict[str, Any]:
    """Return what keeps Terraform from destroying routes where these are not COMPLETE; FIRST: a new one is made before the old one goes."""
    rules = {"create_before_destroy": True} if first else {}
    rules |= {} if complete else {"prevent_destroy": True}
    return {"lifecycle": rules} if rules else {}


def _lines(document: dict[str, Any], *, complete: bool) -> Iterator[str]:
    if not complete:
        document = {**document, "//": f"{document['//']} {_INCOMPLETE}"}
    yield from json.dumps(document, indent=2).splitlines()
