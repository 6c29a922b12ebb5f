"""Every cause is found: a cluster that is right but for one thing."""

from pathlib import Path

import pytest

from podroutes.model.host import DEFAULT_RULES, Medium, NeighbourTable, Rule
from podroutes.model.proof import CAUSES
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from podroutes.views.proof import sentence
from support.notation import cluster, link, route
from verify.paper import ROUTER, host, paper

NODES = cluster(
    "worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24", "worker-2 192.168.8.22 10.200.2.0/24"
)


def proof(nodes=NODES, *extra, **changes):
    """Return the proof for NODES, whose routes are right but for CHANGES: ``worker_1=["-10.200.0.0/24", "blackhole …"]``."""
    return prove(Network([*paper(nodes, changes), *extra], nodes), examine(nodes))


def found(verdict):
    return [
        (finding.cause.severity, finding.cause.code, finding.cause.node, finding.pairs) for finding in verdict.findings
    ]


def test_a_healthy_cluster_is_proven_without_a_word():
    verdict = proof()
    assert (verdict.proven, verdict.findings, verdict.pairs, verdict.pod_cidrs) == (True, (), 6, 3)


@pytest.mark.parametrize(
    ("changes", "expected", "says"),
    [
        (
            ["-10.200.1.0/24"],
            ("cannot-tell", "no-route", 1),
            "no route to 10.200.1.0/24; it leaves by the default route to 192.168.8.1",
        ),
        (["-10.200.1.0/24", "-default"], ("unreachable", "no-route", 1), "nothing else covers it"),
        (
            ["-10.200.1.0/24", "-default", "unreachable 10.0.0.0/8"],
            ("unreachable", "no-route", 1),
            "refused by the route to 10.0.0.0/8",
        ),
        (
            ["-10.200.1.0/24", "blackhole 10.200.1.0/24"],
            ("unreachable", "route-refuses", 1),
            "`blackhole 10.200.1.0/24",
        ),
        (
            ["10.200.1.64/26 via 192.168.8.1 dev ens18"],
            ("cannot-tell", "stolen-part", 1),
            "10.200.1.64/26 of 10.200.1.0/24",
        ),
        (["unreachable 10.200.1.77/32"], ("unreachable", "stolen-part", 1), "10.200.1.77/32 of 10.200.1.0/24"),
        (["-10.200.1.0/24", "10.200.1.0/24 via 192.168.8.22 dev ens18"], ("warning", "detour", 1), "round by worker-2"),
        (["10.200.1.0/25 via 192.168.8.22 dev ens18"], ("warning", "detour", 1), "10.200.1.0/25 of 10.200.1.0/24"),
        (
            ["-10.200.1.0/24", "10.200.1.0/24 via 192.168.8.1 dev ens18"],
            ("cannot-tell", "unknown-gateway", 1),
            "192.168.8.1",
        ),
        (
            ["-10.200.1.0/24", "10.200.1.0/24 dev ens18"],
            ("cannot-tell", "cannot-tell", 1),
            "somebody on the network of ",
        ),
        (
            ["-10.200.1.0/24", "10.200.1.0/24 dev cni0"],
            ("unreachable", "wrong-node", 1),
            "puts 10.200.1.0/24 on cni0, where nobody answers for it",
        ),
        (
            ["-10.200.1.0/24", "local 10.200.1.0/24"],
            ("unreachable", "wrong-node", 2),
            "for its own: `local 10.200.1.0/24",
        ),
        (["10.200.1.0/24 dev cni0 metric 1"], None, ""),
        (["10.200.1.0/24 via 192.168.8.99 dev ens18 tos 16"], None, ""),
        (["10.200.1.0/24 via 192.168.8.99 dev ens18 table 100"], None, ""),
        (["blackhole 10.0.0.0/8", "10.200.0.128/25 dev cni0"], None, ""),
    ],
)
def test_one_fault_on_one_node_is_one_finding_that_explains_it(changes, expected, says):
    verdict = proof(worker_0=changes)
    one = [(finding.cause.severity, finding.cause.code, finding.pairs) for finding in verdict.findings]
    assert one == ([expected] if expected else [])
    assert all(finding.cause.node == "worker-0" and says in sentence(finding) for finding in verdict.findings)
    assert verdict.proven == (expected is None or expected[0] == "warning")


def test_two_nodes_that_send_to_each_other_are_named_for_their_wrong_routes():
    verdict = proof(
        worker_0=["-10.200.2.0/24", "10.200.2.0/24 via 192.168.8.21 dev ens18"],
        worker_1=["-10.200.2.0/24", "10.200.2.0/24 via 192.168.8.20 dev ens18"],
    )
    assert sorted(found(verdict)) == [("unreachable", "wrong-next-hop", f"worker-{number}", 1) for number in (0, 1)]


def test_a_fault_at_the_owner_explains_every_source():
    verdict = proof(worker_1=["-10.200.1.0/24", "!cni0"])
    assert found(verdict) == [("unreachable", "no-pod-device", "worker-1", 4)]


def test_what_the_owner_has_for_a_part_of_its_own_pods_is_stolen_from_all():
    assert found(proof(worker_1=["blackhole 10.200.1.192/26"])) == [("unreachable", "stolen-part", "worker-1", 2)]


def test_routes_for_single_pods_leave_no_gap():
    devices = ["!cni0", "-10.200.1.0/24", "+cali5 10.200.1.1/32", "+cali6 10.200.1.1/32"]
    routes = ["10.200.1.5/32 dev cali5 scope link", "10.200.1.6/32 dev cali6 scope link"]
    assert proof(worker_1=[*devices, *routes]).proven
    assert proof(worker_1=[*devices, *routes, "blackhole 10.200.1.0/24"]).proven
    assert found(proof(worker_1=[*devices, *routes, "?cali6"]))[0] == ("unreachable", "link-down", "worker-1", 2)


def test_what_nobody_answers_for_is_lost_where_everybody_is_known():
    verdict = proof(
        worker_0=["-default", "-10.200.1.0/24", "10.200.1.0/24 dev ens18"], worker_1=["-default"], worker_2=["-default"]
    )
    assert found(verdict) == [("unreachable", "wrong-node", "worker-0", 1)]


def test_forwarding_off_cuts_off_both_ways():
    assert found(proof(worker_1=["net.ipv4.ip_forward=0"])) == [
        ("unreachable", "forwarding-off", "worker-1", 2),
        ("unreachable", "forwarding-off", "worker-1", 2),
    ]


def test_a_link_without_carrier_is_named():
    assert {each[1:3] for each in found(proof(worker_1=["?ens18"]))} == {
        ("link-down", "worker-0"),
        ("link-down", "worker-1"),
        ("link-down", "worker-2"),
    }


TWO = cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.9.21 10.200.1.0/24")
THROUGH = {
    "worker_0": ["10.200.1.0/24 via 192.168.8.1 dev ens18"],
    "worker_1": ["10.200.0.0/24 via 192.168.9.1 dev ens18"],
}


def test_a_router_between_two_networks_is_followed_where_it_is_known():
    assert proof(TWO, ROUTER, **THROUGH).proven
    assert {each[:2] for each in found(proof(TWO, **THROUGH))} == {("cannot-tell", "unknown-gateway")}


@pytest.mark.parametrize(("mode", "expected"), [(0, []), (1, ["reverse-path"]), (2, []), (None, ["asymmetric-path"])])
def test_an_answer_by_another_device_matters_where_reverse_path_filtering_is_strict(mode, expected):
    settings = [f"net.ipv4.conf.{dev}.rp_filter={mode}" for dev in ("all", "ens18")]
    settings = settings if mode is not None else ["-net.ipv4.conf.all.rp_filter"]
    verdict = proof(
        worker_1=["+ens19 192.168.8.121/24", "-10.200.0.0/24", "10.200.0.0/24 via 192.168.8.20 dev ens19", *settings]
    )
    assert [code for code in (finding.cause.code for finding in verdict.findings) if code != "cannot-tell"] == expected
    assert verdict.proven == (not expected)


def test_without_the_tables_of_others_nothing_is_proven():
    hosts = [host for host in paper(NODES, {}) if host.name == "worker-0"]
    verdict = prove(Network(hosts, NODES), examine(NODES))
    assert (verdict.proven, verdict.sources, verdict.unseen) == (False, ("worker-0",), ("worker-1", "worker-2"))
    assert found(verdict) == [("cannot-tell", "tables-not-seen", "worker-1", 6)]
    assert "the tables of worker-1 and worker-2 were not collected" in sentence(verdict.findings[0])
    changes = {"worker_0": ["-default", "-10.200.1.0/24", "blackhole 10.200.1.0/24"]}
    hosts = [host for host in paper(NODES, changes) if host.name == "worker-0"]
    assert found(prove(Network(hosts, NODES), examine(NODES)))[0] == ("unreachable", "route-refuses", "worker-0", 1)


def test_without_sysctls_nothing_is_proven():
    hosts = [host._replace(sysctls={}) for host in paper(NODES, {})]
    verdict = prove(Network(hosts, NODES), examine(NODES))
    assert found(verdict)[0] == ("cannot-tell", "sysctls-not-seen", "worker-0", 6)
    one = [host._replace(sysctls={}) if host.name == "worker-1" else host for host in paper(NODES, {})]
    assert found(prove(Network(one, NODES), examine(NODES)))[0] == ("cannot-tell", "sysctls-not-seen", "worker-1", 4)


def test_answers_have_to_reach_nodes_without_pods():
    nodes = cluster("server 192.168.8.10", "worker-0 192.168.8.20 10.200.0.0/24")
    verdict = proof(nodes, worker_0=["-192.168.8.0/24", "blackhole 192.168.8.10/32", "192.168.8.0/24 dev ens18"])
    assert found(verdict) == [("unreachable", "route-refuses", "worker-0", 1)]


def test_a_router_that_sends_packets_back_makes_a_loop():
    turned = [each for each in ROUTER.routes if str(each.dst) != "10.200.1.0/24"]
    router = ROUTER._replace(routes=(*turned, route("10.200.1.0/24 via 192.168.8.20 dev lan8")))
    assert found(proof(TWO, router, **THROUGH))[0] == ("unreachable", "routing-loop", "worker-0", 1)


def test_a_node_that_a_router_hands_packets_to_may_be_one_whose_tables_were_not_seen():
    nodes = cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.9.21 10.200.1.0/24", "other 192.168.9.22")
    turned = [each for each in ROUTER.routes if str(each.dst) != "10.200.1.0/24"]
    router = ROUTER._replace(routes=(*turned, route("10.200.1.0/24 via 192.168.9.22 dev lan9")))
    hosts = [each for each in paper(nodes, THROUGH) if each.name != "other"]
    verdict = prove(Network([*hosts, router], nodes), examine(nodes))
    assert ("cannot-tell", "tables-not-seen", "other", 4) in found(verdict)


def test_packets_that_carry_addresses_of_the_machine_that_they_come_to_are_dropped():
    verdict = proof(worker_1=["+dummy0 10.200.0.130/32"])
    assert ("cannot-tell", "martian-source", "worker-1", 1) in found(verdict)
    assert any("drops packets of 10.200.0.130/32" in sentence(finding) for finding in verdict.findings)


def test_what_the_owner_takes_for_itself_its_pods_do_not_get():
    verdict = proof(worker_1=["local 10.200.1.0/24 dev lo table 255"])
    assert ("unreachable", "taken-locally", "worker-1", 4) in found(verdict)


def test_what_the_owner_sends_to_another_device_its_pods_do_not_get():
    verdict = proof(worker_1=["+docker0 172.17.0.1/16", "-10.200.1.0/24", "10.200.1.0/24 dev docker0"])
    assert ("unreachable", "wrong-pod-device", "worker-1", 2) in found(verdict)


@pytest.mark.parametrize("port", [{"selects": True}, {"blocked": True}])
def test_a_bridge_whose_port_does_not_pass_everything_on_is_no_proof(port):
    (one, *others) = paper(NODES, {})
    media = {"cni0": Medium("bridge"), "pod0": Medium("veth", outside=True, **port)}
    one = one._replace(masters={"pod0": "cni0"}, links={**one.links, "pod0": link("pod0", 9)}, media=media)
    verdict = prove(Network([one, *others], NODES), examine(NODES))
    assert {finding.cause.severity for finding in verdict.findings} == {"cannot-tell"}
    assert verdict.count("cannot-tell") == 4  # to its pods and from them
    healthy = one._replace(media={**media, "pod0": Medium("veth", outside=True)})
    assert prove(Network([healthy, *others], NODES), examine(NODES)).proven


def test_an_address_on_a_port_of_a_bridge_finds_no_next_hop():
    (one, *others), media = paper(NODES, {}), {"br9": Medium("bridge"), "ens18": Medium("")}
    one = one._replace(masters={"ens18": "br9"}, links={**one.links, "br9": link("br9", 9)}, media=media)
    verdict = prove(Network([one, *others], NODES), examine(NODES))
    assert ("cannot-tell", "bridge-port", "worker-0", 2) in found(verdict)  # it may remember them
    one = one._replace(neighbours=NeighbourTable({}, frozenset()))
    verdict = prove(Network([one, *others], NODES), examine(NODES))
    assert ("unreachable", "bridge-port", "worker-0", 2) in found(verdict)


def test_a_machine_that_answers_for_no_address_is_no_next_hop():
    verdict = proof(worker_1=["net.ipv4.conf.all.arp_ignore=8"])
    assert {each[:3] for each in found(verdict)} == {  # who hears it ask knows it without an answer
        ("cannot-tell", "cannot-tell", "worker-0"),
        ("cannot-tell", "cannot-tell", "worker-2"),
        ("cannot-tell", "no-neighbour", "worker-1"),
    }


def test_a_next_hop_that_nobody_has_any_more_is_no_next_hop():
    """Where the router is not known, it could have the address; without one nobody has it, and who sent there before knows it for a while."""
    gone = ["!ens18", "+ens18 192.168.8.99/24"]
    assert ("cannot-tell", "unknown-gateway", "worker-0", 1) in found(proof(worker_1=gone))
    verdict = proof(worker_0=["-0.0.0.0/0"], worker_1=gone, worker_2=["-0.0.0.0/0"])
    assert {each[:3] for each in found(verdict)} >= {
        ("cannot-tell", "no-neighbour", name) for name in ("worker-0", "worker-2")
    }


def test_a_rule_before_the_main_table_is_named():
    (one, *others) = paper(NODES, {})
    rules = (DEFAULT_RULES[4][0], Rule(5270, table=52), *DEFAULT_RULES[4][1:])
    away = route("0.0.0.0/0 via 192.168.8.1 dev ens18 table 52")
    one = one._replace(rules={**one.rules, 4: rules}, routes=(*one.routes, away))
    verdict = prove(Network([one, *others], NODES), examine(NODES))
    assert "rule-takes-pods" in {each[1] for each in found(verdict)}
    finding = next(finding for finding in verdict.findings if finding.cause.code == "rule-takes-pods")
    assert "policy rule 5270 (lookup 52)" in sentence(finding)
    assert finding.fix == (
        "on worker-0: `ip rule add pref 5269 to 10.200.0.0/23 lookup main`, then `ip rule add pref 5269 to 10.200.2.0/24 lookup main`"
    )


def test_every_cause_is_found_here():
    """A code that no test makes is one that nobody has seen."""
    tried = Path(__file__).read_text(encoding="utf-8")
    assert {code for code in CAUSES if f'"{code}"' not in tried} == set()


def test_a_router_is_not_blamed_for_what_a_node_should_send_straight():
    """The owner is a neighbour; who sends its packets to the router is the cause, not the router that has no route."""
    router = host("router", {"lan8": "192.168.8.1/24"})
    verdict = proof(NODES, router, worker_0=["-10.200.1.0/24", "10.200.1.0/24 via 192.168.8.1 dev ens18"])
    assert found(verdict) == [("unreachable", "wrong-next-hop", "worker-0", 1)]
    assert "sends 10.200.1.0/24 to router, which does not own it" in sentence(verdict.findings[0])


def test_a_router_between_two_networks_is_blamed_for_the_route_that_it_lacks():
    router = host("router", {"lan8": "192.168.8.1/24", "lan9": "192.168.9.1/24"})
    assert {each[:3] for each in found(proof(TWO, router, **THROUGH))} == {("unreachable", "no-route", "router")}
