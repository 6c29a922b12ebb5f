"""Nodes that change are followed before the reconcile, with the result that the reconcile alone would have."""

from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.memory import MemoryKernel, _connected
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from support.notation import address, cluster, link, node, route, shown

OWN = "own 192.168.8.20 10.200.0.0/24"
NOWHERE = HostFiles(Path("/nonexistent"))
FOREIGN = ("0.0.0.0/0 via 192.168.8.1 dev ens18 proto static", "10.200.12.0/24 via 192.168.8.50 dev ens18 proto static")


class Pair:
    """A machine that follows nodes at once, and an equal one that only reconciles."""

    def __init__(self, *routes, hostname="own"):
        self.machines, self.kernels = [], []
        for _ in range(2):
            links, addresses = [link("lo", 1), link("ens18", 2)], [address("192.168.8.20/24 dev ens18")]
            kernel = MemoryKernel(links, addresses, map(route, (*FOREIGN, *routes)))
            self.kernels.append(kernel)
            self.machines.append(Machine(kernel, Settings(NOWHERE, hostname), MassDeleteGuard(), FlapDamping()))

    def begin(self, nodes):
        """Reconcile both machines with NODES."""
        for machine in self.machines:
            machine.reconcile(view(nodes), 0)

    def follow(self, nodes, now=1.0):
        """Follow NODES on the first machine; return the changes."""
        return self.machines[0].follow(view(nodes), now).changes

    def reconcile(self, nodes, now=1.0):
        """Reconcile both with NODES; return what the second one did."""
        done = [machine.reconcile(view(nodes), now).done for machine in self.machines]
        assert self.tables[0] == self.tables[1]
        guards = [machine.guard for machine in self.machines]
        assert sorted(guards[0].earlier) == sorted(guards[1].earlier)
        assert guards[0].hold == guards[1].hold
        memories = [machine._memory for machine in self.machines]
        assert {(each.dst, each.node, each.via) for each in memories[0]} == {
            (each.dst, each.node, each.via) for each in memories[1]
        }
        return done[1]

    @property
    def tables(self):
        """The routes of both."""
        return [sorted(kernel.routes) for kernel in self.kernels]


def view(nodes):
    return NodeSnapshot(Inventory(nodes, ()), 0.0, 0.0, history=0)


def but(before, name, *instead):
    """Return the nodes BEFORE, as the same objects, without the one called NAME, and with those described INSTEAD."""
    return before._replace(nodes=(*(each for each in before.nodes if each.name != name), *map(node, instead)))


def three():
    return cluster(
        OWN,
        "a 192.168.8.21 10.200.1.0/24",
        "b 192.168.8.22 10.200.2.0/24",
        "c 192.168.8.23 10.200.3.0/24",
        "d 192.168.8.24",
    )


@pytest.mark.parametrize(
    ("name", "instead", "changes"),
    [
        ("a", ["a 192.168.8.31 10.200.1.0/24"], ["replace 10.200.1.0/24 via 192.168.8.31 dev ens18 was 192.168.8.21"]),
        ("a", [], ["delete 10.200.1.0/24 via 192.168.8.21 dev ens18"]),
        ("a", ["z 192.168.8.21 10.200.1.0/24"], []),
        ("a", ["z 192.168.8.39 10.200.1.0/24"], ["replace 10.200.1.0/24 via 192.168.8.39 dev ens18 was 192.168.8.21"]),
        ("d", ["d 192.168.8.24 10.200.4.0/24"], ["add 10.200.4.0/24 via 192.168.8.24 dev ens18"]),
        (
            "a",
            ["a 192.168.8.31 10.200.1.0/24", "e 192.168.8.21 10.200.5.0/24"],
            [
                "replace 10.200.1.0/24 via 192.168.8.31 dev ens18 was 192.168.8.21",
                "add 10.200.5.0/24 via 192.168.8.21 dev ens18",
            ],
        ),
    ],
    ids=["address", "deletion", "renamed", "podCIDR reused", "podCIDR set later", "address reused"],
)
def test_what_happens_to_nodes_every_day_is_done_at_once(name, instead, changes):
    pair, before = Pair(), three()
    pair.begin(before)
    after = but(before, name, *instead)
    done = pair.follow(after)
    assert list(map(shown, done)) == changes
    assert set(done) == set(pair.reconcile(after)), "and nothing is left to do"


def test_addresses_that_are_swapped_are_replaced_both():
    pair, before = Pair(), three()
    pair.begin(before)
    after = but(but(before, "a"), "b", "a 192.168.8.22 10.200.1.0/24", "b 192.168.8.21 10.200.2.0/24")
    assert [change.action for change in pair.follow(after)] == ["replace", "replace"]
    pair.reconcile(after)


def test_several_events_before_a_reconcile_build_on_each_other():
    pair, nodes = Pair(), three()
    pair.begin(nodes)
    steps = [
        ("a", ["a 192.168.8.31 10.200.1.0/24"], ["replace"]),
        ("a", ["a 192.168.8.32 10.200.1.0/24"], ["replace"]),
        ("a", [], ["delete"]),
        ("a", ["a 192.168.8.21 10.200.1.0/24"], ["add"]),
        ("x", ["x 192.168.8.40 10.200.9.0/24"], ["add"]),
    ]
    for now, (name, instead, actions) in enumerate(steps):
        nodes = but(nodes, name, *instead)
        assert [change.action for change in pair.follow(nodes, now)] == actions, instead
    pair.machines[0].reconcile(view(nodes), 9)
    pair.machines[1].reconcile(view(nodes), 9)
    assert pair.tables[0] == pair.tables[1]


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("a", ["a 192.168.8.21"]),  # listed, and without its podCIDR: the operator's wish, and the plan's business
        ("a", ["a 192.168.8.22 10.200.1.0/24"]),  # another's address
        ("a", ["a 192.168.8.21 10.200.2.0/24"]),  # another's podCIDR
        ("a", ["a 192.168.9.21 10.200.1.0/24"]),  # out of reach
        ("a", ["a 192.168.8.21 10.200.12.0/24"]),  # somebody else's route
        ("a", ["a 192.168.8.21 10.200.0.128/25"]),  # inside our own
        ("a", ["a 192.168.8.21 192.168.8.1/32"]),  # our gateway
        ("a", ["a 192.168.8.20 10.200.1.0/24"]),  # our own address
        ("own", ["own 192.168.8.20 10.200.9.0/24"]),  # our own Node
        ("own", []),
        ("a", ["a 192.168.8.21 10.200.1.0/24", "a 192.168.8.41 10.200.8.0/24"]),  # two of one name
    ],
)
def test_what_concerns_others_is_left_to_the_reconcile(name, instead):
    pair, before = Pair(), three()
    pair.begin(before)
    after = but(before, name, *instead)
    assert pair.follow(after) == ()
    pair.reconcile(after)


def test_a_node_that_could_be_this_machine_is_left_to_the_reconcile():
    pair, before = Pair(hostname="host.example"), three()
    pair.begin(before)
    assert pair.follow(but(before, "a", "host 192.168.8.31 10.200.1.0/24")) == ()


def test_deletions_beyond_the_share_are_held_as_ever():
    pair, nodes = Pair(), three()
    pair.begin(nodes)
    nodes = but(nodes, "a")
    assert [change.action for change in pair.follow(nodes, 1)] == ["delete"]
    pair.reconcile(nodes, 1)
    nodes = but(nodes, "b")
    assert pair.follow(nodes, 2) == ()
    pair.reconcile(nodes, 2)
    assert len(pair.machines[0].guard.hold.nodes) == 1


def test_a_route_that_was_deleted_with_its_node_does_not_come_back_with_a_link():
    pair, nodes = Pair(), three()
    pair.begin(nodes)
    pair.follow(but(nodes, "a"), 1)
    fast_path = pair.machines[0]._fast_path
    assert [str(change.route.dst) for change in fast_path.missing(frozenset())] == ["10.200.2.0/24", "10.200.3.0/24"]
    assert fast_path.healed(route("10.200.1.0/24 via 192.168.8.21 dev ens18")) is None


def test_saved_nodes_are_not_followed():
    pair, nodes = Pair(), three()
    pair.begin(nodes)
    after = view(but(nodes, "a"))._replace(from_cache=True)
    assert pair.machines[0].follow(after, 1).changes == ()


named = st.builds(
    lambda name, last, third, length: (
        f"{name} 192.168.8.{last} 10.200.{third & (255 << (24 - length)) & 255}.0/{length}"
    ),
    st.sampled_from(["a", "b", "c", "d", "e", "own"]),
    st.integers(20, 30),
    st.integers(0, 12),
    st.sampled_from([22, 23, 24, 24, 24, 24]),
)
usual = st.builds(
    lambda number, last: f"n{number} 192.168.8.{100 + last} 10.201.{number}.0/24", st.integers(1, 9), st.integers(1, 20)
)
states = st.lists(st.one_of(named, usual, usual, usual), max_size=7)


@given(states, states, states, st.sets(st.integers(0, 12), max_size=3), st.booleans())
def test_followed_and_reconciled_is_the_same_as_reconciled(first, second, third, ours, own_listed):
    """Kernel, guard and saved routes are those of a machine that only reconciles; what is done at once is part of what it does."""
    pair = Pair(*(f"10.200.{number}.0/24 via 192.168.8.{20 + number} dev ens18" for number in sorted(ours)))
    known = {}  # a source hands over an unchanged node as the same object

    def listed(lines):
        lines = [OWN, *lines] if own_listed else lines
        fresh = [known.setdefault(line, node(line)) for line in lines]
        return cluster()._replace(nodes=tuple(fresh))

    before = listed(first)
    for machine in pair.machines:
        if raised(machine.reconcile, view(before), 0):
            return
    for now, lines in enumerate((second, third), 1):
        after = listed(lines)
        done = pair.follow(after, now)
        event(f"{len(done) > 0}")
        results = [raised(machine.reconcile, view(after), now) for machine in pair.machines]
        assert results[0] == results[1]
        if results[0]:
            assert done == ()
            return
        pair.reconcile(after, now)


def raised(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001, of two equal machines
        return f"{type(error).__name__}: {error}"
    return ""


operations = st.tuples(
    st.sampled_from(["move", "leave", "rename", "succeed", "join", "swap", "readdress"]),
    st.integers(0, 6),
    st.integers(1, 9),
)


def after(rows, operation):
    """Return ROWS, node by name as (address, podCIDR), after one OPERATION that happens to clusters."""
    verb, which, number = operation
    names = list(rows)
    if verb == "join" or not names:
        return {**rows, f"j{number}": (f"192.168.8.{200 + number}", f"10.210.{number}.0/24")}
    name = names[which % len(names)]
    address, cidr = rows[name]
    rest = {each: row for each, row in rows.items() if each != name}
    other = names[(which + 1) % len(names)]
    match verb:
        case "move":
            return {**rows, name: (f"192.168.8.{150 + number}", cidr)}
        case "leave":
            return rest
        case "rename":
            return {**rest, f"r{number}": (address, cidr)}
        case "succeed":
            return {**rest, f"s{number}": (f"192.168.8.{170 + number}", cidr)}
        case "swap":
            return {**rows, name: (rows[other][0], cidr), other: (address, rows[other][1])}
    return {**rest, f"a{number}": (address, f"10.220.{number}.0/24")}


@given(st.lists(st.lists(operations, min_size=1, max_size=2), min_size=1, max_size=4), st.booleans())
def test_what_happens_to_clusters_ends_alike(steps, both):
    """Moves, deletions, names and podCIDRs that pass to others, one or two at a time; BOTH with IPv6 beside IPv4."""
    known, pair = {}, Pair()
    for kernel in pair.kernels:
        kernel.addresses += (address("fd00::20/64 dev ens18"),)
        kernel.routes.append(_connected(kernel.addresses[-1]))

    def listed(rows):
        lines = [OWN]
        for name, (via, cidr) in rows.items():
            last, third = via.rpartition(".")[2], cidr.split(".")[1:3]
            more = (f",fd00::{last}", f",fd02:{third[0]}:{third[1]}::/64") if both else ("", "")
            lines.append(f"{name} {via}{more[0]} {cidr}{more[1]}")
        return cluster()._replace(nodes=tuple(known.setdefault(line, node(line)) for line in lines))

    rows = {f"n{number}": (f"192.168.8.{100 + number}", f"10.200.{number}.0/24") for number in range(1, 8)}
    pair.begin(listed(rows))
    for now, step in enumerate(steps, 1):
        for operation in step:
            rows = after(rows, operation)
        done = pair.follow(listed(rows), now)
        event(f"{len(done)} changes at once")
        whole = pair.reconcile(listed(rows), now)
        assert set(done) <= set(whole)
