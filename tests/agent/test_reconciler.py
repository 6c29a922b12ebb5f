"""Whole passes and what is done between them, against a kernel in memory."""

import errno
import os

import pytest

from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.errors import IdentityError, KernelError
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelEvents
from podroutes.model.address import parse_prefix
from podroutes.model.cluster import Cluster
from podroutes.persist import apply_files
from podroutes.plan.claims import examine
from podroutes.plan.flap_damping import PATIENCE, FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from support.notation import SEED, address, cluster, link, node, route, shown

ONE, TWO = "10.200.1.0/24 via 192.168.8.21 dev ens18", "10.200.2.0/24 via 192.168.8.22 dev ens18"
STATIC = "10.200.1.0/24 via 192.168.8.77 dev ens18 proto static"


def view(nodes, listed=0.0, *, from_cache=False):
    return NodeSnapshot(Inventory(nodes, ()), listed, listed, from_cache)


@pytest.fixture
def kernel():
    return MemoryKernel([link("lo", 1), link("ens18", 2)], [address("192.168.8.20/24 dev ens18")])


@pytest.fixture
def machine(kernel, tmp_path):
    return Machine(kernel, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping())


def installed(kernel):
    return sorted(f"{each.dst} via {each.via} dev {each.dev}" for each in kernel.ours())


def deleted(*texts, port=4711, added=()):
    gone = tuple((route(text), port) for text in texts)
    return KernelEvents(gone, frozenset(added), frozenset(each.dst for each, _ in gone) | frozenset(added))


def take(kernel, text):
    kernel.routes.remove(route(text))
    return deleted(text)


def nobody(port):
    return ""


def test_a_pass_makes_the_difference_empty(machine, kernel):
    found = machine.reconcile(view(SEED), 0)
    assert installed(kernel) == [ONE, TWO]
    assert (found.wanted, found.installed, len(found.done)) == (2, 2, 2)
    again = machine.reconcile(view(SEED), 1)
    assert (again.plan.in_sync, again.done) == (True, ())


def test_what_is_provisional_only_adds(machine, kernel):
    """The kernel may know better than a state of before the restart."""
    kernel.routes += [
        route("10.200.1.0/24 via 192.168.8.99 dev ens18"),
        route("10.200.9.0/24 via 192.168.8.29 dev ens18"),
    ]
    machine.reconcile(view(SEED, from_cache=True), 0)
    assert installed(kernel) == [
        "10.200.1.0/24 via 192.168.8.99 dev ens18",
        TWO,
        "10.200.9.0/24 via 192.168.8.29 dev ens18",
    ]


def test_a_stolen_route_is_put_back_without_a_whole_pass(machine, kernel):
    machine.reconcile(view(SEED), 0)
    healed = machine.heal(take(kernel, ONE), 1, nobody)
    assert list(map(shown, healed)) == [f"add {ONE}"]
    assert installed(kernel) == [ONE, TWO]


def test_what_is_put_back_while_a_pass_reads_is_no_change_of_the_pass(machine, kernel, monkeypatch):
    machine.reconcile(view(SEED), 0)
    snapshot, thefts = kernel.snapshot, [ONE]

    def disturbed(interest):
        gone = take(kernel, thefts.pop()) if thefts else None
        fib = snapshot(interest)
        assert not gone or machine.heal(gone, 1, nobody)
        return fib

    monkeypatch.setattr(kernel, "snapshot", disturbed)
    found = machine.reconcile(view(SEED), 2)
    assert (found.done, found.failures, found.installed) == ((), {}, 2)
    assert installed(kernel) == [ONE, TWO]


def test_a_kernel_that_does_not_answer_is_left_to_the_pass(machine, kernel, monkeypatch):
    machine.reconcile(view(SEED), 0)

    def broken(changes):
        raise KernelError("netlink: Cannot allocate memory")

    monkeypatch.setattr(kernel, "apply", broken)
    heard = take(kernel, ONE)
    assert machine.heal(heard, 1, nobody) == ()
    assert machine.concerns(heard)


def test_a_prefix_that_somebody_took_is_left_to_them(machine, kernel):
    machine.reconcile(view(SEED), 0)
    kernel.routes.remove(route(ONE))
    kernel.routes.append(route(STATIC))
    heard = deleted(ONE, added=[parse_prefix("10.200.1.0/24")])
    assert machine.heal(heard, 1, nobody) == ()
    assert machine.concerns(heard)
    found = machine.reconcile(view(SEED), 2)
    assert [problem.code for problem in found.plan.problems] == ["foreign-route"]
    assert route(STATIC) in kernel.routes
    assert installed(kernel) == [TWO]


def test_a_fight_is_backed_off_and_goes_on_later(machine, kernel):
    machine.reconcile(view(SEED), 0)
    for second in range(PATIENCE):
        machine.heal(take(kernel, ONE), second, lambda port: "rival" if port == 4711 else "")
    assert installed(kernel) == [TWO]
    waiting = machine.reconcile(view(SEED), PATIENCE - 0.5)
    assert waiting.postponed == PATIENCE
    assert installed(kernel) == [TWO]
    contests = machine.damping.contested(PATIENCE)
    assert {str(dst): each.rival for dst, each in contests.items()} == {"10.200.1.0/24": "rival"}
    machine.reconcile(view(SEED), PATIENCE)
    assert installed(kernel) == [ONE, TWO]


def test_what_the_kernel_itself_takes_is_no_fight(machine, kernel):
    machine.reconcile(view(SEED), 0)
    for second in range(10):
        kernel.routes.remove(route(ONE))
        assert machine.heal(deleted(ONE, port=0), second, nobody)
    assert machine.damping.contested(10) == {}


def test_a_stolen_route_is_put_back_although_a_link_changed(machine, kernel):
    machine.reconcile(view(SEED), 0)
    heard = take(kernel, ONE)._replace(links_or_addresses=True)
    assert list(map(shown, machine.heal(heard, 1, nobody))) == [f"add {ONE}"]
    assert machine.concerns(heard)


def test_nothing_is_put_back_over_a_link_that_is_down(machine, kernel, monkeypatch):
    machine.reconcile(view(SEED), 0)
    kernel.set_link("ens18", up=False)
    tried, apply = [], kernel.apply
    monkeypatch.setattr(kernel, "apply", lambda changes: tried.extend(changes) or apply(changes))
    assert machine.heal(deleted(ONE, port=0)._replace(links_or_addresses=True, touched=frozenset({2})), 1, nobody) == ()
    assert len(tried) == 2, "the deleted one, and one of those that went without a word"


def test_what_a_link_took_along_without_a_word_is_put_back_at_once(machine, kernel):
    machine.reconcile(view(SEED), 0)
    kernel.set_link("ens18", up=False)
    kernel.set_link("ens18", up=True)
    kernel.routes.append(route("192.168.8.0/24 dev ens18 proto kernel scope link"))
    kernel.routes.append(route(STATIC))
    heard = KernelEvents(
        links_or_addresses=True, touched=frozenset({2}), added=frozenset([parse_prefix("10.200.1.0/24")])
    )
    assert list(map(shown, machine.heal(heard, 1, nobody))) == [f"add {TWO}"], "the other one is somebody else's by now"


@pytest.mark.parametrize("touched", [frozenset(), frozenset({1}), frozenset({7})])
def test_the_links_of_pods_are_no_reason_to_read_our_routes(machine, kernel, monkeypatch, touched):
    machine.reconcile(view(SEED), 0)
    monkeypatch.setattr(kernel, "ours", None)
    heard = KernelEvents(links_or_addresses=True, touched=touched)
    assert machine.heal(heard, 1, nobody) == ()
    assert not machine.misses(heard, (), 1)


def test_a_route_that_is_missing_is_urgent_unless_somebody_fights_over_it(machine, kernel):
    machine.reconcile(view(SEED), 0)
    heard = take(kernel, ONE)
    assert machine.misses(heard, (), 1)
    assert not machine.misses(heard, machine.heal(heard, 1, nobody), 1)
    assert not machine.misses(deleted("10.99.0.0/24 via 192.168.8.9 dev ens18"), (), 1)
    for second in range(PATIENCE):
        heard = take(kernel, ONE) if ONE in installed(kernel) else heard
        machine.heal(heard, second, nobody)
    assert not machine.misses(heard, (), PATIENCE - 1)


def test_other_peoples_routes_are_no_reason_to_look(machine):
    machine.reconcile(view(SEED), 0)
    elsewhere, ours = parse_prefix("172.16.0.0/12"), parse_prefix("10.200.1.0/24")
    assert not machine.concerns(KernelEvents(added=frozenset([elsewhere]), changed=frozenset([elsewhere])))
    assert machine.concerns(KernelEvents(changed=frozenset([ours])))
    assert machine.concerns(KernelEvents(foreign_changes=True))


def test_many_deletions_are_held_and_everything_else_goes_ahead(machine, kernel):
    many = cluster("worker-0 192.168.8.20", *(f"n{i} 192.168.8.{30 + i} 10.200.{i}.0/24" for i in range(8)))
    machine.reconcile(view(many), 0)
    few = cluster("worker-0 192.168.8.20", "n0 192.168.8.99 10.200.0.0/24", "new 192.168.8.98 10.200.50.0/24")
    found = machine.reconcile(view(few, listed=10), 10)
    assert [change.node for change in found.plan.held] == [f"n{i}" for i in range(1, 8)]
    assert "10.200.0.0/24 via 192.168.8.99 dev ens18" in installed(kernel)
    assert "10.200.50.0/24 via 192.168.8.98 dev ens18" in installed(kernel)
    assert (len(installed(kernel)), found.installed) == (9, 9)


def test_a_file_that_is_read_again_says_nothing_new(machine, kernel):
    machine.reconcile(view(SEED), 0)
    few = cluster("worker-0 192.168.8.20 10.200.0.0/24", "new 192.168.8.98")
    for second in (10, 100, 1000, 10_000):
        machine.reconcile(view(few, listed=second), second)
    assert installed(kernel) == [ONE, TWO]


def test_held_routes_are_not_dropped_from_files(kernel, tmp_path):
    """And what is new is written down meanwhile."""
    (tmp_path / "etc/network").mkdir(parents=True)
    (tmp_path / "etc/network/interfaces").write_text("auto ens18\niface ens18 inet static\n")
    machine = Machine(kernel, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping())
    request = PlanRequest(lambda: (), "ifupdown")
    machine_plan = plan_machine(examine(SEED), SEED.nodes[0], kernel.snapshot(), HostFiles(tmp_path), request)
    kernel.apply(machine_plan.planned.plan.changes)
    apply_files.after(HostFiles(tmp_path), machine_plan.planned.plan.files)
    few = cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-3 192.168.8.23 10.200.3.0/24")
    machine.reconcile(view(few), 0)
    text = (tmp_path / "etc/network/if-up.d/podroutes").read_text()
    assert [f"10.200.{n}.0/24" in text for n in (1, 2, 3)] == [True] * 3
    kernel.set_link("ens18", up=False)  # the kernel's routes go, what is written down stays
    machine.reconcile(view(few), 1)
    text = (tmp_path / "etc/network/if-up.d/podroutes").read_text()
    assert [f"10.200.{n}.0/24" in text for n in (1, 2)] == [True] * 2


def test_an_empty_source_is_never_believed(machine, kernel):
    machine.reconcile(view(SEED), 0)
    for second in (10, 100, 1000):
        machine.reconcile(view(Cluster(()), listed=second), second)
    assert installed(kernel) == [ONE, TWO]


OTHERS = cluster("worker-1 192.168.8.21 10.200.1.0/24", "worker-2 192.168.8.22 10.200.2.0/24")


def test_a_machine_that_is_no_node_receives_routes_to_all(kernel, tmp_path):
    machine = Machine(kernel, Settings(HostFiles(tmp_path), "laptop"), MassDeleteGuard(), FlapDamping())
    found = machine.reconcile(view(OTHERS), 0)
    assert (found.plan.node, found.plan.problems) == ("laptop", ())
    assert installed(kernel) == [ONE, TWO]


def test_a_name_that_is_not_there_is_told_and_no_reason_to_stop(kernel, tmp_path):
    machine = Machine(
        kernel, Settings(HostFiles(tmp_path), "worker-0", node="worker-0"), MassDeleteGuard(), FlapDamping()
    )
    found = machine.reconcile(view(OTHERS), 0)
    assert [(each.severity, each.code) for each in found.plan.problems] == [("warning", "not-a-node")]
    assert installed(kernel) == [ONE, TWO]


def test_a_name_that_contradicts_our_address_is_not_believed(kernel, tmp_path):
    machine = Machine(
        kernel, Settings(HostFiles(tmp_path), "worker-0", node="worker-7"), MassDeleteGuard(), FlapDamping()
    )
    with pytest.raises(IdentityError, match='no node is named "worker-7"'):
        machine.reconcile(view(SEED), 0)
    assert installed(kernel) == []


def test_which_of_two_nodes_we_are_is_not_guessed(kernel, tmp_path):
    machine = Machine(kernel, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping())
    twins = node("worker-0 192.168.8.29 10.200.9.0/24"), node("worker-0 192.168.8.28 10.200.0.0/24")
    with pytest.raises(IdentityError, match="more than one node"):
        machine.reconcile(view(SEED._replace(nodes=(*SEED.nodes[1:], *twins))), 0)
    machine.reconcile(view(SEED._replace(nodes=(*SEED.nodes, twins[0]))), 0)


@pytest.mark.parametrize("deleted_first", [True, False])
def test_a_pod_cidr_that_moves_to_another_node_ends_there_in_any_order_of_events(machine, kernel, deleted_first):
    old, new = "worker-1 192.168.8.21 10.200.1.0/24", "worker-9 192.168.8.29 10.200.1.0/24"
    own = "worker-0 192.168.8.20 10.200.0.0/24"
    machine.reconcile(view(cluster(own, old)), 0)
    between = cluster(own) if deleted_first else cluster(own, old, new)
    machine.follow(view(between), 0.5)
    machine.reconcile(view(between), 1)
    assert installed(kernel) == ([] if deleted_first else [ONE]), "of two claims the incumbent stays"
    machine.follow(view(cluster(own, new)), 1.5)
    machine.reconcile(view(cluster(own, new)), 2)
    assert installed(kernel) == ["10.200.1.0/24 via 192.168.8.29 dev ens18"]


@pytest.fixture
def hook(kernel, tmp_path):
    """Return a file of ours that keeps the seed's routes."""
    root = HostFiles(tmp_path)
    interfaces = tmp_path / "etc/network/interfaces"
    interfaces.parent.mkdir(parents=True)
    interfaces.write_text("auto ens18\niface ens18 inet static\n")
    request = PlanRequest(lambda: ("podroutes",), "ifupdown")
    machine_plan = plan_machine(examine(SEED), SEED.nodes[0], kernel.snapshot(), root, request)
    assert all(result.failure is None for result in apply_files.after(root, machine_plan.planned.plan.files or ()))
    return tmp_path / "etc/network/if-up.d/podroutes"


def test_files_of_ours_follow_the_cluster(machine, hook):
    machine.reconcile(view(SEED), 0)
    assert "10.200.2.0/24" in hook.read_text()
    machine.reconcile(view(SEED._replace(nodes=SEED.nodes[:2])), 1)
    assert "10.200.2.0/24" not in hook.read_text()
    assert "10.200.1.0/24" in hook.read_text()


def test_a_file_that_cannot_be_written_stops_no_route(machine, kernel, hook, monkeypatch):
    def full(*_arguments, **_keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(apply_files, "write_whole", full)
    found = machine.reconcile(view(SEED._replace(nodes=SEED.nodes[:2])), 0)
    assert dict(found.failures) == {"/etc/network/if-up.d/podroutes": "No space left on device"}
    assert installed(kernel) == [ONE]


def test_a_rule_that_takes_pod_traffic_keeps_the_agent_from_calling_it_in_sync(worker, tmp_path):
    """The routes are all there, and none of them decides; with the rule's end all is well again."""
    with NetlinkKernel() as linux:
        agent = Machine(linux, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping())
        agent.reconcile(view(SEED), 0)
        assert agent.reconcile(view(SEED), 1).plan.in_sync
        worker.ip(
            "link add vpn0 type veth peer name vpn-wire",
            "link set vpn0 up",
            "link set vpn-wire up",
            "route add default dev vpn0 table 52",
            "rule add pref 5270 lookup 52",
        )
        plan = agent.reconcile(view(SEED), 2).plan
        assert [(each.code, each.severity) for each in plan.problems] == [("rule-takes-pods", "error")]
        assert (plan.in_sync, plan.changes) == (False, ())
        worker.ip("rule del pref 5270")
        assert agent.reconcile(view(SEED), 3).plan.in_sync


def test_a_part_of_a_pod_cidr_is_found_among_many_routes_of_others(worker, tmp_path):
    worker.ip(
        *(f"route add 9.{number}.0.0/24 via 192.168.8.1 proto bird" for number in range(40)),
        "route add 10.200.1.128/25 via 192.168.8.1 proto bird",
    )
    with NetlinkKernel() as linux:
        agent = Machine(linux, Settings(HostFiles(tmp_path), "worker-0"), MassDeleteGuard(), FlapDamping())
        for time in range(2):
            plan = agent.reconcile(view(SEED), time).plan
            assert [each.code for each in plan.problems] == ["part-routed-elsewhere"]
        dumps = linux.dumps
        agent.reconcile(view(SEED), 2)
        assert linux.dumps - dumps == 6, "what is hidden is looked through once"
        worker.ip("route del 10.200.1.128/25")
        assert agent.reconcile(view(SEED), 3).plan.in_sync
