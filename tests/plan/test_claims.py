"""Which podCIDRs may be routed is decided from the set of nodes alone, and every problem is found in one run."""

import random

import pytest

from podroutes.plan.claims import examine
from support.notation import SEED, cluster

W0 = "worker-0 192.168.8.20 10.200.0.0/24"
W1 = "worker-1 192.168.8.21 10.200.1.0/24"


def verdict(*nodes, **limits):
    claims = examine(cluster(*nodes, **limits))
    return (
        [f"{claim.node.name} {claim.dst}" for claim in claims.honoured],
        [f"{claim.node.name} {claim.dst}" for claim in claims.contested],
        [(problem.code, problem.nodes) for problem in claims.problems],
    )


def test_the_seed_has_no_problems():
    claims = examine(SEED)
    assert [str(claim.dst) for claim in claims.honoured] == ["10.200.0.0/24", "10.200.1.0/24", "10.200.2.0/24"]
    assert claims.contested == claims.problems == ()


@pytest.mark.parametrize(
    ("nodes", "limits", "honoured", "contested", "problems"),
    [
        pytest.param(
            [W0, "a 192.168.8.31 10.200.1.0/24", "b 192.168.8.32 10.200.1.0/24"],
            {},
            ["worker-0 10.200.0.0/24"],
            ["a 10.200.1.0/24", "b 10.200.1.0/24"],
            [("duplicate-pod-cidr", ("a", "b"))],
            id="neither of two equal claims",
        ),
        pytest.param(
            [W0, "a 192.168.8.31 10.200.2.0/23", "b 192.168.8.32 10.200.3.0/24"],
            {},
            ["worker-0 10.200.0.0/24"],
            ["a 10.200.2.0/23", "b 10.200.3.0/24"],
            [("overlapping-pod-cidr", ("b", "a"))],
            id="neither of two overlapping claims",
        ),
        pytest.param(
            ["a 192.168.8.31 10.200.0.0/16,10.200.3.0/24", W0],
            {},
            ["a 10.200.3.0/24"],
            ["a 10.200.0.0/16", "worker-0 10.200.0.0/24"],
            [("overlapping-pod-cidr", ("worker-0", "a"))],
            id="a node may repeat itself, not others",
        ),
        pytest.param(
            ["a 192.168.8.31 10.200.0.0/16", "b 192.168.8.32 10.200.0.0/20", "b 192.168.8.32 10.200.0.0/20", W1],
            {},
            [],
            ["a 10.200.0.0/16", "b 10.200.0.0/20", "worker-1 10.200.1.0/24"],
            [
                ("duplicate-node", ("b",)),
                ("overlapping-pod-cidr", ("a", "b", "worker-1")),
                ("overlapping-pod-cidr", ("worker-1", "b")),
            ],
            id="nested claims, and an entry twice",
        ),
        pytest.param(
            [W0, "a 192.168.8.31 10.200.1.0/24", "a 192.168.8.32 10.200.2.0/24"],
            {},
            ["worker-0 10.200.0.0/24"],
            ["a 10.200.1.0/24", "a 10.200.2.0/24"],
            [("duplicate-node", ("a",))],
            id="two entries of one name that differ",
        ),
        pytest.param(
            ["a 192.168.8.20 10.200.1.0/24", W0],
            {},
            ["worker-0 10.200.0.0/24", "a 10.200.1.0/24"],
            [],
            [("duplicate-internal-ip", ("a", "worker-0"))],
            id="an address of two nodes leads to both",
        ),
        pytest.param(
            ["a 192.168.8.20,192.168.9.20 10.200.1.0/24", "server 192.168.8.20"],
            {},
            ["a 10.200.1.0/24"],
            [],
            [("duplicate-internal-ip", ("a", "server"))],
            id="another address that is its own",
        ),
        pytest.param(
            [W0, "a - 10.200.1.0/24", "b 192.168.8.32 fd00::/64"],
            {},
            ["worker-0 10.200.0.0/24"],
            [],
            [("no-internal-ip", ("a",)), ("family-without-internal-ip", ("b",))],
            id="no address to route to",
        ),
        pytest.param(
            [W0, "a 192.168.8.31 192.168.8.0/25", "b 192.168.8.32 192.168.8.128/25"],
            {},
            ["worker-0 10.200.0.0/24", "b 192.168.8.128/25"],
            ["a 192.168.8.0/25"],
            [("pod-cidr-covers-node", ("a",))],
            id="a podCIDR that contains its own node",
        ),
        pytest.param(
            [W0, "a 192.168.8.31 10.201.0.0/24", "b 192.168.8.32 10.200.9.0/24", "c 172.16.0.1 10.200.8.0/24"],
            {"pod_cidrs": "10.200.0.0/16", "service_cidrs": "10.200.9.0/28", "node_cidrs": "192.168.8.0/24"},
            ["worker-0 10.200.0.0/24"],
            ["c 10.200.8.0/24"],
            [
                ("internal-ip-outside-cluster", ("c",)),
                ("pod-cidr-outside-cluster", ("a",)),
                ("pod-cidr-overlaps-service", ("b",)),
            ],
            id="the cluster's limits",
        ),
    ],
)
def test_the_verdict(nodes, limits, honoured, contested, problems):
    assert verdict(*nodes, **limits) == (honoured, contested, problems)


def test_the_verdict_does_not_depend_on_the_order_of_nodes():
    nodes = [
        W0,
        W1,
        "a 192.168.8.20 10.200.4.0/23",
        "b 192.168.8.31 10.200.5.0/24",
        "c 192.168.8.32 10.200.0.0/24",
        "c 192.168.8.33 -",
    ]
    nodes[-1] = "c 192.168.8.33 10.200.7.0/24"
    expected = verdict(*nodes)
    shuffler = random.Random(8)
    for _ in range(20):
        shuffler.shuffle(nodes)
        got = verdict(*nodes)
        assert got[:2] == expected[:2]
        assert sorted((code, sorted(names)) for code, names in got[2]) == sorted(
            (code, sorted(names)) for code, names in expected[2]
        )


def test_a_thousand_nodes_with_one_claim_are_one_problem():
    claims = examine(cluster(*(f"n{i} 192.168.{i // 250}.{i % 250 + 1} 10.200.0.0/24" for i in range(1000))))
    assert claims.honoured == ()
    (problem,) = claims.problems
    assert len(problem.nodes) == 1000
    assert len(problem.message) < 300
    assert "1000 in all" in problem.message


def test_messages_name_place_value_and_node_on_one_line():
    inventory = cluster("evil\x1b[31m 192.168.8.31 10.201.0.0/24", pod_cidrs="10.200.0.0/16")
    inventory = inventory._replace(nodes=(inventory.nodes[0]._replace(line=7),))
    (problem,) = examine(inventory).problems
    assert problem.message == (
        'node "evil\\x1b[31m" (nodes.yaml:7): podCIDR 10.201.0.0/24 is outside cluster.podCIDRs (10.200.0.0/16)'
    )
