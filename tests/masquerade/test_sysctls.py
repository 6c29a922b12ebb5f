"""The sysctls that pods need are changes of the plan: set now and at boot, and taken back by remove."""

import pytest

from podroutes.apply.cni_request import CniRequest
from podroutes.apply.executor import Executor
from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.apply.removal import plan_removal
from podroutes.host.files import HostFiles
from podroutes.kernel.memory import MemoryKernel
from podroutes.persist.system_files import FORWARDING, MODULES
from podroutes.plan.claims import examine
from support.notation import address, cluster, link, route

PAIR = (
    "worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd01::/64",
    "worker-1 192.168.8.21,fd00::21 10.200.1.0/24,fd01:0:0:1::/64",
)
BEFORE = {
    "net/ipv4/ip_forward": "0",
    "net/ipv6/conf/all/forwarding": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/ens18/rp_filter": "1",
    "net/ipv6/conf/ens18/accept_ra": "1",
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "1",
}
RA = route("::/0 via fe80::1 dev ens18")._replace(protocol=9)


class Worker:
    """worker-0 in memory, with its sysctls in files."""

    def __init__(self, directory) -> None:
        self.root = HostFiles(directory)
        addresses = [address("192.168.8.20/24 dev ens18"), address("fd00::20/64 dev ens18")]
        self.kernel = MemoryKernel([link("lo", 1), link("ens18", 2)], addresses)
        for name, value in BEFORE.items():
            self.write(f"/proc/sys/{name}", value)

    def write(self, name, text=""):
        """Write a file of the machine."""
        path = self.root.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def sysctls(self):
        """Return those that differ from the beginning."""
        found = {name: self.root.path(f"/proc/sys/{name}").read_text().strip() for name in BEFORE}
        return {name: value for name, value in found.items() if value != BEFORE[name]}

    def plan(self, *, sysctl=False, cni=False, backend=""):
        """Return the plan."""
        known = cluster(*PAIR)
        fib = self.kernel.snapshot()
        fib = fib._replace(others=(*fib.others, RA))
        request = PlanRequest(tuple, backend, sysctl, cni=CniRequest(cni))
        return plan_machine(examine(known), known.nodes[0], fib, self.root, request).planned.plan

    def apply(self, **request):
        """Carry the plan out; return it."""
        plan = self.plan(**request)
        assert Executor(self.kernel, self.root).carry_out(plan).complete
        return plan

    def remove(self):
        """Remove everything of ours."""
        plan = plan_removal("worker-0", [], self.kernel.snapshot, self.root)
        assert Executor(self.kernel, self.root).carry_out(plan).complete


@pytest.fixture
def worker(tmp_path):
    return Worker(tmp_path)


FORWARDED = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/ens18/accept_ra": "2"}


def test_they_are_set_now_and_for_the_next_boot_and_a_router_advertisement_stays(worker):
    plan = worker.apply(sysctl=True)
    assert {(change.name, change.was, change.value) for change in plan.host} == {
        ("net.ipv4.ip_forward", "0", "1"),
        ("net.ipv6.conf.all.forwarding", "0", "1"),
        ("net/ipv6/conf/ens18/accept_ra", "1", "2"),
    }
    assert worker.sysctls() == FORWARDED
    lines = worker.root.read(FORWARDING).splitlines()
    assert {"net.ipv4.ip_forward = 1", "net.ipv6.conf.all.forwarding = 1", "net/ipv6/conf/ens18/accept_ra = 2"} <= {
        *lines
    }
    assert not worker.plan().pending, "it is kept"
    worker.write("/proc/sys/net/ipv4/ip_forward", "0")
    assert [change.name for change in worker.apply().host] == ["net.ipv4.ip_forward"]


def test_remove_restores_what_was_there_unless_somebody_changed_it_since(worker):
    worker.apply(sysctl=True)
    worker.apply()
    worker.write("/proc/sys/net/ipv6/conf/ens18/accept_ra", "0")
    worker.remove()
    assert worker.sysctls() == {"net/ipv6/conf/ens18/accept_ra": "0"}
    assert worker.root.read(FORWARDING) is None


def test_what_was_right_before_stays_right_after_remove(worker):
    worker.write("/proc/sys/net/ipv4/ip_forward", "1")
    worker.apply(sysctl=True)
    worker.remove()
    assert worker.sysctls() == {"net/ipv4/ip_forward": "1"}


def test_a_strict_reverse_path_filter_is_loosened_only_where_the_way_back_is_another(worker):
    worker.apply(sysctl=True)
    assert "net/ipv4/conf/ens18/rp_filter" not in worker.sysctls()
    worker.kernel = MemoryKernel(
        [link("lo", 1), link("ens18", 2), link("ens19", 3)],
        [*map(address, ("192.168.8.20/32 dev ens18", "fd00::20/64 dev ens18", "192.168.8.30/24 dev ens19"))],
    )
    worker.apply()
    assert worker.sysctls()["net/ipv4/conf/ens18/rp_filter"] == "2"
    assert not worker.plan().pending


def test_bridged_packets_pass_the_packet_filter_where_pods_are_on_a_bridge_of_ours(worker):
    worker.apply(sysctl=True)
    assert worker.root.read(MODULES) is None
    worker.apply(sysctl=True, cni=True)
    assert worker.sysctls()["net/bridge/bridge-nf-call-iptables"] == "1"
    assert worker.root.read(MODULES).splitlines()[-1] == "br_netfilter"
    assert not worker.plan().pending
    worker.remove()
    assert worker.sysctls() == {}
    assert worker.root.read(MODULES) is None


def test_giving_up_persistence_ends_it(worker):
    worker.apply(sysctl=True, backend="systemd")
    worker.apply(backend="none")
    assert worker.root.read(FORWARDING) is None
