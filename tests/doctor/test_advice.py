"""No advice takes a needed route away, and what decides pod traffic is named with a command that cures it."""

import subprocess
from pathlib import Path

import pytest

LIMITED = "cluster: {podCIDRs: [10.200.0.0/16, 'fd01::/48']}\n"


@pytest.fixture
def limited(healthy):
    """Return worker-0 with an inventory that says where all pods are."""
    healthy.inventory.write_text(LIMITED + healthy.inventory.read_text())
    return healthy


def advised(report):
    """Return every command that a report advises."""
    return [command for each in report.document["findings"] for command in each["fix"]]


@pytest.mark.parametrize(
    "route",
    [
        "blackhole 10.200.0.0/16 metric 9999",
        "unreachable 10.200.0.0/17 proto bird",
        "10.200.0.0/16 via 192.168.8.1 proto bird",
        "10.200.0.0/22 via 192.168.8.1 proto static",
        "blackhole fd01::/48 metric 9999",
        "blackhole 10.0.0.0/8",
    ],
)
def test_an_aggregate_is_not_stray(limited, worker, route):
    worker.ip(f"route add {route}")
    assert limited.examine().codes == []


@pytest.fixture
def managed(limited, worker):
    """Give worker-0 a management network whose range is within that of the pods."""
    worker.ip(
        "link add mgmt0 type veth peer name mgmt-wire",
        "link set mgmt-wire up",
        "link set mgmt0 up",
        "addr add 10.200.250.20/18 dev mgmt0",
    )
    return limited


def test_the_route_of_a_network_that_is_connected_is_never_to_be_deleted(managed):
    report = managed.examine()
    assert [each for each in advised(report) if "route del" in each] == []
    assert [each for each in report.document["findings"] if each["severity"] == "error"] == []


@pytest.mark.parametrize("mode", ["0", "1"])
def test_a_route_by_a_nexthop_object_that_leads_to_its_node_is_not_stray(healthy, worker, mode):
    Path("/proc/sys/net/ipv4/nexthop_compat_mode").write_text(mode)
    worker.ip(
        "nexthop add id 5 via 192.168.8.21 dev ens18",
        "route del 10.200.1.0/24 proto 107",
        "route add 10.200.1.0/24 nhid 5 proto 186",
    )
    report = healthy.examine()
    assert [each for each in advised(report) if "route del" in each] == []


@pytest.fixture
def vpn(healthy, worker):
    """Give worker-0 a VPN whose table stands before main and takes all pod traffic."""
    worker.ip(
        "link add vpn0 type veth peer name vpn-wire",
        "link set vpn0 up",
        "link set vpn-wire up",
        "addr add 100.64.0.19/32 dev vpn0",
        "route add default dev vpn0 table 52",
        "route add throw 192.168.8.0/24 table 52",
        "rule add pref 5270 lookup 52",
    )
    return healthy


def test_a_rule_that_takes_pod_traffic_is_named_and_cured(vpn, worker):
    report = vpn.examine()
    assert report.status == 2
    finding = report.document["findings"][0]
    assert "5270" in " ".join([finding["cause"], *finding["evidence"]])
    assert [each for each in finding["fix"] if each.startswith("podroutes apply")] == []
    vpn.run(*finding["fix"])
    assert "dev ens18" in worker.show("route get 10.200.1.1")[0]
    assert vpn.examine().codes == []


def test_the_own_pod_cidr_as_a_route_is_found_and_cured(healthy, worker):
    """Typed before the bridge was made, it stands in front of the bridge's own."""
    worker.ip(
        "addr del 10.200.0.1/24 dev cni0", "route add 10.200.0.0/24 via 192.168.8.20", "addr add 10.200.0.1/24 dev cni0"
    )
    assert "cni0" not in worker.show("route get 10.200.0.7")[0]
    assert "10.200.0.0/24" in healthy.cured("stray-route")["evidence"][0]


def test_a_machine_on_which_nothing_is_installed_is_not_well(healthy, worker):
    for version in "46":
        subprocess.run(["ip", f"-{version}", "route", "flush", "proto", "107"], check=True)
    report = healthy.examine()
    assert report.status == 2
    assert any("podroutes apply" in each for each in advised(report))


def test_what_podroutes_would_not_route_is_not_to_be_applied(healthy, worker):
    """The podCIDR of worker-1 lies in the network of the default gateway."""
    worker.ip(
        "route del 10.200.1.0/24 proto 107",
        "link add mgmt0 type veth peer name mgmt-wire",
        "link set mgmt-wire up",
        "link set mgmt0 up",
        "addr add 10.200.250.20/16 dev mgmt0",
        "route add default via 10.200.1.9 dev mgmt0",
    )
    finding = healthy.examine().finding("routes-missing")
    assert "podroutes makes none" in finding["cause"]
    assert finding["fix"] == []


def test_adopting_is_advised_only_where_it_would_not_refuse(healthy, worker):
    worker.ip("route del 10.200.1.0/24 proto 107", "route add 10.200.1.0/24 via 192.168.8.21 proto bird mtu 1400")
    assert healthy.examine().finding("rival-routes")["fix"] == []
