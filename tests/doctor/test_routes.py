"""Routes of others, and what may become of ours."""

import pytest

from podroutes.model.address import parse_prefix


@pytest.mark.parametrize(
    "route",
    [
        "10.200.1.128/25 via 192.168.8.22 proto static",  # a part of a podCIDR, to the wrong node
        "blackhole 10.200.1.64/26 proto boot",
        "10.200.1.0/26 dev ens18 proto kernel scope link",
        "10.200.0.128/25 via 192.168.8.21",  # the pods of this node, away from it
        "fd01:0:0:1::/72 via fd00::22 proto static",
        "10.200.1.7/32 via 192.168.8.22 table 100",
    ],
)
def test_a_route_that_takes_pod_traffic_elsewhere(healthy, worker, route):
    worker.ip(f"route add {route}", "rule add lookup 100 pref 100")
    healthy.cured("stray-route")


def test_a_route_in_front_of_ours_that_leads_elsewhere(healthy, worker):
    worker.ip("route prepend 10.200.2.0/24 via 192.168.8.21 proto bird")
    healthy.cured("stray-route")


@pytest.mark.parametrize("route", ["10.200.1.7/32 via 192.168.8.22 table 100", "blackhole 10.200.128.0/17 proto bird"])
def test_a_route_that_decides_nothing_is_no_finding(healthy, worker, route):
    worker.ip(f"route add {route}")
    assert healthy.examine().codes == []


def test_a_route_behind_ours_that_leads_elsewhere_is_not_to_be_deleted(healthy, worker):
    worker.ip("route add 10.200.2.0/24 via 192.168.8.21 metric 9 proto bird")
    assert healthy.examine().finding("duplicate-route")["fix"] == []


def test_a_route_to_a_node_that_is_gone(healthy, worker):
    healthy.inventory.write_text("cluster: {podCIDRs: [10.200.0.0/16, 'fd01::/48']}\n" + healthy.inventory.read_text())
    assert healthy.examine().codes == []
    worker.ip("route add 10.200.9.0/24 via 192.168.8.29 proto static")
    assert "10.200.9.0/24" in healthy.cured("stray-route")["evidence"][0]


def test_the_route_of_another_tool_beside_ours(healthy, worker):
    worker.ip("route add 10.200.1.0/24 via 192.168.8.21 metric 50 proto static")
    healthy.cured("duplicate-route")
    assert len(worker.show("route show proto 107")) == 2, "ours is still there"


@pytest.mark.parametrize(
    ("protocol", "who"),
    [
        ("bird", "BIRD"),
        ("17", "kube-router"),
        ("80", "Calico"),
        ("bgp", "FRR"),
        ("kernel", "Cilium"),
        ("boot", "flannel"),
    ],
)
def test_a_program_that_routes_pod_cidrs_in_our_place(healthy, worker, protocol, who):
    worker.ip(
        "route del 10.200.1.0/24 proto 107",
        f"route add 10.200.1.0/24 via 192.168.8.21 proto {protocol}",
    )
    assert who in healthy.cured("rival-routes")["cause"]
    assert "10.200.1.0/24 via 192.168.8.21 dev ens18" in worker.show("route show proto 107"), "taken over"


def test_the_routes_of_its_own_pods_and_outside_the_range_are_nobodys_business(healthy, worker):
    worker.ip(
        "link add cali1 type veth peer name pod",
        "link set cali1 up",
        "route add 10.200.0.7/32 dev cali1 proto 80 scope link",
        "route add blackhole 10.200.0.0/25 proto 80",
        "route add 10.0.0.0/8 via 192.168.8.1 proto bird",
        "route add default via 192.168.8.1",
    )
    assert healthy.examine().codes == []


def test_without_an_inventory_our_own_routes_tell_what_belongs_to_pods(healthy, worker):
    assert healthy.examine(inventory=False).codes == []
    worker.ip("route add 10.200.1.128/25 via 192.168.8.22 proto static")
    report = healthy.examine(inventory=False)
    assert report.document["node"] is None
    report.finding("stray-route")


def test_an_appended_next_hop_takes_half_of_the_flows(healthy, worker):
    worker.ip("route append fd01:0:0:1::/64 via fd00::22 dev ens18 proto 107")
    finding = healthy.examine().finding("route-split")
    assert "nexthop via fd00::21" in finding["evidence"][0]
    healthy.run(f"{finding['fix'][0]} --node worker-0")
    assert healthy.examine().codes == []


def test_a_next_hop_that_is_on_no_network_any_more(healthy, worker):
    """Deleting an address that is not the last leaves the routes through it."""
    worker.ip(
        "addr add 192.168.7.20/24 dev ens18",
        "route add 10.200.3.0/24 via 192.168.7.23 proto 107",
        "addr del 192.168.7.20/24 dev ens18",
    )
    finding = healthy.examine().finding("next-hop-off-link")
    assert "192.168.7.23" in finding["cause"]
    healthy.run(f"{finding['fix'][0]} --node worker-0")
    assert healthy.examine().codes == []


def test_a_wire_that_is_pulled(healthy):
    healthy.segment.switch.ip("link set wire down")
    finding = healthy.examine().finding("route-without-carrier")
    assert finding["cause"] == "4 routes of ours leave by ens18, which has no carrier"
    healthy.segment.switch.ip("link set wire up")
    assert healthy.examine().codes == []


def test_hundreds_of_rival_routes_are_one_finding(healthy, worker):
    worker.ip(
        "route flush proto 107",
        *(f"route add 10.201.{number}.0/24 via 192.168.8.21 proto bird" for number in range(200)),
    )
    cidrs = ", ".join(str(parse_prefix(f"10.201.{number}.0/24")) for number in range(200))
    healthy.inventory.write_text(healthy.inventory.read_text().replace("10.200.1.0/24", cidrs))
    finding = healthy.cured("rival-routes")
    assert finding["cause"] == "200 podCIDRs are routed by BIRD (protocol bird)"
    assert len(finding["evidence"]) == 6
