"""What stops pod traffic although routes, forwarding and filters are right, and what works and is not to be taken away."""

import json

import pytest


def test_two_next_hops_of_which_one_is_wrong_are_not_deleted(healthy, worker):
    worker.ip(
        "route del 10.200.1.0/24 proto 107",
        "route add 10.200.1.0/24 proto bird nexthop via 192.168.8.21 nexthop via 192.168.8.22",
    )
    report = healthy.examine()
    assert not any("route del" in command for each in report.document["findings"] for command in each["fix"])


def test_a_cloud_where_all_goes_by_its_gateway(healthy, worker):
    """Hetzner's networks: a /32, a host route to the gateway, and everything by it."""
    worker.ip(
        "route flush proto 107",
        "addr add 10.0.0.2/32 dev ens18",
        "route add 10.0.0.1/32 dev ens18 scope link",
        "route add 10.200.1.0/24 via 10.0.0.1 dev ens18 proto static",
        "route add 10.200.2.0/24 via 10.0.0.1 dev ens18 proto static",
    )
    healthy.inventory.write_text(
        "nodes:\n"
        "- {name: worker-0, internalIP: 10.0.0.2, podCIDR: 10.200.0.0/24}\n"
        "- {name: worker-1, internalIP: 10.0.0.3, podCIDR: 10.200.1.0/24}\n"
        "- {name: worker-2, internalIP: 10.0.0.4, podCIDR: 10.200.2.0/24}\n"
    )
    report = healthy.examine()
    assert not any("route del" in command for each in report.document["findings"] for command in each["fix"])


def test_ipv6_that_is_switched_off(healthy):
    healthy.run("sysctl -qw net.ipv6.conf.ens18.disable_ipv6=1")
    assert "ipv6-disabled" in healthy.examine().codes


def test_one_machine_that_answers_for_every_next_hop(healthy):
    for machine in healthy.segment.machines[1:]:
        machine.ip("link set eth0 down")
    router = healthy.segment.join("192.168.8.1/24")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.eth0.proxy_arp=1")
    router.ip("link add away type veth peer name far", "link set away up", "link set far up")
    router.ip("route add 192.168.8.21/32 dev away", "route add 192.168.8.22/32 dev away")
    assert "next-hops-one-mac" in healthy.examine().codes


def test_a_strict_filter_that_drops_what_a_neighbour_asks(healthy, worker):
    healthy.run("sysctl -qw net.ipv4.conf.ens18.rp_filter=1")
    worker.ip(
        "link add ens19 type veth peer name wire9",
        "link set wire9 up",
        "link set ens19 up",
        "route add 192.168.8.21/32 dev ens19 scope link",
    )
    report = healthy.examine()
    assert any(
        "192.168.8.21" in each["cause"] for each in report.document["findings"] if each["code"] == "strict-reverse-path"
    )


def test_a_virtual_address_that_is_listed_as_internal_ip(healthy, worker):
    worker.ip("addr add 192.168.8.100/32 dev ens18")
    text = healthy.inventory.read_text().replace("[192.168.8.20,", "[192.168.8.100, 192.168.8.20,")
    healthy.inventory.write_text(text.replace("[192.168.8.21,", "[192.168.8.21, 192.168.8.100,"))
    assert "internal-ip-shared" in healthy.examine().codes


def test_two_connected_networks_with_the_own_pod_cidr(healthy, worker):
    worker.ip("link add docker0 type bridge", "link set docker0 up", "addr add 10.200.0.9/24 dev docker0")
    assert "pod-cidr-connected-twice" in healthy.examine().codes


def test_a_bridge_that_covers_other_pod_cidrs(healthy, worker):
    worker.ip(
        "addr flush dev cni0 scope global", "addr add 10.200.0.1/16 dev cni0", "addr add fd01::1/64 dev cni0 nodad"
    )
    assert "pod-bridge-too-wide" in healthy.examine().codes


def test_a_pod_that_does_not_share_the_network_of_its_machine(healthy, worker):
    worker.ip("route flush proto 107", "link del cni0", "link set ens18 name eth0")
    worker.ip("addr flush dev eth0", "addr add 10.200.0.7/24 dev eth0", "link set eth0 up")
    assert healthy.examine().codes[:1] == ["not-the-machines-network"]


def test_a_table_for_each_card_that_knows_no_pods(healthy, worker):
    worker.ip(
        "route add default via 192.168.8.1 dev ens18 table 100",
        "rule add from 192.168.8.20 lookup 100 pref 1000",
    )
    assert "rule-takes-pods" in healthy.examine().codes


def test_bridged_packets_that_the_packet_filter_does_not_see(healthy):
    healthy.write("/proc/modules", "nf_conntrack 1 0 - Live 0x0\n")
    healthy.write("/proc/42/comm", "kube-proxy\n")
    assert "bridge-filter-off" in healthy.examine().codes


BRIDGE = {"cniVersion": "1.0.0", "name": "b", "type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}}


def test_a_kubelet_without_a_cni_configuration(healthy):
    healthy.write("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
    assert "cni-missing" in healthy.examine().codes


def test_the_first_of_several_cni_configurations_wins(healthy):
    healthy.write("/etc/cni/net.d/10-bridge.conf", json.dumps(BRIDGE))
    healthy.write("/etc/cni/net.d/05-other.conf", json.dumps({**BRIDGE, "bridge": "other0"}))
    report = healthy.examine()
    assert report.codes == ["cni-several"]
    assert "05-other.conf" in report.document["findings"][0]["cause"]


def test_a_kubelet_without_kube_proxy(healthy):
    healthy.write("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
    healthy.write("/etc/cni/net.d/10-bridge.conf", json.dumps(BRIDGE))
    assert "kube-proxy-absent" in healthy.examine().codes


@pytest.mark.parametrize("route", ["10.200.0.0/25 dev docker0", "10.200.0.128/25 dev docker0 proto static"])
def test_a_part_of_the_own_pod_cidr_on_another_device(healthy, worker, route):
    worker.ip("link add docker0 type bridge", "link set docker0 up", f"route add {route}")
    healthy.cured("pod-cidr-connected-twice")


def test_pods_with_routes_of_their_own_are_not_connected_twice(healthy, worker):
    worker.ip(
        "link del cni0",
        "link add cali1 type veth peer name pod1",
        "link add cali2 type veth peer name pod2",
        "link set cali1 up",
        "link set cali2 up",
        "route add 10.200.0.5/32 dev cali1",
        "route add 10.200.0.6/32 dev cali2",
    )
    assert healthy.examine().codes == []
