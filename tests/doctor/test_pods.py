"""The CNI configuration, the pods' bridge and the size of packets."""

import json

import pytest

BRIDGE = {
    "cniVersion": "1.0.0",
    "name": "bridge",
    "type": "bridge",
    "bridge": "cni0",
    "isGateway": True,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.200.0.0/24"}], [{"subnet": "fd01::/64"}]]},
}
PLACE = "/etc/cni/net.d"


@pytest.fixture
def connected(healthy):
    """Return the machine with Kubernetes The Hard Way's CNI configuration."""
    healthy.write(f"{PLACE}/10-bridge.conf", json.dumps(BRIDGE, indent=2))
    healthy.write(f"{PLACE}/99-loopback.conf", json.dumps({"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}))
    return healthy


def test_a_right_configuration_is_no_finding(connected):
    assert connected.examine().document["findings"] == []


@pytest.mark.parametrize("plugin", ["bridge", "ptp"])
def test_masquerading_hides_pods(connected, plugin):
    document = {**BRIDGE, "type": plugin, "ipMasq": True}
    connected.write(f"{PLACE}/10-bridge.conf", json.dumps(document, indent=2))
    assert plugin in connected.cured("cni-masquerade")["cause"]
    chained = {"cniVersion": "1.0.0", "name": "x", "plugins": [document, {"type": "portmap"}]}
    connected.write(f"{PLACE}/05-chain.conflist", json.dumps(chained))
    assert "05-chain.conflist" in connected.cured("cni-masquerade")["evidence"][0]


def test_only_the_first_configuration_is_in_use(connected):
    connected.write(f"{PLACE}/87-podman.conflist", json.dumps({"plugins": [{**BRIDGE, "ipMasq": True}]}))
    assert connected.examine().codes == []


def test_addresses_of_another_pod_cidr(connected):
    text = json.dumps(BRIDGE).replace("10.200.0.0/24", "10.200.9.0/24")
    connected.write(f"{PLACE}/10-bridge.conf", text)
    assert "10.200.9.0/24" in connected.cured("cni-subnet-mismatch")["cause"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"plugins": 7, "type": []}', '{"plugins": [7]}', "\0\xff"])
def test_what_is_no_configuration_is_said_and_stops_nothing(connected, text):
    connected.write(f"{PLACE}/00-broken.conf", text)
    report = connected.examine()
    assert report.codes == []
    if text not in ('{"plugins": 7, "type": []}', '{"plugins": [7]}'):
        assert any("00-broken.conf" in line for line in report.document["unexamined"])


def test_a_bridge_that_was_made_for_another_pod_cidr(healthy, worker):
    worker.ip("addr flush dev cni0 scope global", "addr add 10.200.7.1/24 dev cni0")
    assert healthy.cured("pod-bridge-wrong-cidr")["cause"].startswith("cni0 has 10.200.7.1, ")


def test_a_bridge_by_another_name(connected, worker):
    connected.write(f"{PLACE}/10-bridge.conf", json.dumps({**BRIDGE, "bridge": "pods"}))
    worker.ip("link add pods type bridge", "link set pods up", "addr add 10.77.0.1/24 dev pods")
    assert connected.cured("pod-bridge-wrong-cidr")["cause"].startswith("pods has 10.77.0.1, ")


def test_packets_that_do_not_fit_the_interface(healthy, worker):
    worker.ip("link set ens18 mtu 1400")
    finding = healthy.cured("mtu-mismatch")
    assert finding["evidence"] == ["ip link: cni0 mtu 1500, ens18 mtu 1400"]


def test_plugins_that_are_not_installed(connected):
    connected.write("/opt/cni/bin/bridge", "")
    finding = connected.examine().finding("cni-plugin-missing")
    assert finding["evidence"] == [f'{PLACE}/10-bridge.conf: "type": "host-local"']
    connected.write("/opt/plugins/host-local", "")
    connected.write(
        "/etc/containerd/config.toml", '[plugins."io.containerd.grpc.v1.cri".cni]\n  bin_dir = "/opt/plugins"\n'
    )
    assert connected.examine().codes == []
