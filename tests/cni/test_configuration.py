"""The CNI configuration is a part of the machine's one plan: written, updated, kept and removed with it, and never another program's."""

import json

import pytest

from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.apply.cni_request import CniRequest
from podroutes.apply.executor import Executor
from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.apply.removal import plan_removal
from podroutes.cli import main
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.memory import MemoryKernel
from podroutes.persist.system_files import CNI, CNI_LOOPBACK
from podroutes.plan.claims import examine
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from support.notation import SEED, address, cluster, link

LEASES = "/var/lib/cni/networks/podroutes"
RENUMBERED = cluster("worker-0 192.168.8.20 10.200.9.0/24", "worker-1 192.168.8.21 10.200.1.0/24")
WITHOUT = cluster("worker-0 192.168.8.20", "worker-1 192.168.8.21 10.200.1.0/24")
DUAL = cluster("worker-0 192.168.8.20,fd00:8::20 10.200.0.0/24,fd00:200::/64,10.200.7.0/24")


class Worker:
    """worker-0 in memory; its uplink takes packets of 1400 bytes."""

    def __init__(self, root: HostFiles) -> None:
        self.root = root
        uplink = link("ens18", 2)._replace(mtu=1400)
        addresses = [address("192.168.8.20/24 dev ens18"), address("fd00:8::20/64 dev ens18")]
        self.kernel = MemoryKernel([link("lo", 1), uplink], addresses)

    def write(self, name: str, text: str = "") -> None:
        """Write a file of the machine."""
        path = self.root.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def plan(self, nodes=SEED, *, backend="", cni=True, force=False):
        """Return the plan for the first of NODES."""
        request = PlanRequest(lambda: ("podroutes", "apply"), backend, cni=CniRequest(cni, force))
        return plan_machine(examine(nodes), nodes.nodes[0], self.kernel.snapshot(), self.root, request).planned.plan

    def apply(self, nodes=SEED, *, backend="", cni=True, force=False):
        """Carry the plan out; return it."""
        plan = self.plan(nodes, backend=backend, cni=cni, force=force)
        assert Executor(self.kernel, self.root).carry_out(plan).complete
        return plan

    def network(self) -> dict:
        """Return the configuration that is written."""
        return json.loads(self.root.read(CNI))


@pytest.fixture
def worker(tmp_path):
    return Worker(HostFiles(tmp_path))


def codes(plan):
    return {problem.code for problem in plan.problems}


def test_it_is_written_once_and_then_agrees(worker):
    plan = worker.apply()
    assert {change.file.path for change in plan.files} == {CNI, CNI_LOOPBACK}
    assert worker.root.mode(CNI) == 0o644
    assert not worker.plan().pending
    assert not worker.plan(cni=False).pending, "without --cni it is kept up to date"


def test_the_bridge_has_one_range_set_for_each_ip_version_and_the_mtu_of_the_uplink(worker):
    worker.apply(DUAL)
    bridge = worker.network()["plugins"][0]
    assert bridge["ipam"]["ranges"] == [
        [{"subnet": "10.200.0.0/24"}, {"subnet": "10.200.7.0/24"}],
        [{"subnet": "fd00:200::/64"}],
    ]
    assert bridge["mtu"] == 1400
    assert bridge["ipMasq"] is False


def test_portmap_is_there_only_with_its_plugin_and_iptables(worker):
    assert "cni-no-host-ports" in codes(worker.apply())
    worker.write("/opt/cni/bin/portmap")
    assert "cni-no-host-ports" in codes(worker.plan())
    worker.write("/usr/sbin/iptables")
    assert "cni-no-host-ports" not in codes(worker.apply())
    assert [plugin["type"] for plugin in worker.network()["plugins"]] == ["bridge", "portmap"]


def test_another_programs_file_is_not_touched_and_the_one_that_is_used_is_named(worker):
    worker.write("/etc/cni/net.d/05-other.conflist", "{}")
    plan = worker.apply()
    (problem,) = [problem for problem in plan.problems if problem.code == "cni-not-first"]
    assert "/etc/cni/net.d/05-other.conflist" in problem.message
    assert worker.root.read("/etc/cni/net.d/05-other.conflist") == "{}"


def test_a_file_of_somebody_else_in_our_place_is_an_error(worker):
    worker.write(CNI, '{"name": "theirs"}')
    with pytest.raises(PersistError, match="is not ours"):
        worker.plan()
    assert not worker.plan(cni=False).files


def test_a_new_podcidr_waits_until_no_pod_has_an_old_address(worker):
    worker.apply()
    worker.write(f"{LEASES}/10.200.0.5", "container\neth0")
    worker.write(f"{LEASES}/last_reserved_ip.0", "10.200.0.5")
    worker.write(f"{LEASES}/lock")
    with pytest.raises(PersistError, match=r"addresses outside of 10\.200\.9\.0/24: 10\.200\.0\.5; delete these pods"):
        worker.plan(RENUMBERED)
    kept = worker.apply(RENUMBERED, cni=False)
    assert "cni-not-written" in codes(kept)
    assert worker.network()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.0.0/24"}]]
    worker.apply(RENUMBERED, force=True)
    assert worker.network()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.9.0/24"}]]


def test_a_new_podcidr_is_written_when_no_pod_is_left(worker):
    worker.apply()
    worker.write(f"{LEASES}/lock")
    worker.apply(RENUMBERED, cni=False)
    assert worker.network()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.9.0/24"}]]


def test_nothing_is_written_before_the_node_has_a_podcidr_and_nothing_is_lost_when_it_has_none_any_more(worker):
    with pytest.raises(PersistError, match="has no podCIDR"):
        worker.plan(WITHOUT)
    worker.apply()
    before = worker.root.read(CNI)
    assert "cni-not-written" in codes(worker.apply(WITHOUT, cni=False))
    assert worker.root.read(CNI) == before


def test_a_machine_whose_pods_are_not_known_here_keeps_its_configuration(worker):
    worker.apply()
    request = PlanRequest(tuple, cni=CniRequest(keep=True))
    planned = plan_machine(examine(RENUMBERED), RENUMBERED.nodes[0], worker.kernel.snapshot(), worker.root, request)
    assert not planned.planned.plan.files


def test_giving_up_persistence_keeps_it_and_remove_takes_it_away(worker):
    worker.apply(backend="systemd")
    worker.apply(backend="none", cni=False)
    assert worker.root.read(CNI)
    removal = plan_removal("worker-0", [], worker.kernel.snapshot, worker.root)
    assert Executor(worker.kernel, worker.root).carry_out(removal).complete
    assert worker.root.read(CNI) is None
    assert worker.root.read(CNI_LOOPBACK) is None


def test_the_agent_keeps_it_up_to_date(worker):
    worker.apply()
    agent = Machine(worker.kernel, Settings(worker.root, "worker-0"), MassDeleteGuard(), FlapDamping())

    def reconcile(nodes, now):
        return agent.reconcile(NodeSnapshot(Inventory(nodes, ()), now, now), now)

    reconcile(RENUMBERED, 0.0)
    assert worker.network()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.9.0/24"}]]
    worker.write(f"{LEASES}/10.200.9.5")
    found = reconcile(SEED, 1.0)
    assert "cni-not-written" in codes(found.plan)
    assert worker.network()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.9.0/24"}]]


@pytest.mark.usefixtures("bare")
def test_force_alone_is_an_error(tmp_path, capsys):
    inventory = tmp_path / "machines.txt"
    inventory.write_text("192.168.8.20 worker-0.local worker-0 10.200.0.0/24\n")
    words = ["plan", "-i", str(inventory), "--node", "worker-0", "--state-dir", str(tmp_path / "state"), "--force"]
    assert main(words) == 1
    assert "--force goes with --cni" in capsys.readouterr().err


def test_chained_plugins_are_those_asked_for_and_bandwidth_stays(worker):
    def types():
        return [plugin["type"] for plugin in worker.network()["plugins"]]

    request = PlanRequest(tuple, cni=CniRequest(True, chained=("bandwidth", "portmap")))
    plan = plan_machine(examine(SEED), SEED.nodes[0], worker.kernel.snapshot(), worker.root, request).planned.plan
    assert "cni-no-host-ports" not in codes(plan)
    assert Executor(worker.kernel, worker.root).carry_out(plan).complete
    assert types() == ["bridge", "portmap", "bandwidth"]
    worker.apply(cni=False)
    assert types() == ["bridge", "bandwidth"], "portmap goes with what it needs, bandwidth needs nothing"


def test_an_agent_that_is_asked_writes_it_once_the_node_has_a_podcidr(worker):
    settings = Settings(worker.root, "worker-0", cni=True, cni_plugins=("bandwidth",))
    agent = Machine(worker.kernel, settings, MassDeleteGuard(), FlapDamping())

    def reconcile(nodes, now, *, from_cache=False):
        return agent.reconcile(NodeSnapshot(Inventory(nodes, ()), now, now, from_cache=from_cache), now)

    found = reconcile(WITHOUT, 0.0)
    assert "cni-not-written" in codes(found.plan)
    assert not found.failures
    assert [str(change.route.dst) for change in found.done] == ["10.200.1.0/24"], "routes do not wait for it"
    reconcile(SEED, 1.0, from_cache=True)
    assert worker.root.read(CNI) is None, "saved nodes may be out of date"
    reconcile(SEED, 2.0)
    assert [plugin["type"] for plugin in worker.network()["plugins"]] == ["bridge", "bandwidth"]
    worker.root.path(CNI).unlink()
    reconcile(SEED, 3.0)
    assert worker.root.read(CNI), "a file that somebody deleted is written anew"
