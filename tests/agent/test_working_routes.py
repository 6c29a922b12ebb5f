"""An agent keeps the routes that work, whatever single nodes report, and across link flaps and restarts."""

import json
import signal

import pytest

from agent.conftest import until
from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.watch import KernelEvents
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import AGAIN, MassDeleteGuard
from support.notation import address, cluster, link, node, route

EIGHT = [f"worker-{i} 192.168.8.2{i} 10.200.{i}.0/24" for i in range(8)]
SEVEN = [f"10.200.{i}.0/24 via 192.168.8.2{i}" for i in range(1, 8)]


class Simulated:
    """The agent of worker-0 on a kernel in memory, under a clock that the test sets; ``reads`` is one pass."""

    def __init__(self, tmp_path):
        self.kernel = MemoryKernel(
            [link("lo", 1), link("ens18", 2)],
            [address("192.168.8.20/24 dev ens18"), address("fd00:8::20/64 dev ens18")],
        )
        self.now = 0.0
        self._machine = Machine(
            self.kernel, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping()
        )
        self._nodes = cluster()

    def reads(self, *nodes, seconds=1.0):
        """Let the source list NODES, SECONDS later than before; without any the same as before."""
        self.now += seconds
        self._nodes = cluster(*nodes) if nodes else self._nodes
        return self.passes(self._nodes)

    def passes(self, nodes):
        """Compare NODES with the kernel once."""
        return self._machine.reconcile(NodeSnapshot(Inventory(nodes, ()), self.now, self.now), self.now)

    def loses(self, text):
        """Let somebody delete a route; return what is put back at once."""
        deleted = route(f"{text} dev ens18")
        self.kernel.routes.remove(deleted)
        self._machine.heal(
            KernelEvents(((deleted, 4711),), frozenset(), frozenset([deleted.dst])), self.now, lambda _: ""
        )

    def flaps(self):
        """Set the link down, which takes its routes along, and up."""
        connected = [each for each in self.kernel.routes if not each.ours]
        self.kernel.set_link("ens18", up=False)
        self.reads()
        self.kernel.set_link("ens18")
        self.kernel.routes[:] = connected

    def routes(self):
        """Return what we route."""
        return sorted(f"{each.dst} via {each.via}" for each in self.kernel.ours())


@pytest.fixture
def agent(tmp_path):
    return Simulated(tmp_path)


def test_a_virtual_node_that_joins_costs_no_route(agent):
    agent.reads(*EIGHT)
    agent.reads(*EIGHT, "virtual-a 10.200.1.14 10.200.30.0/24")
    assert agent.routes() == SEVEN
    agent.flaps()
    agent.reads()
    assert agent.routes() == SEVEN


def test_a_node_that_reports_an_address_in_every_pod_cidr_costs_no_route_ever(agent):
    agent.reads(*EIGHT)
    assert agent.routes() == SEVEN
    inside = ",".join(f"10.200.{i}.9" for i in range(7))
    found = agent.reads(*EIGHT[:7], f"worker-7 192.168.8.27,{inside} 10.200.7.0/24")
    assert (agent.routes(), found.plan.held) == (SEVEN, ()), "nothing is to be deleted, so nothing is held"
    agent.loses(SEVEN[1])
    agent.reads()
    assert agent.routes() == SEVEN, "and what others delete is put back all the while"
    agent.reads(seconds=AGAIN + 1)
    agent.reads(seconds=AGAIN + 1)
    assert agent.routes() == SEVEN


def test_an_ipv6_pod_address_among_a_nodes_own_costs_no_route_ever(agent):
    six = [f"worker-{i} fd00:8::2{i} fd00:200:{i}::/64" for i in range(8)]
    agent.reads(*six)
    before = agent.routes()
    assert len(before) == 7
    inside = ",".join(f"fd00:200:{i}::9" for i in range(7))
    for _ in range(3):
        agent.reads(*six[:7], f"worker-7 {inside},fd00:8::27 fd00:200:7::/64", seconds=AGAIN + 1)
    assert agent.routes() == before


@pytest.mark.parametrize("fake", ["fake-0 192.168.8.21", "worker-1b 192.168.8.21 10.200.50.0/24"])
def test_a_node_that_shares_an_address_costs_no_route_even_after_a_flap(agent, fake):
    agent.reads(*EIGHT)
    agent.reads(*EIGHT, fake)
    assert set(SEVEN) <= set(agent.routes())
    agent.flaps()
    agent.reads()
    assert set(SEVEN) <= set(agent.routes())


@pytest.mark.parametrize("rival", ["rival 192.168.8.99 10.200.1.0/24", "rival 192.168.8.99 10.200.0.0/16"])
def test_contested_routes_come_back_after_a_flap(agent, rival):
    agent.reads(*EIGHT)
    agent.reads(*EIGHT, rival)
    assert agent.routes() == SEVEN
    agent.flaps()
    agent.reads()
    assert agent.routes() == SEVEN


OWN = "worker-0 192.168.8.20 10.200.0.0/24"
ONE, TWO = (f"worker-{i} 192.168.8.2{i} 10.200.{i}.0/24" for i in (1, 2))
RIVAL = "rival 192.168.8.99 10.200.1.0/24"


def test_contested_routes_come_back_after_a_restart_of_agent_and_machine(start, nodes, routes, worker, tmp_path):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    nodes(OWN, ONE, TWO, RIVAL)
    until(lambda: [each["code"] for each in agent.status()["problems"]] == ["duplicate-pod-cidr"])
    until(lambda: "rival" in (tmp_path / "state/nodes.yaml").read_text())
    assert routes() == SEVEN[:2]
    agent.end(signal.SIGKILL)
    worker.ip("link set ens18 down", "link set ens18 up")
    assert routes() == []
    agent = start().ready()
    until(lambda: [each["code"] for each in agent.status()["problems"]] == ["duplicate-pod-cidr"])
    assert routes() == SEVEN[:2]


def test_a_typing_error_in_the_watched_file_costs_no_route(start, nodes, routes, tmp_path, worker):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    assert routes() == SEVEN[:2]
    path = tmp_path / "nodes.json"
    rows = json.loads(path.read_text())["nodes"]
    rows[1]["podcidr"] = rows[1].pop("podCIDR")
    path.with_suffix(".new").write_text(json.dumps({"nodes": rows}))
    path.with_suffix(".new").replace(path)
    until(lambda: any("worker-1" in each["nodes"] for each in agent.status()["problems"]))
    assert routes() == SEVEN[:2]
    worker.ip("route del 10.200.2.0/24")
    until(lambda: SEVEN[1] in routes())
    assert routes() == SEVEN[:2]


@pytest.mark.parametrize("first", [True, False], ids=["stranger first", "stranger last"])
def test_another_node_with_our_host_name_stops_nothing(agent, first):
    stranger = node("stranger 192.168.8.66 10.200.66.0/24")._replace(hostnames=("worker-0",))
    nodes = [*cluster(*EIGHT).nodes]
    nodes.insert(0 if first else 8, stranger)
    agent.passes(cluster()._replace(nodes=tuple(nodes)))
    assert agent.routes() == [*SEVEN[:6], "10.200.66.0/24 via 192.168.8.66", SEVEN[6]]
