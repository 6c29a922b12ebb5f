"""The comparison by columns says what the comparison row by row says, whatever the tables are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plan.test_plan import inventories, planned, tables
from podroutes.kernel.memory import MemoryKernel
from podroutes.model import changes as model_changes
from podroutes.model import fib as model_fib
from podroutes.model.address import Address, Prefix
from podroutes.model.changes import counts
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import PlainRoutes
from podroutes.model.route import Route
from podroutes.plan import difference
from podroutes.plan.claims import examine
from podroutes.plan.columns import common_rows, differing_rows
from podroutes.plan.planning import plan_here
from support.notation import address, link


def by_rows(monkeypatch):
    """Have every plan look at each row, and make a value of each change."""
    monkeypatch.setattr(difference._Family, "_others_matter", lambda _: True)

    def values(columns, others):
        return tuple(
            sorted([change for part in columns for change in part.changes()] + others, key=difference.in_order)
        )

    monkeypatch.setattr(difference, "ordered", values)


@given(inventories, tables())
@settings(max_examples=300, deadline=None)
def test_any_table_is_compared_alike(inventory, kernel):
    found = planned(inventory, kernel)
    with pytest.MonkeyPatch.context() as patch:
        by_rows(patch)
        again = planned(inventory, kernel)
        assert _told(again) == _told(found)


def _told(plan):
    """Return PLAN with its changes as lines."""
    return [
        f"{c.action} {c.route.dst} via {c.route.via} metric {c.route.metric} {c.node} {c.was}" for c in plan.changes
    ], plan._replace(changes=())


def _cluster(vias):
    own = Node("server", (Address(4, 0xAC100001),))
    nodes = [
        Node(f"w-{n}", (Address(4, via),), (Prefix(4, (10 << 24) + (n << 8), 24),)) for n, via in sorted(vias.items())
    ]
    return Cluster((own, *nodes))


@pytest.mark.parametrize("seed", range(5))
def test_large_tables_with_nodes_that_moved_came_and_went_are_compared_alike(seed, monkeypatch):
    dice = random.Random(seed)
    count = dice.choice([1023, 1024, 1300])
    vias = {n: 0xAC100002 + n for n in range(count)}
    kernel = MemoryKernel([link("ens18")], [address("172.16.0.1/12 dev ens18")])

    def plan():
        cluster = _cluster(vias)
        return plan_here(examine(cluster), cluster.nodes[0], kernel.snapshot()).plan

    kernel.apply(plan().changes)
    for _ in range(dice.choice([1, 2, 5, 400])):
        number = dice.randrange(count + 50)
        if dice.random() < 0.3:
            vias.pop(number, None)
        else:
            vias[number] = 0xAC180002 + dice.randrange(1 << 16)
    found = plan()
    by_rows(monkeypatch)
    assert plan() == found
    assert kernel.apply(found.changes) == {}
    assert plan().changes == ()


rows = st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.sampled_from("ab"), st.integers(0, 1)), max_size=9)


def _columns(table):
    return PlainRoutes(4, *map(list, zip(*table, strict=True))) if table else PlainRoutes.empty(4)


@given(rows, rows)
@settings(deadline=None)
def test_common_rows_are_those_in_front_and_behind(one, other):
    left, right = _columns(one), _columns(other)
    first = _same(one, other)
    assert common_rows(left, right) == first
    assert common_rows(left, right, behind=first) == _same(one[first:][::-1], other[first:][::-1])


def _same(one, other):
    """Return how many rows are equal in front, without the metric."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a[:4] != b[:4]), min(len(one), len(other)))


@given(rows, st.randoms())
@settings(deadline=None)
def test_differing_rows_are_found_one_by_one(table, dice):
    other = [row if dice.random() < 0.7 else (*row[:2], 7, *row[3:]) for row in table]
    wrong = [n for n, (a, b) in enumerate(zip(table, other, strict=True)) if a[:4] != b[:4]]
    assert differing_rows(_columns(table), _columns(other), 0, len(table)) == wrong


def _made(monkeypatch):
    """Return a list that gets every route that becomes a value from now on."""
    made = []

    def route(*words):
        made.append(words)
        return Route(*words)

    for module in (difference, model_changes, model_fib):
        monkeypatch.setattr(module, "Route", route)
    return made


def test_changes_become_values_when_somebody_looks_at_them(monkeypatch):
    vias = {n: 0xAC100002 + n for n in range(2_500)}
    kernel = MemoryKernel([link("ens18")], [address("172.16.0.1/12 dev ens18")])
    cluster = _cluster(vias)
    fib = kernel.snapshot()
    made = _made(monkeypatch)
    plan = plan_here(examine(cluster), cluster.nodes[0], fib).plan
    assert counts(plan.changes) == {"add": 2_500, "replace": 0, "delete": 0}
    assert made == []
    assert plan.changes[1_777].node == "w-1777"
    assert len(made) == 1
    assert kernel.apply(plan.changes) == {}
    fib = kernel.snapshot()
    made.clear()
    moved = _cluster(vias | {1_777: 0xAC180002})
    plan = plan_here(examine(moved), moved.nodes[0], fib).plan
    assert plan.unchanged == 2_499
    assert made == []
    assert [(change.action, change.node) for change in plan.changes] == [("replace", "w-1777")]
    assert len(made) == 2, "what is new and what was"


def test_the_same_claims_are_made_columns_once_for_each_machine():
    """An agent compares them with the kernel again and again; another machine, or other claims, get columns of their own."""
    cluster = _cluster({n: 0xAC100002 + n for n in range(5)})
    claims = examine(cluster)
    kernel = MemoryKernel([link("ens18")], [address("172.16.0.1/12 dev ens18")])
    first, again = (plan_here(claims, cluster.nodes[0], kernel.snapshot()).desired.wanted[4] for _ in range(2))
    assert first == again
    assert first.routes.dst is again.routes.dst
    other = plan_here(claims, cluster.nodes[1], kernel.snapshot()).desired.wanted[4]
    assert len(other.vias) == len(first.vias) - 1
    moved = _cluster({n: 0xAC180002 + n for n in range(5)})
    assert plan_here(examine(moved), moved.nodes[0], kernel.snapshot()).desired.wanted[4].vias != first.vias
