"""The plan of one machine: the rules of ownership, conflict and order, by example and for any table."""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_prefix
from podroutes.plan.claims import examine
from podroutes.plan.planning import plan_remote
from support.notation import SEED, address, cluster, link, planned, route, shown


def worker(*routes, own="192.168.8.20/24 dev ens18", **state):
    return MemoryKernel([link("ens18", **state)], [address(own)], map(route, routes))


def changes(plan):
    return [shown(change) for change in plan.changes]


def problems(plan):
    return [(problem.severity, problem.code, problem.nodes) for problem in plan.problems]


def test_an_empty_table_gets_the_route_of_every_other_node():
    assert changes(planned(SEED, worker())) == [
        "add 10.200.1.0/24 via 192.168.8.21 dev ens18",
        "add 10.200.2.0/24 via 192.168.8.22 dev ens18",
    ]


def test_one_change_of_each_kind_in_an_order_that_loses_nothing():
    kernel = worker("10.200.0.0/24 via 192.168.8.99 dev ens18", "10.200.2.0/24 via 192.168.8.99 dev ens18")
    plan = planned(SEED, kernel)
    assert changes(plan) == [
        "add 10.200.1.0/24 via 192.168.8.21 dev ens18",
        "replace 10.200.2.0/24 via 192.168.8.22 dev ens18 was 192.168.8.99",
        "delete 10.200.0.0/24 via 192.168.8.99 dev ens18",
    ]
    assert kernel.apply(plan.changes) == {}
    assert planned(SEED, kernel).in_sync


@pytest.mark.parametrize("protocol", ["boot", "static", "kernel"])
def test_a_hand_typed_route_is_left_alone_and_adopted_when_asked(protocol):
    kernel = worker(f"10.200.1.0/24 via 192.168.8.21 dev ens18 proto {protocol}")
    plan = planned(SEED, kernel)
    assert changes(plan) == ["add 10.200.2.0/24 via 192.168.8.22 dev ens18"]
    assert problems(plan) == [("warning", "foreign-route", ("worker-1",))]
    adopting = planned(SEED, kernel, adopt=True)
    assert changes(adopting)[0] == "replace 10.200.1.0/24 via 192.168.8.21 dev ens18 was 192.168.8.21"
    assert kernel.apply(adopting.changes) == {}
    assert planned(SEED, kernel).in_sync


def test_what_someone_else_routes_elsewhere_is_an_error_even_when_adopting():
    kernel = worker("10.200.1.0/24 via 192.168.8.77 dev ens18 proto static", "blackhole 10.200.2.0/24 proto boot")
    plan = planned(SEED, kernel, adopt=True)
    assert changes(plan) == []
    assert problems(plan) == [("error", "foreign-route", ("worker-1",)), ("error", "foreign-route", ("worker-2",))]
    assert not plan.in_sync


def test_a_rival_beside_our_right_route_is_reported_and_ours_stays():
    ours = "10.200.1.0/24 via 192.168.8.21 dev ens18 metric 2"
    wins = planned(SEED, worker(ours, "10.200.1.0/24 via 192.168.8.77 dev ens18 proto static metric 5"))
    loses = planned(SEED, worker(ours, "10.200.1.0/24 via 192.168.8.77 dev ens18 proto static"))
    assert problems(wins) == [("warning", "foreign-route", ("worker-1",))]
    assert problems(loses) == [("error", "foreign-route", ("worker-1",))]
    assert wins.unchanged == loses.unchanged == 1


def test_of_several_routes_of_ours_the_right_one_stays():
    kernel = worker(
        "10.200.1.0/24 via 192.168.8.98 dev ens18",
        "10.200.1.0/24 via 192.168.8.21 dev ens18 metric 7",
        "10.200.1.0/24 via 192.168.8.99 dev ens18 metric 9",
        "10.200.2.0/24 via 192.168.8.22 dev ens18 metric 3",
    )
    plan = planned(SEED, kernel)
    assert changes(plan) == [
        "delete 10.200.1.0/24 via 192.168.8.98 dev ens18",
        "delete 10.200.1.0/24 via 192.168.8.99 dev ens18 metric 9",
    ]
    assert plan.unchanged == 2


def test_a_blackhole_of_ours_becomes_a_route():
    kernel = worker("blackhole 10.200.1.0/24", "10.200.2.0/24 via 192.168.8.22 dev ens18")
    assert [change.action for change in planned(SEED, kernel).changes] == ["replace"]


def test_the_metric_of_a_route_in_place_is_kept_when_its_next_hop_moves():
    kernel = worker("10.200.1.0/24 via 192.168.8.99 dev ens18 metric 50", "10.200.2.0/24 via 192.168.8.22 dev ens18")
    assert changes(planned(SEED, kernel)) == [
        "replace 10.200.1.0/24 via 192.168.8.21 dev ens18 metric 50 was 192.168.8.99"
    ]


@pytest.mark.parametrize(
    ("kernel", "code"),
    [
        (worker(own="10.0.0.1/24 dev ens18"), "next-hop-off-link"),
        (worker(own="192.168.8.21/24 dev ens18"), "next-hop-is-self"),
        (worker(carrier=False), "link-down"),
        (worker(up=False, carrier=False), "link-down"),
    ],
)
def test_a_next_hop_that_cannot_be_used_is_a_problem_not_an_attempt(kernel, code):
    plan = planned(cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24"), kernel)
    assert plan.changes == ()
    assert problems(plan) == [("error", code, ("worker-1",))]


def test_a_lost_carrier_moves_nothing():
    kernel = worker("10.200.1.0/24 via 192.168.8.21 dev ens18", "10.200.2.0/24 via 192.168.8.22 dev ens18")
    kernel.set_link("ens18", carrier=False)
    plan = planned(SEED, kernel)
    assert plan.changes == ()
    assert {code for _, code, _ in problems(plan)} == {"link-down"}


def test_the_address_that_is_on_link_is_the_next_hop():
    inventory = cluster("worker-0 192.168.8.20", "worker-1 172.16.0.1,192.168.8.21 10.200.1.0/24")
    assert changes(planned(inventory, worker())) == ["add 10.200.1.0/24 via 192.168.8.21 dev ens18"]


def test_away_from_the_machine_both_families_are_planned():
    inventory = cluster("worker-0 192.168.8.20,fd00::20", "worker-1 192.168.8.21,fd00::21 10.200.1.0/24,fd00:1::/64")
    plan = plan_remote(examine(inventory), inventory.nodes[0], "ens18").plan
    assert changes(plan) == ["add 10.200.1.0/24 via 192.168.8.21 dev ens18", "add fd00:1::/64 via fd00::21 dev ens18"]


CONTESTED = cluster(
    "worker-0 192.168.8.20 10.200.0.0/24",
    "worker-1 192.168.8.21 10.200.9.0/24",
    "worker-2 192.168.8.22 10.200.9.0/24",
)


def test_of_two_conflicting_claims_the_incumbent_stays_else_neither_is_honoured():
    assert planned(CONTESTED, worker()).changes == ()
    for incumbent in ("21", "22"):
        plan = planned(CONTESTED, worker(f"10.200.9.0/24 via 192.168.8.{incumbent} dev ens18"))
        assert plan.changes == ()
        assert plan.unchanged == 1
    stranger = planned(CONTESTED, worker("10.200.9.0/24 via 192.168.8.77 dev ens18"))
    assert changes(stranger) == ["delete 10.200.9.0/24 via 192.168.8.77 dev ens18"]


def test_a_conflict_over_the_own_podcidr_never_routes_it():
    inventory = cluster(
        "worker-0 192.168.8.20 10.200.0.0/24", "thief 192.168.8.66 10.200.0.128/25", "twin 192.168.8.67 10.200.0.0/24"
    )
    kernel = worker("10.200.0.128/25 via 192.168.8.66 dev ens18", "10.200.0.0/24 via 192.168.8.67 dev ens18")
    assert [change.action for change in planned(inventory, kernel).changes] == ["delete", "delete"]


def test_large_tables_get_spread_metrics_and_grown_ones_keep_theirs():
    def nodes(count):
        return ["worker-0 172.16.0.1"] + [
            f"n{i} 172.16.{(i + 2) >> 8}.{(i + 2) & 255} 10.{200 + (i >> 8)}.{i & 255}.0/24" for i in range(count)
        ]

    kernel = MemoryKernel([link("ens18")], [address("172.16.0.1/12 dev ens18")])
    small = planned(cluster(*nodes(1000)), kernel)
    assert {change.route.metric for change in small.changes} == {0}
    kernel.apply(small.changes)
    grown = planned(cluster(*nodes(1300)), kernel)
    assert (len(grown.changes), grown.unchanged) == (300, 1000)
    assert len({change.route.metric for change in grown.changes}) == 300
    kernel.apply(grown.changes)
    shrunk = planned(cluster(*nodes(900)), kernel)
    assert {change.action for change in shrunk.changes} == {"delete"}
    assert shrunk.unchanged == 900


# --- for any inventory and any table ---------------------------------------------------------------------------------

CIDRS = [
    "10.200.0.0/24",
    "10.200.1.0/24",
    "10.200.2.0/24",
    "10.200.2.0/25",
    "10.200.0.0/22",
    "10.200.1.128/25",
    "fd00:1::/64",
    "fd00:2::/64",
]
HOSTS = [
    "192.168.8.20",
    "192.168.8.21",
    "192.168.8.22",
    "192.168.8.23",
    "192.168.9.1",
    "fd00::20",
    "fd00::21",
    "fd00::22",
]
lines = st.builds(
    lambda name, hosts, cidrs: " ".join(filter(None, (name, ",".join(hosts) or "-", ",".join(cidrs)))),
    st.sampled_from(["worker-0", "worker-1", "worker-2", "worker-3", "server"]),
    st.lists(st.sampled_from(HOSTS), max_size=3, unique=True),
    st.lists(st.sampled_from(CIDRS), max_size=3, unique=True),
)
inventories = st.lists(lines, min_size=1, max_size=6).map(
    lambda more: cluster("worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd00:1::/64", *more)
)


@st.composite
def tables(draw):
    protocols = ["podroutes", "podroutes", "boot", "static"]
    found = []
    for _ in range(draw(st.integers(0, 8))):
        dst = draw(st.sampled_from(CIDRS))
        via = draw(st.sampled_from([host for host in HOSTS if (":" in host) == (":" in dst) and host != "192.168.9.1"]))
        metric = draw(st.sampled_from([0, 0, 7, 1024]))
        found.append(
            f"{dst} via {via} dev ens18 proto {draw(st.sampled_from(protocols))} metric {metric or (1024 if ':' in dst else 0)}"
        )
    unique = {tuple(text.split()[index] for index in (0, 8)): text for text in found}
    kernel = worker(*unique.values())
    kernel.addresses += (address("fd00::20/64 dev ens18"),)
    kernel.routes.append(route("fd00::/64 dev ens18 proto kernel"))
    return kernel


@given(inventories, tables(), st.booleans())
@settings(max_examples=int(os.environ.get("PODROUTES_FUZZ_EXAMPLES", "400")), deadline=None)
def test_the_rules_hold_for_any_inventory_and_any_table(inventory, kernel, adopt):
    before = list(kernel.routes)
    plan = planned(inventory, kernel, adopt=adopt)
    own = [cidr for node in inventory.nodes[:1] for cidr in node.pod_cidrs]
    for change in plan.changes:
        assert change.action == "delete" or change.route.dst not in own
        subject = change.route if change.action == "delete" else change.was
        if subject and not subject.ours:
            assert adopt
            assert (subject.via, subject.dev, subject.dst) == (change.route.via, change.route.dev, change.route.dst)
    assert kernel.apply(plan.changes) == {}
    again = planned(inventory, kernel, adopt=adopt)
    assert again.changes == ()
    foreign = [each for each in before if not each.ours]
    assert adopt or [each for each in kernel.routes if not each.ours] == foreign


def test_three_nodes_of_one_address_with_podcidrs_inside_each_other_settle_in_one_run():
    claims = "192.168.8.21,192.168.9.1 10.200.0.0/24,10.200.1.0/24,10.200.1.128/25"
    inventory = cluster("worker-0 192.168.8.20 10.200.0.0/24", *(f"worker-{number} {claims}" for number in (1, 2, 3)))
    kernel = worker()
    kernel.apply(planned(inventory, kernel).changes)
    assert planned(inventory, kernel).changes == ()


def test_the_former_route_of_a_contested_node_stays_when_a_part_of_it_is_routed():
    inventory = cluster(
        "worker-0 192.168.8.20 10.200.0.0/24",
        "worker-1 192.168.8.21 10.200.0.0/24",
        "worker-2 192.168.8.22 10.200.0.0/24,10.200.1.0/24",
        "worker-3 192.168.8.21 10.200.0.0/24,10.200.1.0/24",
    )
    kernel = worker(
        "10.200.0.0/22 via 192.168.8.21 dev ens18 proto podroutes metric 0",
        "10.200.2.0/25 via 192.168.8.22 dev ens18 proto podroutes metric 0",
    )
    before = list(kernel.routes)
    kernel.apply(planned(inventory, kernel).changes)
    assert planned(inventory, kernel).changes == ()
    assert kernel.routes == before


@pytest.mark.parametrize("via", ["192.168.8.21", "192.168.8.23"])
def test_a_contested_route_in_place_keeps_its_next_hop(via):
    inventory = cluster(
        "worker-0 192.168.8.20 10.200.0.0/24",
        "worker-0 192.168.8.23",
        "worker-1 192.168.8.21 10.200.0.0/24,10.200.2.0/24,10.200.2.0/25",
        "worker-2 192.168.8.21,192.168.8.23 10.200.0.0/24,10.200.2.0/25",
    )
    kernel = worker(f"10.200.2.0/25 via {via} dev ens18 proto podroutes metric 0")
    assert [change for change in planned(inventory, kernel).changes if change.action != "add"] == []


def test_a_route_through_an_address_that_several_claimants_report_stays():
    inventory = cluster(
        "worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd00:1::/64",
        "worker-0 192.168.8.21,192.168.8.22 10.200.2.0/24",
        "worker-1 192.168.9.1,192.168.8.21 10.200.2.0/24",
        "worker-2 192.168.8.20 10.200.2.0/24",
    )
    kernel = worker()
    kernel.apply(planned(inventory, kernel).changes)
    assert planned(inventory, kernel).changes == ()


@given(inventories, tables(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_plan_does_not_depend_on_the_order_of_nodes(inventory, kernel, shuffler):
    first = planned(inventory, kernel)
    rest = list(inventory.nodes)
    shuffler.shuffle(rest)
    shuffled = inventory._replace(nodes=tuple(rest))
    again = planned(shuffled, kernel) if rest[0].name == "worker-0" else None
    own = next(node for node in shuffled.nodes if node.name == "worker-0" and node == inventory.nodes[0])
    again = planned(shuffled._replace(nodes=(own, *(node for node in shuffled.nodes if node is not own))), kernel)
    assert again.changes == first.changes
    assert again.unchanged == first.unchanged


@given(st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_every_machine_decides_conflicts_alike(seed):
    """What one machine calls contested, every other one does: with empty tables nobody routes it."""
    dice = random.Random(seed)
    names = [f"worker-{i}" for i in range(5)]
    inventory = cluster(*(f"{name} 192.168.8.{20 + i} {dice.choice(CIDRS[:6])}" for i, name in enumerate(names)))
    routed = []
    for i, name in enumerate(names):
        kernel = worker(own=f"192.168.8.{20 + i}/24 dev ens18")
        routed.append({change.route.dst for change in planned(inventory, kernel, name).changes})
    contested = {claim.dst for claim in examine(inventory).contested}
    for i, destinations in enumerate(routed):
        assert not destinations & contested
        own = inventory.nodes[i].pod_cidrs[0]
        cidrs = {cidr for node in inventory.nodes for cidr in node.pod_cidrs if not own.covers(cidr)}
        everybody = cidrs - contested
        assert destinations == everybody


def test_the_own_podcidr_is_recognised_by_node_not_by_text():
    assert parse_prefix("10.200.0.0/24") not in {change.route.dst for change in planned(SEED, worker()).changes}


def test_a_former_route_that_stays_for_a_refused_claim_keeps_all_claims_of_its_node_back():
    """Else the next run would find these in place, and take the former route away."""
    inventory = cluster(
        "worker-0 192.168.8.20", "worker-1 192.168.8.21 10.200.1.128/25", "worker-2 192.168.8.22 10.200.1.0/24"
    )
    kernel = worker("10.200.1.0/24 via 192.168.8.21 dev ens18")
    assert planned(inventory, kernel).changes == ()
