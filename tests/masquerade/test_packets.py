"""Real packets in a lab: pods keep their source address inside the cluster, and have that of their node outside of it."""

import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from agent.conftest import until
from lab.conftest import made, name, root  # noqa: F401  fixtures

OUTSIDE = {4: "203.0.113.1", 6: "2001:db8::1"}
PODS = {4: ("10.200.0.2", "10.200.1.2"), 6: ("fd00:10:200::2", "fd00:10:200:1::2")}
NODES = {4: "192.168.8.20", 6: "fd00:192:168:8::20"}
SERVER = """
import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 5000))
print("bound", flush=True)
while True:
    _, peer = sock.recvfrom(100)
    try:
        sock.sendto(peer[0].encode(), peer)
    except OSError:  # no route back
        pass
"""
CLIENT = """
import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(float(sys.argv[2]))
sock.sendto(b"", (sys.argv[1], 5000))
try:
    print(sock.recvfrom(100)[0].decode())
except OSError:
    print("no answer")
"""


class Cluster:
    """Two dual-stack workers, and an outside that has no route to pods, behind their router."""

    def __init__(self, lab, stack):
        self.lab = lab
        self.inventory = lab("inventory").stdout
        for address in OUTSIDE.values():
            lab.on("switch", "ip", "address", "add", address, "dev", "lo")
        ends = [("switch", address) for address in OUTSIDE.values()]
        ends += [(f"pod@worker-{index}", PODS[version][index]) for version in (4, 6) for index in (0, 1)]
        for end, address in ends:
            server = lab.tool.popen(
                "lab",
                "exec",
                "--name",
                lab.name,
                end,
                "--",
                sys.executable,
                "-c",
                SERVER,
                address,
                stdout=subprocess.PIPE,
            )
            stack.callback(server.communicate)
            stack.callback(server.terminate)
            assert server.stdout.readline()

    def apply(self, *options, node="worker-0"):
        """Apply the inventory."""
        return self.lab("exec", node, "--", "podroutes", "apply", "-i", "-", *options, stdin=self.inventory).stdout

    def seen(self, destination, *, source="pod@worker-0", seconds=10):
        """Return the source address with which a packet arrives, or that no answer came."""
        return self.lab.on(source, sys.executable, "-c", CLIENT, destination, str(seconds))


@pytest.fixture
def cluster(filters, root, name):  # noqa: F811
    with made(root, name, "--nodes", "2", "--ipv6") as lab, ExitStack() as stack:
        cluster = Cluster(lab, stack)
        cluster.apply(node="worker-1")
        yield cluster


def test_the_source_is_kept_inside_and_hidden_outside(cluster):
    cluster.apply()
    assert cluster.seen(OUTSIDE[4], seconds=0.2) == "no answer", "the outside has no route to pods"
    cluster.apply("--masquerade", "both")
    for version in (4, 6):
        assert cluster.seen(OUTSIDE[version]) == NODES[version]
        assert cluster.seen(PODS[version][1]) == PODS[version][0]
        assert cluster.seen(PODS[version][0], source="pod@worker-1") == PODS[version][1]
        assert cluster.seen(PODS[version][1], source="worker-0") == NODES[version]
        assert cluster.seen(OUTSIDE[version], source="worker-0") == NODES[version]


def test_ipv6_is_left_alone_unless_asked_for(cluster):
    cluster.apply("--masquerade")
    assert cluster.seen(OUTSIDE[4]) == NODES[4]
    assert cluster.seen(OUTSIDE[6], seconds=0.2) == "no answer"


def test_remove_ends_it(cluster):
    cluster.apply("--masquerade")
    assert cluster.seen(OUTSIDE[4]) == NODES[4]
    cluster.lab.on("worker-0", "podroutes", "remove")
    assert cluster.seen(OUTSIDE[4], seconds=0.2) == "no answer"
    assert cluster.lab.on("worker-0", "nft", "list", "ruleset") == ""


@contextmanager
def agent(cluster, *options):
    words = ["lab", "exec", "--name", cluster.lab.name, "worker-0", "--", "podroutes", "agent", "-i", "-", *options]
    file = cluster.lab.on(
        "worker-0",
        "sh",
        "-c",
        "cat >/run/podroutes/nodes.yaml; echo /run/podroutes/nodes.yaml",
        stdin=cluster.inventory,
    )
    words[words.index("-i") + 1] = file
    process = cluster.lab.tool.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def test_the_agent_makes_it_heals_it_and_leaves_it(cluster):
    def table():
        return cluster.lab("exec", "worker-0", "--", "nft", "list", "table", "inet", "podroutes", status=None).stdout

    with agent(cluster, "--masquerade"):
        until(lambda: "masquerade" in table())
        assert cluster.seen(OUTSIDE[4]) == NODES[4]
        before = table()
        for meddling in ("flush ruleset", "flush chain inet podroutes postrouting", "delete table inet podroutes"):
            cluster.lab.on("worker-0", "nft", *meddling.split())
            until(lambda: table() == before)
    assert table() == before, "packets go on while no agent runs"
    assert cluster.seen(OUTSIDE[4]) == NODES[4]
    assert cluster.seen(PODS[4][1]) == PODS[4][0]


def test_doctor_verify_and_trace_take_it_for_what_it_is(cluster):
    cluster.apply("--masquerade", "both")
    assert "proven" in cluster.lab.tool("verify", "--lab", cluster.lab.name).stdout
    codes = cluster.lab(
        "exec", "worker-0", "--", "podroutes", "doctor", "-i", "-", "-o", "json", stdin=cluster.inventory, status=None
    )
    assert "masquerad" not in codes.stdout
    trace = cluster.lab.tool("trace", "--lab", cluster.lab.name, PODS[4][0], PODS[4][1]).stdout
    assert trace.endswith("delivered\n")
