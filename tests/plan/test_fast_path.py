"""What is done at once is always part of what a whole plan would do."""

from hypothesis import given
from hypothesis import strategies as st

from podroutes.kernel.memory import MemoryKernel
from podroutes.plan.claims import examine
from podroutes.plan.fast_path import ClaimIndex, FastPath
from podroutes.plan.planning import plan_here
from support.notation import SEED, address, cluster, link, node, route, shown


def kernel(*routes):
    addresses = map(address, ("192.168.8.20/24 dev ens18", "fd00::20/64 dev ens18"))
    return MemoryKernel([link("lo", 1), link("ens18", 2)], addresses, map(route, routes))


def prompt(nodes, table):
    fib, claims, own = table.snapshot(), examine(nodes), nodes.nodes[0]
    return FastPath(ClaimIndex(nodes, claims), own, fib, plan_here(claims, own, fib))


def joined(before, *nodes):
    return before._replace(nodes=(*before.nodes, *map(node, nodes)))


def test_a_new_node_that_concerns_no_other_is_welcome_at_once():
    added = prompt(SEED, kernel()).arrived(joined(SEED, "worker-3 192.168.8.23,fd00::23 10.200.3.0/24,fd00:3::/64"))
    assert list(map(shown, added)) == [
        "add 10.200.3.0/24 via 192.168.8.23 dev ens18",
        "add fd00:3::/64 via fd00::23 dev ens18",
    ]


def test_whatever_is_less_simple_is_left_to_the_plan():
    static = "10.200.4.0/24 via 192.168.8.99 dev ens18 proto static metric 7"
    known = prompt(SEED, kernel(static, "0.0.0.0/0 via 192.168.8.1 dev ens18 proto static"))
    for less_simple in (
        "worker-3 192.168.8.23 10.200.1.0/24",  # claimed twice
        "worker-3 192.168.8.23 10.200.1.128/25",  # inside another
        "worker-3 192.168.8.23 10.200.0.0/16",  # around others
        "worker-3 192.168.8.21 10.200.3.0/24",  # another's address
        "worker-3 192.168.8.20 10.200.3.0/24",  # our own
        "worker-3 192.168.9.23 10.200.3.0/24",  # out of reach
        "worker-3 192.168.8.23 192.168.0.0/16",  # covers nodes
        "worker-1 192.168.8.23 10.200.3.0/24",  # a name that is known
        "worker-3 192.168.8.23 10.200.4.0/24",  # somebody else's route
        "worker-3 192.168.8.23,10.200.1.9 10.200.3.0/24",  # an address in another's podCIDR
        "worker-3 192.168.8.23 192.168.8.1/32",  # our gateway
    ):
        assert list(known.arrived(joined(SEED, less_simple))) == [], less_simple


def test_other_limits_are_left_to_the_plan():
    limited = joined(SEED, "worker-3 192.168.8.23 10.200.3.0/24")._replace(pod_cidrs=(SEED.nodes[0].pod_cidrs[0],))
    assert list(prompt(SEED, kernel()).arrived(limited)) == []


def test_a_route_that_was_taken_away_is_put_back_as_it_was():
    known = prompt(SEED, kernel("10.200.1.0/24 via 192.168.8.21 dev ens18"))
    change = known.healed(route("10.200.1.0/24 via 192.168.8.21 dev ens18 metric 5"))
    assert change
    assert shown(change) == "add 10.200.1.0/24 via 192.168.8.21 dev ens18 metric 5"
    assert known.healed(route("10.200.1.0/24 via 192.168.8.77 dev ens18")) is None
    assert known.healed(route("10.200.9.0/24 via 192.168.8.21 dev ens18")) is None
    assert known.healed(route("10.200.1.0/24 via 192.168.8.21 dev ens18 tos 4")) is None


nodes = st.builds(
    lambda number, last, third, length: (
        f"n{number} 192.168.8.{last} 10.200.{third & (255 << (24 - length)) & 255}.0/{length}"
    ),
    st.integers(1, 9),
    st.integers(18, 30),
    st.integers(0, 12),
    st.sampled_from([22, 23, 24, 24, 24]),
)


@given(st.lists(nodes, max_size=6), st.lists(nodes, max_size=4), st.sets(st.integers(0, 12), max_size=3))
def test_what_is_done_at_once_a_whole_plan_would_do_too(old, new, taken):
    table = kernel(*(f"10.200.{third}.0/24 via 192.168.8.50 dev ens18 proto static" for third in sorted(taken)))
    before = cluster("own 192.168.8.20 10.200.40.0/24", *old)
    after = joined(before, *new)
    whole = plan_here(examine(after), after.nodes[0], table.snapshot()).plan
    assert set(prompt(before, table).arrived(after)) <= set(whole.changes)


def test_a_large_table_has_the_metrics_that_a_plan_gives():
    names = [f"n{i} 10.0.{i >> 8}.{i & 255} 10.{100 + (i >> 8)}.{i & 255}.0/24" for i in range(1, 1500)]
    many = cluster("own 10.0.255.254 10.99.0.0/24", *names)
    table = MemoryKernel([link("ens18", 2)], [address("10.0.255.254/16 dev ens18")])
    after = joined(many, "late 10.0.200.1 10.120.7.0/24")
    whole = plan_here(examine(after), after.nodes[0], table.snapshot()).plan
    added = list(prompt(many, table).arrived(after))
    assert len(added) == 1
    assert set(added) <= set(whole.changes)
