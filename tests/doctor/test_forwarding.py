"""Forwarding, router advertisements and the reverse path, each broken for real in the kernel."""

import sys

import pytest

ADVERTISE = """
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
"""


def test_a_healthy_machine_has_no_findings(healthy, filters):
    report = healthy.examine()
    assert report.document == {
        "apiVersion": "podroutes/v1",
        "node": "worker-0",
        "healthy": True,
        "findings": [],
        "unexamined": [],
    }
    assert report.status == 0


@pytest.mark.parametrize(
    ("code", "sysctl"),
    [
        ("ipv4-forwarding-off", "net.ipv4.ip_forward"),
        ("ipv4-forwarding-off", "net.ipv4.conf.ens18.forwarding"),
        ("ipv6-forwarding-off", "net.ipv6.conf.all.forwarding"),
    ],
)
def test_forwarding_is_off(healthy, code, sysctl):
    healthy.run(f"sysctl -qw {sysctl}=0")
    finding = healthy.cured(code)
    assert finding["evidence"] == [f"{sysctl} = 0"]


def test_a_machine_without_pods_need_not_forward(healthy):
    healthy.run("sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv6.conf.all.forwarding=0", "ip link del cni0")
    text = healthy.inventory.read_text()
    healthy.inventory.write_text(text.replace(', podCIDRs: [10.200.0.0/24, "fd01::/64"]', ""))
    assert healthy.examine().codes == []


def test_fix_turns_forwarding_on_and_says_so(healthy, capsys):
    healthy.run("sysctl -qw net.ipv4.ip_forward=0")
    report = healthy.examine("--fix")
    assert (report.status, report.codes) == (0, [])
    done = {"code": "ipv4-forwarding-off", "sysctl": "net.ipv4.ip_forward", "value": 1, "done": True}
    assert report.document["repaired"] == [done]
    assert healthy.examine("--fix").document["repaired"] == [], "a second time there is nothing to do"


@pytest.fixture
def advertised(healthy, worker):
    """Let a real router advertisement make the default route of a worker that does not forward yet."""
    healthy.run("sysctl -qw net.ipv6.conf.all.forwarding=0", "sysctl -qw net.ipv6.conf.ens18.accept_ra=1")
    router = healthy.segment.join("fe80::1/64")
    for _ in range(50):
        router.run(sys.executable, "-c", ADVERTISE)
        if worker.show("-6 route show default proto ra"):
            return healthy
    raise AssertionError("no default route from a router advertisement")


def test_the_default_route_would_go_with_forwarding_and_fix_keeps_it(advertised, worker):
    report = advertised.examine()
    assert report.codes == ["ipv6-forwarding-off", "ra-default-route-at-risk"]
    report = advertised.examine("--fix")
    assert [each["sysctl"] for each in report.document["repaired"]] == [
        "net.ipv6.conf.ens18.accept_ra",
        "net.ipv6.conf.all.forwarding",
    ], "in this order, as the other one loses the route"
    assert report.codes == []
    assert worker.show("-6 route show default proto ra")


def test_without_the_finding_the_kernel_does_drop_that_route(advertised, worker):
    advertised.run("sysctl -qw net.ipv6.conf.all.forwarding=1")
    assert not worker.show("-6 route show default proto ra")


@pytest.mark.parametrize("where", ["all", "ens18"])
def test_the_reverse_path_filter_drops_where_the_way_back_is_another(healthy, worker, where):
    healthy.run(f"sysctl -qw net.ipv4.conf.{where}.rp_filter=1")
    assert healthy.examine().codes == [], "a strict filter does no harm where packets go back the way they came"
    worker.ip(
        "link add ens19 type veth peer name wire19",
        "link set ens19 up",
        "link set wire19 up",
        "addr add 192.168.9.20/24 dev ens19",
        "route add 10.200.1.128/25 via 192.168.9.1 proto static",  # as a route of an administrator may be
        "rule add to 10.200.1.0/24 lookup 100",
        "route add 10.200.1.0/24 via 192.168.9.1 table 100 proto static",
    )
    healthy.run("sysctl -qw net.ipv4.conf.ens19.rp_filter=0")
    report = healthy.examine()
    assert report.codes == ["strict-reverse-path", "stray-route"]
    strict = report.document["findings"][0]
    assert "the route back to 10.200.1.0/24 leaves by ens19" in strict["evidence"]
    healthy.run(*strict["fix"])
    assert healthy.examine().codes == ["stray-route"]
