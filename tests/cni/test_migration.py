"""From another CNI configuration to ours: pods that stay keep address and device, and no address is given away twice."""

import json
import sys
from itertools import pairwise

import pytest

from doctor.conftest import filters, unpacked  # noqa: F401  fixtures
from lab.conftest import made, name, root  # noqa: F401  fixtures
from lab.test_pods import runtime  # noqa: F401  fixtures

PLACE = "/etc/cni/net.d"
CIDR = "10.200.0.0/24"
LOCAL = {"type": "host-local", "ranges": [[{"subnet": CIDR}]]}
ROUTED = {**LOCAL, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni-ipam-state"}
BRIDGE = {"type": "bridge", "isGateway": True, "isDefaultGateway": True, "hairpinMode": True, "ipam": LOCAL}
# What each program has its pods made of: flannel's plugin delegates to bridge, kindnet's pods are ptp, kube-router has a bridge of its own.
BEFORE = {
    "hand-written": ("10-bridge.conflist", "bridge", {**BRIDGE, "bridge": "cni0", "ipMasq": True}),
    "flannel": ("10-flannel.conflist", "cbr0", {**BRIDGE, "bridge": "cni0", "mtu": 1500}),
    "kube-router": ("10-kuberouter.conflist", "kubernetes", {**BRIDGE, "bridge": "kube-bridge"}),
    "kindnet": (
        "10-kindnet.conflist",
        "kindnet",
        {"type": "ptp", "ipMasq": False, "ipam": ROUTED, "mtu": 1500},
    ),
}
SEND = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(2)
sock.bind(("", 0))
lost = 0
for number in range(int(sys.argv[2])):
    sock.sendto(str(number).encode(), (sys.argv[1], 5000))
    try:
        while sock.recvfrom(100)[0] != str(number).encode():
            pass
    except OSError:
        lost += 1
    time.sleep(0.002)
print(lost)
"""
ECHO = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 5000))
print("bound", flush=True)
while True:
    data, peer = sock.recvfrom(100)
    sock.sendto(data, peer)
"""


@pytest.fixture
def lab(runtime, name):  # noqa: F811
    with made(runtime, name, "--nodes", "2", "--cni") as lab:
        yield lab


def addresses(lab):
    """Return the addresses of pods by name."""
    return dict(line.split() for line in lab("pod", "list").stdout.splitlines())


@pytest.mark.parametrize("program", BEFORE)
def test_pods_that_stay_lose_no_packet_and_addresses_are_given_once(lab, program):
    file, network, plugin = BEFORE[program]
    inventory = lab("inventory").stdout
    text = json.dumps({"cniVersion": "1.0.0", "name": network, "plugins": [plugin]})
    lab.on("worker-0", "sh", "-c", f"mkdir -p {PLACE}; cat >{PLACE}/{file}", stdin=text)
    lab.on("worker-0", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.21", "proto", "boot")
    lab.on("worker-1", "ip", "route", "add", CIDR, "via", "192.168.8.20", "proto", "boot")
    lab("exec", "worker-1", "--", "podroutes", "apply", "-i", "-", "--cni", "--adopt", stdin=inventory)
    for node, pod in (("worker-0", "one"), ("worker-0", "two"), ("worker-1", "far")):
        lab("pod", "add", node, pod)
    before = addresses(lab)
    ends = [("one@worker-0", "far@worker-1"), ("far@worker-1", "two@worker-0"), ("one@worker-0", "two@worker-0")]
    words = ("lab", "exec", "--name", lab.name)
    echoes = [
        lab.tool.popen(*words, pod, "--", sys.executable, "-c", ECHO, stdout=-1)
        for pod in ("far@worker-1", "two@worker-0")
    ]
    for echo in echoes:
        assert echo.stdout.readline()
    senders = [
        lab.tool.popen(*words, a, "--", sys.executable, "-c", SEND, before[b], "1000", stdout=-1) for a, b in ends
    ]

    apply = ("podroutes", "apply", "-i", "-", "--cni", "--masquerade", "--sysctl", "--adopt")
    first = lab("exec", "worker-0", "--", *apply, stdin=inventory)
    assert "cni-not-first" in first.stderr
    lab("pod", "add", "worker-0", "late")  # while the old configuration is still the first
    lab("exec", "worker-0", "--", *apply, stdin=inventory)
    lab.on("worker-0", "mv", f"{PLACE}/{file}", f"{PLACE}/{file}.unused")
    lab("exec", "worker-0", "--", *apply, stdin=inventory)
    for number in range(3):
        lab("pod", "add", "worker-0", f"new{number}")
    assert [sender.communicate()[0].strip() for sender in senders] == [b"0"] * 3

    after = addresses(lab)
    assert {pod: after[pod] for pod in before} == before
    assert all(a != b for a, b in pairwise(sorted(after.values())))
    assert "10.200.1.0/24" in lab.on("worker-0", "ip", "route", "show", "proto", "107"), "taken over"
    bridge = json.loads(lab.on("worker-0", "cat", f"{PLACE}/10-podroutes.conflist"))["plugins"][0]["bridge"]
    assert bridge == plugin.get("bridge", "cni0"), "a bridge that pods are on stays the bridge"
    for echo in echoes:
        echo.terminate()
        echo.communicate()


def test_an_old_pod_that_ends_gives_its_address_back_to_ours(lab):
    """A runtime may call the plugins with the configuration of now."""
    file, network, plugin = BEFORE["hand-written"]
    text = json.dumps({"cniVersion": "1.0.0", "name": network, "plugins": [plugin]})
    lab.on("worker-0", "sh", "-c", f"mkdir -p {PLACE}; cat >{PLACE}/{file}", stdin=text)
    lab("pod", "add", "worker-0", "one")
    lab("exec", "worker-0", "--", "podroutes", "apply", "-i", "-", "--cni", stdin=lab("inventory").stdout)
    record = json.loads(lab.on("worker-0", "cat", "/run/podroutes/pods/one.json"))
    ours = json.loads(lab.on("worker-0", "cat", f"{PLACE}/10-podroutes.conflist"))
    record["network"] = {key: ours[key] for key in ("cniVersion", "name", "plugins")}
    assert "10.200.0.2" in lab.on("worker-0", "ls", "/var/lib/cni/networks/podroutes")
    lab.on("worker-0", "sh", "-c", "cat >/run/podroutes/pods/one.json", stdin=json.dumps(record))
    lab("pod", "del", "worker-0", "one")
    assert "10.200.0.2" not in lab.on("worker-0", "ls", "/var/lib/cni/networks/podroutes")
