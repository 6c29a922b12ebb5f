"""Nodes in several subnets: a router of the inventory leads to the pods of nodes beyond it, and keeps leading there."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor.conftest import Machine
from podroutes.agent import saved_nodes
from podroutes.inventory import load
from podroutes.kernel.memory import MemoryKernel
from podroutes.model.cluster import Unread
from podroutes.model.saved_route import Saved, SavedRoute
from podroutes.plan.claims import examine
from podroutes.plan.planning import plan_here, plan_remote
from podroutes.plan.settle import Context
from support.notation import address, cluster, link

INVENTORY = """\
cluster: {nodeCIDRs: [192.168.8.0/24, 192.168.9.0/24, "fd00:8::/64", "fd00:9::/64"]}
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00:8::20"], podCIDRs: [10.200.0.0/24, "fd01:0:0:0::/64"], interface: lan}
- {name: worker-1, internalIPs: [192.168.8.21, "fd00:8::21"], podCIDRs: [10.200.1.0/24, "fd01:0:0:1::/64"], interface: lan}
- {name: worker-2, internalIPs: [192.168.9.22, "fd00:9::22"], podCIDRs: [10.200.2.0/24, "fd01:0:0:2::/64"], interface: lan}
routers:
- {name: router-0, internalIPs: [192.168.8.1, 192.168.9.1, "fd00:8::1", "fd00:9::1"]}
"""
SYSCTLS = re.compile(r"net\.ipv4\.ip_forward|net\.ipv[46]\.conf\..*\.(forwarding|rp_filter|accept_local|disable_ipv6) ")
NEAR = "worker-0 192.168.8.20 10.200.0.0/24"
FAR = "worker-1 192.168.9.21 10.200.1.0/24"


def planned(nodes, *routers, subnets="192.168.8.0/24,192.168.9.0/24,192.168.7.0/24", saved=(), present=()):
    """Return the plan of worker-0, which is on 192.168.8.0/24; the last nodes are ROUTERS."""
    known = cluster(*nodes, *routers, node_cidrs=subnets) if subnets else cluster(*nodes, *routers)
    count = len(nodes)
    known = known._replace(nodes=tuple(node._replace(router=place >= count) for place, node in enumerate(known.nodes)))
    kernel = MemoryKernel([link("lo", 1), link("ens18", 2)], [address("192.168.8.20/24 dev ens18")])
    kernel.apply(present)
    return (
        known,
        kernel,
        plan_here(examine(known), known.nodes[0], kernel.snapshot(), context=Context(lambda: Saved(saved))).plan,
    )


def routes(plan):
    return [f"{change.action} {change.route.dst} via {change.route.via}" for change in plan.changes]


def test_a_node_beyond_a_router_is_reached_through_it():
    _, _, plan = planned([NEAR, FAR], "router-0 192.168.8.1,192.168.9.1")
    assert routes(plan) == ["add 10.200.1.0/24 via 192.168.8.1"]
    assert plan.problems == ()


def test_without_a_router_on_a_network_of_this_machine_it_is_off_link():
    for routers in ((), ("router-0 192.168.7.1,192.168.9.1",)):
        _, _, plan = planned([NEAR, FAR], *routers)
        assert [problem.code for problem in plan.problems] == ["next-hop-off-link"]
        assert routes(plan) == []


def test_of_several_routers_the_one_in_the_nodes_subnet_is_chosen_else_the_first():
    pair = ("router-0 192.168.8.1,192.168.7.1", "router-1 192.168.8.2,192.168.9.1")
    assert routes(planned([NEAR, FAR], *pair)[2]) == ["add 10.200.1.0/24 via 192.168.8.2"]
    assert routes(planned([NEAR, FAR], *pair, subnets="")[2]) == ["add 10.200.1.0/24 via 192.168.8.1"]


def test_a_node_that_moves_across_the_border_is_one_atomic_replace():
    router = "router-0 192.168.8.1,192.168.9.1"
    _, _, before = planned([NEAR, FAR], router)
    moved = "worker-1 192.168.8.21 10.200.1.0/24"
    assert routes(planned([NEAR, moved], router, present=before.changes)[2]) == [
        "replace 10.200.1.0/24 via 192.168.8.21"
    ]


def test_a_route_through_a_router_stays_while_its_nodes_podcidr_cannot_be_read():
    router = "router-0 192.168.8.1,192.168.9.1"
    known, kernel, plan = planned([NEAR, FAR, "worker-2 192.168.9.22 10.200.2.0/24"], router)
    kernel.apply(plan.changes)
    saved = tuple(SavedRoute(change.route.dst, change.route.via, "ens18", change.node) for change in plan.changes)
    own, far, other, through = known.nodes
    unread = far._replace(pod_cidrs=(), unread=(Unread("podCIDR", "podCIDR is 7", "invalid-pod-cidr"),))
    doubtful = known._replace(nodes=(own, unread, other, through))
    again = plan_here(examine(doubtful), own, kernel.snapshot(), context=Context(lambda: Saved(saved))).plan
    assert routes(again) == []
    assert [(str(each.route.dst), each.node) for each in again.kept] == [("10.200.1.0/24", "worker-1")]
    gone = known._replace(nodes=(own, far._replace(pod_cidrs=()), other, through))
    assert routes(plan_here(examine(gone), own, kernel.snapshot(), context=Context(lambda: Saved(saved))).plan) == [
        "delete 10.200.1.0/24 via 192.168.8.1"
    ]


def test_a_contested_podcidr_in_place_through_a_router_stays():
    router = "router-0 192.168.8.1,192.168.9.1"
    known, kernel, plan = planned([NEAR, FAR], router)
    kernel.apply(plan.changes)
    saved = tuple(SavedRoute(change.route.dst, change.route.via, "ens18", change.node) for change in plan.changes)
    rival = cluster("worker-9 192.168.8.29 10.200.1.0/24").nodes[0]
    contested = known._replace(nodes=(*known.nodes, rival))
    again = plan_here(examine(contested), known.nodes[0], kernel.snapshot(), context=Context(lambda: Saved(saved))).plan
    assert routes(again) == []


def test_the_inventory_has_routers_and_the_agent_saves_them(tmp_path):
    path = tmp_path / "nodes.yaml"
    path.write_text(INVENTORY)
    found = load(str(path)).cluster
    assert [node.name for node in found.nodes if node.router] == ["router-0"]
    saved_nodes.save(tmp_path, found)
    again = saved_nodes.load(tmp_path)
    assert again
    assert [(node.name, node.router) for node in again.cluster.nodes] == [
        (node.name, node.router) for node in found.nodes
    ]
    plans = {node.name: routes(plan_remote(examine(found), node).plan) for node in found.nodes}
    assert "add 10.200.2.0/24 via 192.168.8.1" in plans["worker-0"]
    assert "add fd01:0:0:2::/64 via fd00:8::1" in plans["worker-1"]
    assert "add 10.200.2.0/24 via 192.168.9.22" in plans["router-0"]


class Site:
    """The machines of INVENTORY in two subnets, each worker with a pod's address on a bridge."""

    def __init__(self, inventory: Path, directory: Path) -> None:
        self.inventory, self.directory = inventory, directory
        self.machines = {name: Machine() for name in ("worker-0", "worker-1", "worker-2", "router-0", "lan-8", "lan-9")}
        for lan in ("lan-8", "lan-9"):
            self.machines[lan].ip("link add sw type bridge mcast_snooping 0", "link set sw up")
        for index in range(3):
            net = 9 if index == 2 else 8
            self.join(f"worker-{index}", "lan", net, f"2{index}")
            self.machines[f"worker-{index}"].ip(  # without a port a bridge has no carrier, nor IPv6
                f"route add default via 192.168.{net}.1",
                f"route add default via fd00:{net}::1",
                "link add cni0 type bridge",
                "link set cni0 up",
                f"link add pod0 type veth peer name pod{index} netns {self.machines['lan-8'].process.pid}",
                "link set pod0 master cni0 up",
                f"addr add 10.200.{index}.1/24 dev cni0",
                f"addr add fd01:0:0:{index}::1/64 dev cni0 nodad",
            )
            self.machines["lan-8"].ip(f"link set pod{index} up")
        for net in (8, 9):
            self.join("router-0", f"lan{net}", net, "1")
        for name in ("worker-0", "worker-1", "worker-2", "router-0"):
            self.machines[name].run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def join(self, name: str, dev: str, net: int, host: str) -> None:
        """Give a machine a device in a subnet."""
        machine, switch = self.machines[name], self.machines[f"lan-{net}"]
        switch.ip(
            f"link add {name} type veth peer name {dev} netns {machine.process.pid}",
            f"link set {name} master sw up",
        )
        machine.ip(
            "link set lo up",
            f"addr add 192.168.{net}.{host}/24 dev {dev}",
            f"addr add fd00:{net}::{host}/64 dev {dev} nodad",
            f"link set {dev} up",
        )

    def podroutes(self, name: str, *words: str, status: int | None = 0) -> str:
        """Run podroutes on a machine."""
        command = [sys.executable, "-m", "podroutes", *words, "-i", str(self.inventory)]
        inside = ["nsenter", "--net", "--target", str(self.machines[name].process.pid), *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def apply(self, name: str) -> None:
        """Apply the inventory on a machine."""
        self.podroutes(name, "apply", "--node", name, "--state-dir", str(self.directory / name))

    def tables(self) -> Path:
        """Write the tables of all machines as `ip -j` prints them."""
        kinds = {
            "link": ("-d", "link"),
            "addr": ("addr",),
            "route": ("-N", "route", "show", "table", "all"),
            "rule": ("-N", "rule"),
            "rule6": ("-N", "-6", "rule"),
        }
        for name in ("worker-0", "worker-1", "worker-2", "router-0"):
            place = self.directory / "tables" / name
            place.mkdir(parents=True, exist_ok=True)
            inside = ["nsenter", "--net", "--target", str(self.machines[name].process.pid), "ip", "-j"]
            for kind, words in kinds.items():
                text = subprocess.run([*inside, *words], capture_output=True, text=True, check=True).stdout
                (place / f"{kind}.json").write_text(text or "[]")
            sysctls = subprocess.run([*inside[:4], "sysctl", "-a"], capture_output=True, text=True, check=False).stdout
            (place / "sysctl.txt").write_text(
                "".join(f"{line}\n" for line in sysctls.splitlines() if SYSCTLS.match(line))
            )
        return self.directory / "tables"

    def reaches(self, source: int, destination: int, version: int) -> bool:
        """Send a datagram from the pods' address of one worker to that of another, and back; devices take a second to have IPv6."""
        ends = [f"10.200.{index}.1" if version == 4 else f"fd01:0:0:{index}::1" for index in (source, destination)]
        script = """
import os, socket, sys
def inside(pid):
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    from podroutes.lab import syscalls
    syscalls.setns(fd, syscalls.NEWNET)
family = socket.AF_INET if sys.argv[5] == "4" else socket.AF_INET6
inside(sys.argv[2])
there = socket.socket(family, socket.SOCK_DGRAM)
there.bind((sys.argv[4], 0))
inside(sys.argv[1])
here = socket.socket(family, socket.SOCK_DGRAM)
here.bind((sys.argv[3], 0))
for each in (here, there):
    each.settimeout(float(sys.argv[6]))
here.sendto(b"x", there.getsockname()[:2])
_, peer = there.recvfrom(9)
assert peer[0] == here.getsockname()[0]
there.sendto(b"y", peer)
here.recvfrom(9)
"""
        pids = [str(self.machines[f"worker-{index}"].process.pid) for index in (source, destination)]
        words = [sys.executable, "-c", script, *pids, *ends, str(version)]
        return any(
            subprocess.run([*words, str(seconds)], capture_output=True, check=False).returncode == 0
            for seconds in (0.5, 1, 2, 4)
        )

    def end(self) -> None:
        """End all machines."""
        for machine in self.machines.values():
            machine.end()


@pytest.fixture
def site(bare, tmp_path) -> Iterator[Site]:
    inventory = tmp_path / "nodes.yaml"
    inventory.write_text(INVENTORY)
    found = Site(inventory, tmp_path)
    yield found
    found.end()


def test_packets_of_every_pair_and_the_proof(site):
    for name in ("worker-0", "worker-1", "worker-2"):
        site.apply(name)
    assert not site.reaches(0, 2, 4), "the router does not know the pods yet"
    words = ("verify", "--tables", str(site.tables()), "-o", "json")
    missing = json.loads(site.podroutes("worker-0", *words, status=2))
    assert "router-0" in json.dumps(missing), "it says which router lacks what"
    site.apply("router-0")
    for version in (4, 6):
        for source in range(3):
            for destination in range(3):
                assert source == destination or site.reaches(source, destination, version), (
                    source,
                    destination,
                    version,
                )
    for name in ("worker-0", "worker-2", "router-0"):
        words_here = ("doctor", "--node", name, "-o", "json")
        found = json.loads(site.podroutes(name, *words_here, status=None))["findings"]
        assert not {each["code"] for each in found} & {"routes-missing", "stray-route", "next-hop-off-link"}, found
    site.machines["router-0"].run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    found = json.loads(site.podroutes("router-0", "doctor", "--node", "router-0", "-o", "json", status=2))["findings"]
    assert "ipv4-forwarding-off" in {each["code"] for each in found}
    site.machines["router-0"].run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    site.tables()
    assert "proven" in site.podroutes("worker-0", *words[:3])
