"""The masquerade table in a real kernel: made whole, changed by elements, put right, and no table of others is touched."""

import json
import subprocess

import pytest

from podroutes.apply.executor import Executor
from podroutes.apply.host_request import HostRequest
from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.apply.removal import plan_removal
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.kernel.filter_watch import FilterWatch
from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_prefix
from podroutes.model.masquerade import masquerade
from podroutes.persist import masquerade_table
from podroutes.persist.system_files import MASQUERADE, MASQUERADE_UNIT
from podroutes.plan.claims import examine
from support.notation import address, cluster, link

PAIR = (
    "worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd01::/64",
    "worker-1 192.168.8.21,fd00::21 10.200.1.0/24,fd01:0:0:1::/64",
)
THIRD = "worker-2 192.168.8.22 10.200.2.0/24"
# What kube-proxy writes in its nftables mode and by iptables-nft, as far as it concerns packets that leave.
KUBE_PROXY = """
table ip kube-proxy {
    set cluster-ips { type ipv4_addr; elements = { 10.32.0.1 } }
    chain masquerading {
        mark and 0x4000 == 0 return
        mark set mark xor 0x4000
        masquerade fully-random
    }
    chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept; jump masquerading; }
}
table ip nat {
    chain KUBE-POSTROUTING { mark and 0x4000 != 0x4000 return; masquerade fully-random; }
    chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; jump KUBE-POSTROUTING; }
}
table inet filter {
    chain forward { type filter hook forward priority 0; policy accept; }
}
"""


class Worker:
    """worker-0: its routes in memory, its packet filter in the kernel."""

    def __init__(self, root: HostFiles) -> None:
        self.root = root
        addresses = [address("192.168.8.20/24 dev ens18"), address("fd00::20/64 dev ens18")]
        self.kernel = MemoryKernel([link("lo", 1), link("ens18", 2)], addresses)

    def plan(self, *nodes, which=None, persistent=True, **limits):
        """Return the plan for the first of NODES; WHICH IP versions are asked for, None for no question."""
        known = cluster(*(nodes or PAIR), **limits)
        request = PlanRequest(tuple, host=HostRequest(which, persistent))
        return plan_machine(examine(known), known.nodes[0], self.kernel.snapshot(), self.root, request).planned.plan

    def apply(self, *nodes, which=None, persistent=True, **limits):
        """Carry the plan out; return it."""
        plan = self.plan(*nodes, which=which, persistent=persistent, **limits)
        outcome = Executor(self.kernel, self.root).carry_out(plan)
        assert outcome.complete, [*outcome.host, *outcome.files]
        return plan


def nft(*words, text=None):
    """Return what nft(8) prints."""
    done = subprocess.run(["nft", *words], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def elements(name):
    """Return the elements of a set of the table."""
    live = masquerade_table.parse(nft("-j", "list", "table", "inet", "podroutes"))
    return sorted(map(str, live.elements[name]))


@pytest.fixture
def worker(machine):
    return Worker(machine)


def actions(plan):
    return [(change.kind, change.action) for change in plan.host]


def test_it_is_made_once_and_then_agrees(worker):
    assert actions(worker.apply(which=(4,))) == [("nftables", "create")]
    assert not worker.plan().pending, "without the option it is kept"
    assert not worker.plan(which=(4,)).pending
    assert elements("pods4") == ["10.200.0.0/24"]
    assert elements("cluster4") == [
        "10.200.0.0/24",
        "10.200.1.0/24",
        "192.168.8.20/32",
        "192.168.8.21/32",
        "224.0.0.0/4",
    ]
    assert "ip6" not in nft("list", "ruleset"), "IPv6 only on request"


def test_limits_of_the_cluster_stand_for_its_addresses(worker):
    limits = {"pod_cidrs": "10.200.0.0/16", "node_cidrs": "192.168.8.0/24", "service_cidrs": "10.32.0.0/24"}
    worker.apply(PAIR[0].replace(",fd00::20", "").replace(",fd01::/64", ""), which=(4,), **limits)
    assert elements("cluster4") == ["10.200.0.0/16", "10.32.0.0/24", "192.168.8.0/24", "224.0.0.0/4"]


def test_both_ip_versions_and_one_again(worker):
    worker.apply(which=(4, 6))
    assert elements("cluster6") == ["fd00::20/128", "fd00::21/128", "fd01:0:0:1::/64", "fd01::/64", "ff00::/8"]
    assert not worker.plan().pending
    assert actions(worker.apply(which=(4,))) == [("nftables", "replace")]
    assert "ip6" not in nft("list", "ruleset")


def test_nodes_that_come_and_go_change_elements_alone(worker):
    worker.apply(which=(4,))
    joined = worker.apply(*PAIR, THIRD)
    (change,) = joined.host
    assert change.action == "update"
    assert change.value.split("{")[0] == "add element inet podroutes cluster4 "
    assert change.value.count("/") == 2, "the podCIDR and the address of one node"
    assert actions(worker.apply()) == [("nftables", "update")]
    assert "10.200.2.0/24" not in elements("cluster4")


def test_a_script_has_as_many_elements_as_changed_among_five_thousand_nodes(worker):
    nodes = [parse_prefix(f"10.{200 + number // 256}.{number % 256}.0/24") for number in range(5000)]
    wanted = masquerade([4], nodes[:1], nodes)
    worker.root.run(("nft", "-f", "-"), masquerade_table.script(wanted))
    live = masquerade_table.read(worker.root)
    assert masquerade_table.change(live, wanted) is None
    change = masquerade_table.change(live, masquerade([4], nodes[:1], nodes[:-1]))
    assert change.value == f"delete element inet podroutes cluster4 {{ {nodes[-1]} }}\n"


@pytest.mark.parametrize(
    "meddling",
    [
        "flush ruleset",
        "flush chain inet podroutes postrouting",
        "add element inet podroutes cluster4 { 198.51.100.0/24 }",
        "delete element inet podroutes cluster4 { 10.200.1.0/24 }",
        "add element inet podroutes cluster4 { 198.51.100.1-198.51.100.5 }",
        "add rule inet podroutes postrouting ip daddr 1.1.1.1 accept",
        "insert rule inet podroutes postrouting accept",
        "add chain inet podroutes more",
        "add set inet podroutes more { type ipv4_addr; }",
        "add chain inet podroutes postrouting { type nat hook postrouting priority srcnat; policy drop; }",
    ],
)
def test_what_others_do_to_it_is_put_right(worker, meddling):
    worker.apply(which=(4, 6))
    before = nft("list", "table", "inet", "podroutes")
    nft("-f", "-", text=meddling)
    assert worker.plan().host, "the plan shows it"
    worker.apply()
    assert nft("list", "table", "inet", "podroutes") == before


def test_the_tables_of_others_stay_as_they_are(worker):
    nft("-f", "-", text=KUBE_PROXY)
    before = nft("list", "ruleset")
    worker.apply(which=(4, 6))
    worker.apply(*PAIR, THIRD)
    nft("-f", "-", text="insert rule inet podroutes postrouting accept")
    worker.apply()
    removal = plan_removal("worker-0", [], worker.kernel.snapshot, worker.root)
    assert actions(removal) == [("nftables", "delete")]
    assert Executor(worker.kernel, worker.root).carry_out(removal).complete
    assert nft("list", "ruleset") == before
    assert worker.root.read(MASQUERADE) is None
    assert worker.root.read(MASQUERADE_UNIT) is None


def test_the_file_for_the_next_boot_makes_the_same_table(worker):
    worker.apply(which=(4, 6))
    before = nft("list", "ruleset")
    nft("flush", "ruleset")
    for _ in range(2):  # whatever was there
        nft("-f", str(worker.root.path(MASQUERADE)))
        assert nft("list", "ruleset") == before


def test_none_takes_it_back(worker):
    worker.apply(which=(4,))
    plan = worker.apply(which=())
    assert actions(plan) == [("nftables", "delete")]
    assert {change.action for change in plan.files} == {"delete"}
    assert nft("list", "ruleset") == ""
    assert not worker.plan(which=()).pending


def test_an_agent_writes_no_file(worker):
    assert worker.apply(which=(4,), persistent=False).files is None
    assert worker.root.read(MASQUERADE) is None
    assert elements("pods4") == ["10.200.0.0/24"]


def test_a_node_without_podcidr_keeps_what_it_has(worker):
    worker.apply(which=(4,))
    before = nft("list", "ruleset")
    plan = worker.plan("worker-0 192.168.8.20", PAIR[1])
    assert "masquerade-not-kept" in {problem.code for problem in plan.problems}
    assert not plan.host
    assert not any(change.file.path == MASQUERADE for change in plan.files)
    assert nft("list", "ruleset") == before


def test_without_nft_a_request_is_an_error_and_routes_go_on(worker, monkeypatch):
    worker.apply(which=(4,))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("podroutes.host.tools._SYSTEM_PATHS", "")
    with pytest.raises(PersistError, match="nft is not installed"):
        worker.plan(which=(4,))
    plan = worker.plan(*PAIR, THIRD)
    assert "masquerade-not-kept" in {problem.code for problem in plan.problems}
    assert [str(change.route.dst) for change in plan.changes] == ["10.200.2.0/24"]


def test_a_script_that_was_overtaken_changes_nothing_and_is_planned_again(worker):
    worker.apply(which=(4,))
    plan = worker.plan(*PAIR, THIRD)
    nft("delete", "table", "inet", "podroutes")
    outcome = Executor(worker.kernel, worker.root).carry_out_and_replan(plan, lambda: worker.plan(*PAIR, THIRD))
    assert outcome.complete
    assert [result.change.action for result in outcome.host] == ["create"]
    assert "10.200.2.0/24" in elements("cluster4")


@pytest.mark.usefixtures("machine")
def test_changes_of_the_table_are_heard_and_those_of_others_are_not():
    with FilterWatch("podroutes") as watch:
        nft("-f", "-", text=KUBE_PROXY)
        nft("add", "table", "ip", "podroutes")
        assert not watch.changed()
        for change in (
            "add table inet podroutes",
            "add set inet podroutes some { type ipv4_addr; }",
            "add element inet podroutes some { 192.0.2.1 }",
            "add chain inet podroutes one",
            "add rule inet podroutes one accept",
            "flush ruleset",
        ):
            nft("-f", "-", text=change)
            assert watch.changed(), change
            assert not watch.changed()


def test_flags_of_one_and_of_several_words_are_the_same():
    """Version 1.0 of nft(8) prints a single flag of masquerade as a word, which libnftables-json(5) allows as well as a list."""
    rule = {"family": "inet", "table": "podroutes", "chain": "postrouting", "handle": 1}
    texts = [
        json.dumps({"nftables": [{"rule": {**rule, "expr": [{"masquerade": {"flags": flags}}]}}]})
        for flags in ("fully-random", ["fully-random"])
    ]
    assert masquerade_table.parse(texts[0]) == masquerade_table.parse(texts[1])
