"""No other node, and no other machine's record, takes a working route away: what one node reports costs that node at most."""

import random

import pytest

from podroutes.errors import IdentityError
from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Unread
from podroutes.plan.claims import examine
from podroutes.plan.identity import this_node
from podroutes.plan.planning import plan_here
from support.notation import SEED, address, cluster, link, node, planned, route, shown

W0, W1, W2 = (f"worker-{i} 192.168.8.2{i} 10.200.{i}.0/24" for i in range(3))
SIX = [f"worker-{i} fd00:8::2{i} fd00:200:{i}::/64" for i in range(3)]
ONE, TWO = (f"10.200.{i}.0/24 via 192.168.8.2{i} dev ens18" for i in (1, 2))
ONE6, TWO6 = (f"fd00:200:{i}::/64 via fd00:8::2{i} dev ens18" for i in (1, 2))


def machine(*routes, links=(), addresses=()):
    """Return worker-0 with ROUTES; LINKS and ADDRESSES are those besides ens18."""
    own = [address("192.168.8.20/24 dev ens18"), address("fd00:8::20/64 dev ens18")]
    return MemoryKernel(
        [link("ens18"), *(link(name, 3 + number) for number, name in enumerate(links))],
        [*own, *map(address, addresses)],
        map(route, routes),
    )


def after(kernel, *nodes, own="worker-0", **limits):
    """Apply an inventory of NODES to KERNEL; return the routes that are ours then, and the plan."""
    plan = planned(cluster(*nodes, **limits), kernel, own)
    assert kernel.apply(plan.changes) == {}
    return ours(kernel), plan


def ours(kernel):
    return sorted(f"{each.dst} via {each.via} dev {each.dev}" for each in kernel.ours())


def blamed(plan):
    """Return the nodes that a problem is first about."""
    return {problem.nodes[0] for problem in plan.problems}


@pytest.mark.parametrize("virtual", ["virtual-a 10.200.1.14", "virtual-a 10.200.1.14 10.200.3.0/24"])
@pytest.mark.parametrize("before", [(), (ONE, TWO)], ids=["nothing in place", "routes in place"])
@pytest.mark.parametrize("position", [0, 3])
def test_a_node_that_reports_the_address_of_a_pod_takes_nothing_from_the_node_that_the_pod_runs_on(
    virtual, before, position
):
    nodes = [W0, W1, W2]
    nodes.insert(position, virtual)
    routes, plan = after(machine(*before), *nodes)
    assert routes == [ONE, TWO]
    assert blamed(plan) == {"virtual-a"}


def test_a_node_that_reports_the_address_of_an_ipv6_pod_takes_nothing_either():
    routes, plan = after(machine(), *SIX, "virtual-a fd00:200:1::14 fd00:200:3::/64")
    assert routes == [ONE6, TWO6]
    assert blamed(plan) == {"virtual-a"}


@pytest.mark.parametrize("before", [(), (ONE, TWO)], ids=["nothing in place", "routes in place"])
def test_a_node_that_reports_an_address_in_the_pod_cidr_of_every_other_node_is_the_only_one_with_a_problem(before):
    hostile = "worker-7 192.168.8.27,10.200.0.9,10.200.1.9,10.200.2.9 10.200.7.0/24"
    routes, plan = after(machine(*before), W0, W1, W2, hostile)
    assert routes == [ONE, TWO, "10.200.7.0/24 via 192.168.8.27 dev ens18"], "it keeps the address that is its own"
    assert blamed(plan) == {"worker-7"}


def test_the_machine_whose_own_pods_have_the_reported_address_loses_nothing_either():
    """The own podCIDR is not routed; but the others' machines must go on sending to it."""
    routes, _ = after(machine(), W0, W1, W2, "virtual-a 10.200.2.9", own="worker-0")
    assert routes == [ONE, TWO]


@pytest.mark.parametrize("fakes", [1, 2])
def test_nodes_without_pod_cidr_that_share_the_address_of_a_real_node_take_nothing_from_it(fakes):
    routes, plan = after(machine(), W0, W1, W2, *(f"fake-{i} 192.168.8.21" for i in range(fakes)))
    assert routes == [ONE, TWO]
    assert plan.errors == 0


def test_an_ipv6_address_that_a_fake_node_shares_is_still_a_next_hop():
    assert after(machine(), "fake-0 fd00:8::21", *SIX)[0] == [ONE6, TWO6]


def test_the_old_and_the_new_name_of_one_machine_are_both_routed_to_it_with_a_warning():
    routes, plan = after(machine(), W0, W1, W2, "worker-1b 192.168.8.21 10.200.7.0/24")
    assert routes == [ONE, TWO, "10.200.7.0/24 via 192.168.8.21 dev ens18"]
    assert [(problem.severity, problem.code) for problem in plan.problems] == [("warning", "duplicate-internal-ip")]


def test_an_address_that_is_shared_is_not_used_where_the_node_has_another():
    routes, _ = after(machine(), W0, "worker-1 192.168.8.21,192.168.8.31 10.200.1.0/24", "fake-0 192.168.8.21")
    assert routes == ["10.200.1.0/24 via 192.168.8.31 dev ens18"]


@pytest.mark.parametrize("position", [0, 3])
def test_a_claim_that_covers_the_pod_cidrs_of_several_nodes_loses_to_them(position):
    nodes = [W0, W1, W2]
    nodes.insert(position, "wide 192.168.8.29 10.200.0.0/16")
    routes, plan = after(machine(), *nodes)
    assert routes == [ONE, TWO]
    assert "wide" in {name for problem in plan.problems for name in problem.nodes}
    assert plan.errors


def test_a_claim_that_covers_several_ipv6_pod_cidrs_loses_to_them():
    assert after(machine(), "wide fd00:8::29 fd00:200::/32", *SIX)[0] == [ONE6, TWO6]


def test_of_two_claims_of_the_same_kind_the_one_in_place_stays():
    rival = "rival 192.168.8.29 10.200.1.0/24"
    assert after(machine(ONE, TWO), W0, W1, W2, rival)[0] == [ONE, TWO]
    assert after(machine(TWO), W0, W1, W2, rival)[0] == [TWO], "in files neither is the older"
    theirs = "10.200.1.0/24 via 192.168.8.29 dev ens18"
    assert after(machine(theirs, TWO), W0, W1, W2, rival)[0] == [theirs, TWO]


def test_the_old_next_hop_of_a_node_that_moved_is_not_kept_for_a_contested_claim():
    """DHCP may have given the old address to a stranger."""
    moved = "worker-1 192.168.8.99 10.200.1.0/24"
    assert after(machine(ONE, TWO), W0, moved, W2, "rival 192.168.8.29 10.200.1.0/24")[0] == [TWO]


@pytest.mark.parametrize("wrong", ["19.168.8.22", "10.200.1.9", "192.168.8.20"], ids=["limits", "pods", "own"])
def test_a_node_whose_podcidr_cannot_be_read_and_whose_address_is_certainly_wrong_keeps_its_route(wrong):
    """Where it is, is as unknown as if the address could not be read either."""
    unread = (Unread("podCIDR", "10.200.2.0/244", "invalid-pod-cidr"),)
    lost = node(f"worker-2 {wrong}")._replace(unread=unread)
    limits = {"node_cidrs": (parse_prefix("192.168.8.0/24"),)}
    kernel = machine(ONE, TWO)
    plan = planned(Cluster((node(W0), node(W1), lost), source="nodes.yaml", **limits), kernel)
    assert (plan.changes, [each.node for each in plan.kept]) == ((), ["worker-2"])
    stranger = node("worker-8 192.168.8.22 10.200.8.0/24")
    plan = planned(Cluster((node(W0), node(W1), lost, stranger), source="nodes.yaml", **limits), kernel)
    assert [shown(change) for change in plan.changes if change.action == "delete"] == [f"delete {TWO}"]


def test_a_claim_outside_the_limits_is_not_kept():
    routes, plan = after(machine(ONE, TWO), W0, W1, W2, pod_cidrs="10.200.2.0/23,10.200.0.0/24")
    assert routes == [TWO]
    assert [problem.code for problem in plan.problems] == ["pod-cidr-outside-cluster"]


def test_hostile_nodes_in_any_order_take_nothing_from_the_others():
    hostile = [
        "virtual-a 10.200.1.14 10.200.31.0/24",
        "fake-0 192.168.8.21",
        "wide 192.168.8.29 10.200.0.0/20",
        "worker-7 192.168.8.27,10.200.2.9 10.200.7.0/24",
    ]
    shuffler = random.Random(12)
    for _ in range(20):
        nodes = [W0, W1, W2, *shuffler.sample(hostile, shuffler.randint(1, 4))]
        shuffler.shuffle(nodes)
        routes = after(machine(), *nodes)[0]
        assert [each for each in routes if each in (ONE, TWO)] == [ONE, TWO], nodes


@pytest.mark.parametrize("claim", ["10.200.1.0/24", "10.200.1.9/32", "10.200.1.8/30"])
def test_the_default_gateway_is_not_routed_away(claim):
    """Seen: the jump host's network contained another node's podCIDR, and apply cut it off."""
    kernel = machine(
        "0.0.0.0/0 via 10.200.1.9 dev mgmt0 proto static",
        links=["mgmt0"],
        addresses=["10.200.250.20/16 dev mgmt0"],
    )
    routes, plan = after(kernel, W0, f"worker-1 192.168.8.21 {claim}", W2)
    assert routes == [TWO], "the network is wider than worker-2's podCIDR: that one takes nothing that is needed"
    assert [problem.nodes[0] for problem in plan.problems if problem.severity == "error"] == ["worker-1"]
    assert any("10.200.1.9" in problem.message for problem in plan.problems)


def test_an_ipv6_default_gateway_is_not_routed_away():
    kernel = machine(
        "::/0 via fd00:200:1::9 dev mgmt0 proto static", links=["mgmt0"], addresses=["fd00:200:ffff::20/32 dev mgmt0"]
    )
    routes, plan = after(kernel, *SIX)
    assert routes == [TWO6]
    assert any("fd00:200:1::9" in problem.message for problem in plan.problems)


def test_the_gateway_of_a_static_route_is_not_routed_away():
    kernel = machine(
        "172.16.0.0/12 via 192.168.8.1 dev ens18 proto static", "0.0.0.0/0 via 192.168.8.2 dev ens18 proto static"
    )
    routes, plan = after(kernel, W0, "worker-1 192.168.8.21 192.168.8.1/32", W2)
    assert routes == [TWO]
    assert any("192.168.8.1" in problem.message and problem.nodes[0] == "worker-1" for problem in plan.problems)


def test_a_network_that_this_machine_is_connected_to_is_not_routed_away():
    kernel = machine(links=["mgmt0"], addresses=["172.20.0.20/24 dev mgmt0"])
    routes, plan = after(kernel, W0, "worker-1 192.168.8.21 172.20.0.0/24,10.200.1.0/24", W2)
    assert routes == [ONE, TWO]
    assert [(problem.severity, problem.nodes) for problem in plan.problems] == [("error", ("worker-1",))]


def test_a_wider_connected_network_is_harmless():
    """A netmask of /8 on a card is common, and takes no podCIDR from anybody."""
    kernel = machine(links=["wan"], addresses=["10.3.4.5/8 dev wan"])
    routes, plan = after(kernel, W0, W1, W2)
    assert (routes, plan.problems) == ([ONE, TWO], ())


def own_name(*hostnames):
    """Return the seed's nodes and one more that has HOSTNAMES among its addresses of type Hostname."""
    return SEED._replace(
        nodes=(*SEED.nodes, node("stranger 192.168.8.66 10.200.66.0/24")._replace(hostnames=hostnames))
    )


@pytest.mark.parametrize("hostname", ["worker-0", "worker-0.example.com", "WORKER-0"])
@pytest.mark.parametrize("first", [True, False], ids=["stranger first", "stranger last"])
def test_the_node_with_our_name_and_one_of_our_addresses_is_this_machine_whoever_else_says_so(hostname, first):
    nodes = own_name(hostname)
    if first:
        nodes = nodes._replace(nodes=nodes.nodes[::-1])
    own = this_node(nodes, hostname, [parse_address("192.168.8.20"), parse_address("10.9.9.9")])
    assert own.name == "worker-0"


def test_without_an_address_of_ours_two_nodes_with_our_name_are_still_an_error():
    with pytest.raises(IdentityError, match="more than one node"):
        this_node(own_name("worker-0"), "worker-0", [parse_address("10.9.9.9")])


def test_equal_records_give_equal_decisions_on_every_machine_and_in_any_order():
    nodes = [
        W0,
        W1,
        W2,
        "virtual-a 10.200.1.14 10.200.31.0/24",
        "fake-0 192.168.8.22",
        "wide 192.168.8.29 10.200.0.0/20",
    ]
    shuffler = random.Random(14)
    decisions = set()
    for _ in range(20):
        shuffler.shuffle(nodes)
        inventory = cluster(*nodes)
        kernel = MemoryKernel([link("ens18")], [address("192.168.8.99/24 dev ens18")])
        own = node("worker-9 192.168.8.99")
        changes = plan_here(examine(inventory), own, kernel.snapshot()).plan.changes
        decisions.add(tuple(map(shown, changes)))
    assert len(decisions) == 1


def test_the_deletion_of_a_route_straight_to_a_network_is_never_advised():
    kernel = machine("10.200.1.0/24 dev ens18 proto static scope link")
    (problem,) = [each for each in planned(SEED, kernel).problems if each.code == "foreign-route"]
    assert "directly dev ens18" in problem.message
    assert "route del" not in problem.advice
