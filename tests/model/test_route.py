"""A route is plain when it has the form that podroutes writes, and nothing else."""

import pytest

from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.route import NextHop, Route

HOP = NextHop(parse_address("192.168.8.21"), "ens18")
PLAIN = Route(parse_prefix("10.200.1.0/24"), (HOP,), metric=20)
# One other value for each attribute but the destination and the metric, which are free.
OTHER = {
    "next_hops": (HOP, HOP),
    "protocol": 3,
    "table": 100,
    "kind": "blackhole",
    "scope": 253,
    "tos": 16,
    "prefsrc": parse_address("192.168.8.20"),
    "metrics": (("mtu", 1400),),
    "nhid": 7,
}


def test_a_route_as_podroutes_writes_it_is_plain():
    assert PLAIN.plain


def test_every_attribute_is_tried():
    assert {"dst", "metric", *OTHER} == set(Route._fields)


@pytest.mark.parametrize("field", OTHER)
def test_one_other_attribute_is_enough_not_to_be_plain(field):
    assert not PLAIN._replace(**{field: OTHER[field]}).plain


@pytest.mark.parametrize(
    "hops",
    [(), (NextHop(None, "ens18"),), (NextHop(HOP.via, None),), (HOP._replace(flags=1),), (NextHop(parse_address("fd00::1"), "ens18"),)],
    ids=["none", "no gateway", "no device", "flags", "other IP version"],
)  # fmt: skip
def test_the_next_hop_is_one_gateway_of_the_same_ip_version_on_a_device(hops):
    assert not PLAIN._replace(next_hops=hops).plain
