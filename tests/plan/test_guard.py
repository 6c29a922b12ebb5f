"""The mass-delete guard: what counts, what may go, and what is remembered. Pure: the time is an argument."""

import pytest

from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_prefix
from podroutes.model.persisted import OwnedRoutes
from podroutes.plan.claims import examine
from podroutes.plan.guard import WINDOW, Deleted, Run, digest
from podroutes.plan.ownership import standing
from podroutes.plan.planning import plan_here
from podroutes.plan.vanishing import leaving
from support.notation import address, cluster, link

OWN = "worker-0 192.168.8.20 10.200.0.0/24"


def nodes(*numbers):
    """Return worker-0 and each worker-NUMBER, whose address and podCIDR end in it."""
    return cluster(OWN, *(f"worker-{n} 192.168.8.{20 + n} 10.200.{n}.0/24" for n in numbers))


def dst(number):
    return parse_prefix(f"10.200.{number}.0/24")


def judge(before, after, *, former=None, **run):
    """Return the verdict on a plan for the cluster AFTER on a machine whose routes are those of BEFORE."""
    kernel = MemoryKernel([link("ens18")], [address("192.168.8.20/24 dev ens18")])
    kernel.apply(plan_here(examine(before), before.nodes[0], kernel.snapshot()).plan.changes)
    fib = kernel.snapshot()
    own = next((node for node in after.nodes if node.name == "worker-0"), before.nodes[0])
    planned = plan_here(examine(after), own, fib)
    found = leaving(planned.plan, lambda: standing(*planned, fib, OwnedRoutes()), fib, OwnedRoutes())
    known = {each: node.name for node in before.nodes for each in node.pod_cidrs} if former is None else former
    return Run(after, known, **{"earlier": (), "at": 1000.0, **run})(found)


def held(*arguments, **run):
    return set(judge(*arguments, **run).held.values())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((1,), (), set()),
        ((1, 2), (1,), set()),
        ((1, 2), (), {"worker-1", "worker-2"}),
        ((1, 2, 3, 4, 5, 6), (1, 2, 3, 4), set()),
        ((1, 2, 3, 4, 5), (1, 2, 3), {"worker-4", "worker-5"}),
        (tuple(range(1, 100)), tuple(range(1, 67)), set()),
        (tuple(range(1, 100)), tuple(range(1, 66)), {f"worker-{n}" for n in range(66, 100)}),
    ],
    ids=["one of two", "one of three", "all of three", "a third", "two of five", "33 of 99", "34 of 99"],
)
def test_one_node_may_go_and_of_more_a_third(before, after, expected):
    assert held(nodes(*before), nodes(*after)) == expected


def test_all_prefixes_of_one_node_may_go():
    two = cluster(OWN, "worker-1 192.168.8.21,fd00::21 10.200.1.0/24,10.200.2.0/24")
    verdict = judge(two, cluster(OWN))
    assert verdict.passed == {dst(1): "worker-1", dst(2): "worker-1"}


def test_a_source_in_which_nobody_claims_anything_takes_nothing():
    assert judge(nodes(1), cluster("worker-0 192.168.8.20", "server 192.168.8.10")).passed == {}


@pytest.mark.parametrize("limits", [{"service_cidrs": "10.0.0.0/8"}, {"node_cidrs": "10.0.0.0/8,192.168.8.0/24"}])
def test_a_limit_that_forbids_everything_is_held(limits):
    before = nodes(1, 2, 3)
    ranges = {field: tuple(map(parse_prefix, text.split(","))) for field, text in limits.items()}
    assert held(before, before._replace(**ranges)) == {"worker-1", "worker-2", "worker-3"}


def test_what_went_before_counts_for_ten_minutes():
    earlier = (Deleted(dst(8), "worker-8", 500.0), Deleted(dst(9), "worker-9", 500.0))
    before, after = nodes(*range(1, 8)), nodes(*range(1, 7))
    assert held(before, after, earlier=earlier, at=501.0) == set(), "three of nine"
    assert held(before, nodes(*range(1, 6)), earlier=earlier, at=501.0) == {"worker-6", "worker-7"}
    assert held(before, nodes(*range(1, 6)), earlier=earlier, at=500.0 + WINDOW) == set(), "two of seven"


def test_a_clock_that_was_set_back_forgets_nothing():
    earlier = (Deleted(dst(2), "worker-2", 5000.0),)
    assert held(nodes(1), nodes(), earlier=earlier, at=1000.0) == {"worker-1"}


def test_what_is_back_does_not_count_as_gone():
    earlier = (Deleted(dst(1), "worker-1", 990.0),)
    assert held(nodes(1, 2), nodes(1), earlier=earlier) == set()


def test_shrinking_by_a_third_again_and_again_is_held():
    """99 nodes; the first third goes, and nothing more for ten minutes, whoever asks how often."""
    left, earlier = list(range(1, 100)), ()
    for second in range(0, 60, 5):
        fewer = left[: len(left) - len(left) // 3]
        verdict = judge(nodes(*left), nodes(*fewer), earlier=earlier, at=second)
        earlier += tuple(Deleted(each, name, second) for each, name in verdict.passed.items())
        left = [number for number in left if dst(number) not in verdict.passed]
    assert len(left) == 66


@pytest.mark.parametrize(
    "after",
    [
        cluster(OWN, *(f"worker-{n} 192.168.8.{40 + n} 10.200.{n}.0/24" for n in range(1, 6))),
        cluster(OWN, *(f"renamed-{n} 192.168.8.{20 + n} 10.200.{n}.0/24" for n in range(1, 6))),
        cluster(OWN, *(f"worker-{n} 192.168.8.{20 + n} 10.201.{n}.0/24" for n in range(1, 6))),
        cluster(OWN, *(f"worker-{n} 192.168.8.{40 + n} 10.201.{n}.0/24" for n in range(1, 6))),
    ],
    ids=["all move", "all are renamed", "all are renumbered", "all move and are renumbered"],
)
def test_who_moves_is_renamed_or_renumbered_does_not_vanish(after):
    assert judge(nodes(*range(1, 6)), after) == ({}, {}, None)


def test_without_a_record_the_next_hop_tells_the_owner():
    renumbered = cluster(OWN, *(f"worker-{n} 192.168.8.{20 + n} 10.201.{n}.0/24" for n in range(1, 6)))
    assert judge(nodes(*range(1, 6)), renumbered, former={}) == ({}, {}, None)
    assert held(nodes(1, 2), nodes(), former={}) == {"192.168.8.21", "192.168.8.22"}


def test_an_owner_that_keeps_an_old_prefix_has_no_new_one():
    both = cluster(OWN, *(f"worker-{n} 192.168.8.{20 + n} 10.200.{n}.0/24,10.201.{n}.0/24" for n in range(1, 6)))
    assert held(both, nodes(*range(1, 6))) == {f"worker-{n}" for n in range(1, 6)}


def test_a_wrong_limit_is_no_proof_that_pods_are_gone():
    assert held(nodes(1, 2), nodes(1, 2)._replace(pod_cidrs=(parse_prefix("10.20.0.0/16"),))) == {
        "worker-1",
        "worker-2",
    }
    assert held(nodes(1, 2), nodes(1, 2)._replace(node_cidrs=(parse_prefix("10.0.0.0/8"),))) == {"worker-1", "worker-2"}


def test_what_leads_to_another_nodes_address_is_not_held():
    """That node got the address of one that is gone: packets for those pods end there."""
    strangers = cluster(OWN, "worker-8 192.168.8.21 10.200.8.0/24", "worker-9 192.168.8.22 10.200.9.0/24")
    assert judge(nodes(1, 2), strangers) == ({}, {}, None)


@pytest.mark.parametrize(("allowed", "expected"), [(1, {"worker-1", "worker-2"}), (2, set()), (99, set())])
def test_a_person_lets_so_many_go(allowed, expected):
    verdict = judge(nodes(1, 2), nodes(), allowed=allowed)
    assert set(verdict.held.values()) == expected
    assert verdict.passed == {}, "what somebody let go counts against nothing later"


def test_who_agreed_to_some_did_not_agree_to_others():
    assert held(nodes(1, 2), nodes(), agreed=frozenset([dst(1), dst(2)])) == set()
    assert held(nodes(1, 2, 3), nodes(), agreed=frozenset([dst(1)])) == {"worker-2", "worker-3"}


def test_the_problem_says_how_many_whose_and_what_to_do():
    problem = judge(nodes(1, 2, 3), nodes(3), earlier=(Deleted(dst(4), "worker-4", 900.0),)).problem
    assert problem.message == (
        "2 routes of 3 would go at once, 1 more went in the last 10 minutes: "
        'nodes.yaml lists no podCIDR for "worker-1" and "worker-2"'
    )
    assert problem.fix == "correct nodes.yaml, or let them go: podroutes apply --allow-mass-delete=2"
    assert problem.nodes == ("worker-1", "worker-2")


def test_a_digest_names_one_set():
    assert digest([dst(1), dst(2)]) == digest([dst(2), dst(1)]) != digest([dst(1)])
