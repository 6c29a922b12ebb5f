"""What verify and trace say about tables that are on paper: one fault once, the verdict first, nothing that was not seen."""

import json

from podroutes.host.table_files import read_directory
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from podroutes.verify.trace import trace
from podroutes.views import trace as views
from podroutes.views.proof import text
from podroutes.views.style import Style
from support.notation import cluster
from verify.paper import paper
from verify.test_causes import NODES


def test_a_node_that_was_not_collected_is_not_proven(podroutes, tmp_path):
    podroutes("verify")
    for path in (tmp_path / "tables" / "worker-1").iterdir():
        path.unlink()
    (tmp_path / "tables" / "worker-1").rmdir()
    hosts = read_directory(str(tmp_path / "tables"))
    proof = prove(Network(hosts, NODES), examine(NODES))
    assert (proof.proven, proof.pairs) == (False, 6)
    assert sum(finding.pairs for finding in proof.of("cannot-tell")) == 4
    said = "\n".join(text(proof, Style(enabled=False)))
    assert "collect the tables of worker-1" in said


def test_a_proof_says_what_it_takes_for_granted(podroutes):
    _, out, _ = podroutes("verify")
    assert "one subnet is one wire" in out
    assert "--probe" in out


def test_the_verdict_is_said_first_and_last(podroutes):
    _, out, _ = podroutes("verify", worker_2=["-10.200.1.0/24"])
    lines = out.splitlines()
    assert lines[0].startswith("not proven: ")
    assert lines[0] == lines[-1]


def test_many_nodes_with_one_fault_are_one_paragraph():
    nodes = cluster(*(f"n{n} 192.168.8.{n + 10} 10.200.{n}.0/24" for n in range(60)))
    hosts = [host._replace(routes=tuple(route for route in host.routes if not route.ours)) for host in paper(nodes, {})]
    lines = list(text(prove(Network(hosts, nodes), examine(nodes)), Style(enabled=False)))
    assert len(lines) < 12
    assert any("60 nodes" in line for line in lines)


def test_one_blackhole_is_one_finding(podroutes):
    settings = [f"net.ipv4.conf.{dev}.rp_filter=2" for dev in ("all", "ens18")]
    _, out, _ = podroutes("verify", "-o", "json", worker_1=["-10.200.0.0/24", "blackhole 10.200.0.0/24", *settings])
    assert [(each["code"], each["pairs"]) for each in json.loads(out)["findings"]] == [("route-refuses", 2)]


DETOUR = ["-10.200.1.0/24", "10.200.1.0/24 via 192.168.8.22 dev ens18"]


def test_a_detour_is_delivered_with_a_warning(podroutes):
    status, out, _ = podroutes("trace", "10.200.0.9", "10.200.1.5", worker_0=DETOUR)
    assert status == 0
    assert "delivered, by a detour" in out
    status, out, _ = podroutes("trace", "-o", "json", "10.200.0.9", "10.200.1.5", worker_0=DETOUR)
    document = json.loads(out)
    assert (document["delivered"], document["verdict"]) == (True, "proven")
    assert (document["cause"]["code"], document["cause"]["severity"]) == ("detour", "warning")


def test_branches_that_meet_again_are_both_shown(podroutes, tmp_path):
    podroutes("verify")
    path = tmp_path / "tables" / "worker-0" / "route.json"
    routes = [route for route in json.loads(path.read_text()) if route["dst"] != "10.200.1.0/24"]
    ways = [{"gateway": f"192.168.8.2{n}", "dev": "ens18", "weight": 1, "flags": []} for n in (1, 2)]
    path.write_text(json.dumps([*routes, {"dst": "10.200.1.0/24", "protocol": "107", "flags": [], "nexthops": ways}]))
    hosts = read_directory(str(tmp_path / "tables"))
    found = trace(Network(hosts, NODES), examine(NODES), "10.200.0.9", "10.200.1.5")
    document = views.document(found)
    assert len(document["ends"]) == 2, "one end for each of the two ways"


def test_a_route_that_cannot_be_read_costs_one_machine_its_certainty(podroutes, tmp_path):
    podroutes("verify")
    path = tmp_path / "tables" / "worker-0" / "route.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), {"dst": "10.200.1.0/24", "type": "novel", "flags": []}]))
    try:
        hosts = read_directory(str(tmp_path / "tables"))
    except Exception as error:  # noqa: BLE001, whatever it is
        raise AssertionError(str(error)) from None
    proof = prove(Network(hosts, NODES), examine(NODES))
    assert {finding.cause.node for finding in proof.findings} == {"worker-0"}
    assert {finding.cause.severity for finding in proof.findings} == {"cannot-tell"}
