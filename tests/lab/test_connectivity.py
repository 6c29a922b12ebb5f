"""`podroutes test`: packets between the pods and machines of a lab arrive with the sender's own address, or it says why not."""

import json
from xml.etree import ElementTree as ET

import pytest

from lab.conftest import made
from support.schemas import faults
from support.unpacked import over, packages_or_skip

MASQUERADE = """
table ip hide {
    chain after {
        type nat hook postrouting priority srcnat;
        ip saddr 10.200.0.0/24 oifname ens18 masquerade
    }
}
"""


@pytest.fixture
def cluster(make, tmp_path):
    """Return a dual-stack lab and the words that give one of its machines its routes."""
    with make("--nodes", "3", "--ipv6") as lab:
        inventory = lab("inventory").stdout
        yield lab, lambda node: lab("exec", node, "--", "podroutes", "apply", "-i", "-", stdin=inventory)


def outcome(lab, status, *options):
    """Return what `podroutes test` prints, whose exit status has to be STATUS."""
    return lab.tool("test", "--lab", lab.name, *options, status=status).stdout


def test_a_new_lab_fails_and_passes_with_routes(cluster):
    lab, apply = cluster
    found = json.loads(outcome(lab, 2, "-o", "json"))
    assert faults("test", found) == []
    assert {kind["kind"]: (kind["tests"], kind["failures"]) for kind in found["kinds"]} == {
        "pod-to-pod": (12, 12),
        "pod-to-node": (18, 12),
        "node-to-pod": (18, 12),
    }, "a pod and its own machine reach each other without routes"
    for node in ("worker-0", "worker-1", "worker-2"):
        apply(node)
    assert "All 48 tests passed" in outcome(lab, 0)


def test_a_missing_route_fails_both_ways(cluster):
    lab, apply = cluster
    for node in ("worker-0", "worker-1", "worker-2"):
        apply(node)
    lab.on("worker-0", "ip", "route", "del", "10.200.2.0/24")
    found = json.loads(outcome(lab, 2, "-o", "json"))
    ends = {(failure["kind"], failure["source"], failure["destination"]) for failure in found["failures"]}
    assert ends == {
        ("pod-to-pod", "worker-0", "worker-2"),
        ("pod-to-pod", "worker-2", "worker-0"),
        ("node-to-pod", "worker-0", "worker-2"),
        ("pod-to-node", "worker-2", "worker-0"),
    }
    suites = ET.fromstring(outcome(lab, 2, "-o", "junit"))  # noqa: S314  our own output
    assert (suites.get("tests"), suites.get("failures")) == ("48", "4")
    assert len(suites.findall("testsuite/testcase")) == 48
    assert len(suites.findall("testsuite/testcase/failure")) == 4


def test_a_masqueraded_packet_is_answered_and_fails(root, name, tmp_path):
    words = over(packages_or_skip("filters"), tmp_path / "tree")
    with made(root, name, "--nodes", "2") as lab:
        inventory = lab("inventory").stdout
        lab("exec", "--all", "--", "sh", "-c", f"cat <<'E' | podroutes apply -i -\n{inventory}E")
        lab("exec", "worker-0", "--", *words, "nft", "-f", "-", stdin=MASQUERADE)
        found = json.loads(outcome(lab, 2, "-o", "json"))
        reasons = {(failure["kind"], failure["reason"]) for failure in found["failures"]}
        assert reasons == {
            ("pod-to-pod", "arrived from 192.168.8.20 instead of 10.200.0.2"),
            ("pod-to-node", "arrived from 192.168.8.20 instead of 10.200.0.2"),
        }


def test_a_lab_that_is_not_up(root):
    assert "nowhere" in root("test", "--lab", "nowhere", status=1).stderr


TWO_PODS = """\
nodes:
- {name: one, internalIP: 192.168.8.20, podCIDRs: [10.200.0.0/24, 10.200.7.0/24]}
- {name: two, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""


def test_a_machine_with_two_podcidrs_of_one_ip_version_has_each_tested(root, name):
    with made(root, name, "-i", "-", stdin=TWO_PODS) as lab:
        lab("exec", "--all", "--", "sh", "-c", f"cat <<'E' | podroutes apply -i -\n{TWO_PODS}E")
        found = json.loads(outcome(lab, 0, "-o", "json"))
        assert {kind["kind"]: kind["tests"] for kind in found["kinds"]} == {
            "pod-to-pod": 6,
            "pod-to-node": 6,
            "node-to-pod": 6,
        }
        lab.on("two", "ip", "route", "del", "10.200.7.0/24")
        failures = json.loads(outcome(lab, 2, "-o", "json"))["failures"]
        pods = {(each["source_address"], each["address"]) for each in failures if each["kind"] == "pod-to-pod"}
        assert pods == {("10.200.1.2", "10.200.7.2"), ("10.200.7.2", "10.200.1.2")}
