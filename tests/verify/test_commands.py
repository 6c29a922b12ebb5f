"""verify and trace as a user types them: on files, and in a lab with faults."""

import json
import os
import re
import subprocess
import sys

import pytest

from podroutes.host.local_tables import COMMANDS


def test_verify_prints_a_proof(podroutes):
    expected = [
        "proven: 3 nodes, 3 pod CIDRs, 6 pairs: every pod CIDR is reachable from every node",
        "taken for granted: one subnet is one wire, and no packet filter is in the way; `verify --probe` sends real packets",
    ]
    status, out, err = podroutes("verify")
    assert (status, out.splitlines(), err) == (0, expected, "")


def test_verify_prints_the_one_cause(podroutes):
    status, out, err = podroutes("verify", worker_2=["-10.200.1.0/24", "-default"])
    assert (status, err) == (2, "")
    assert out.splitlines() == [
        "not proven: 3 nodes, 3 pod CIDRs, 6 pairs; 1 fails",
        "unreachable no-route: worker-2 has no route to 10.200.1.0/24; nothing else covers it",
        "  fix: on worker-2: `podroutes apply`",
        "not proven: 3 nodes, 3 pod CIDRs, 6 pairs; 1 fails",
    ]


def test_verifys_json_is_stable(podroutes):
    status, out, _ = podroutes("verify", "-o", "json", worker_2=["blackhole 10.200.1.64/26"])
    assert status == 2
    assert json.loads(out) == {
        "apiVersion": "podroutes/v1",
        "proven": False,
        "nodes": 3,
        "pod_cidrs": 3,
        "pairs": 6,
        "unreachable": 1,
        "cannot_tell": 0,
        "not_seen": [],
        "findings": [
            {
                "severity": "unreachable",
                "code": "stolen-part",
                "node": "worker-2",
                "part": "10.200.1.64/26",
                "source_part": None,
                "route": "blackhole 10.200.1.64/26 proto podroutes",
                "detail": "blackhole",
                "message": "worker-2 has a more specific route for 10.200.1.64/26 of 10.200.1.0/24: "
                "`blackhole 10.200.1.64/26 proto podroutes` refuses it",
                "fix": "on worker-2: `podroutes apply`",
                "pairs": 1,
                "blocks": [{"sources": ["worker-2"], "destinations": ["10.200.1.0/24"]}],
            }
        ],
        "problems": [],
        "assumed": ["one subnet is one wire", "no packet filter is in the way"],
    }


def test_trace_tells_rule_and_route_of_every_hop(podroutes):
    status, out, err = podroutes("trace", "10.200.0.9", "10.200.1.5")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "1 worker-0  10.200.1.5: rule 32766 lookup main, 10.200.1.0/24 via 192.168.8.21 dev ens18 proto podroutes",
        "2 worker-1  10.200.1.5: rule 32766 lookup main, 10.200.1.0/24 dev cni0 proto kernel scope link",
        "            puts it on cni0",
        "delivered",
    ]


def test_trace_says_why_it_ends(podroutes):
    status, out, _ = podroutes("trace", "worker-2", "10.200.1.5", worker_2=["-10.200.1.0/24"])
    assert status == 2
    assert out.splitlines()[1:3] == [
        "            hands it to 192.168.8.1, whose tables are not known",
        "cannot tell: worker-2 has no route to 10.200.1.5/32; it leaves by the default route to 192.168.8.1",
    ]
    status, out, _ = podroutes("trace", "worker-2", "10.200.1.5", "-o", "json", worker_2=["-10.200.1.0/24"])
    document = json.loads(out)
    assert (document["delivered"], document["verdict"]) == (False, "cannot-tell")
    assert [hop["host"] for hop in document["hops"]] == ["worker-2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trace", "nobody", "worker-1"], 'podroutes: "nobody" is not an IP address, and no node is named so'),
        (["trace", "8.8.8.8", "worker-1"], "podroutes: 8.8.8.8 is neither in a pod CIDR nor an address of a machine"),
        (["trace", "fd00::1", "worker-1"], "have no IP version in common"),
        (["verify", "--lab"], "podroutes: --tables and --lab both say where the tables are"),
        (["verify", "--pod", "10.200.1.2"], "add --probe"),
        (["verify", "--probe", "--node", "worker-7"], "worker-7"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(podroutes, words, says):
    status, out, err = podroutes(*words)
    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


class Lab:
    """A lab of three nodes that is up, and podroutes in it."""

    def __init__(self, name):
        self.name = name

    def run(self, *words):
        """Run podroutes outside."""
        command = [sys.executable, "-m", "podroutes", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def inside(self, node, *words):
        """Run a command on a machine of it."""
        done = self.run("lab", "exec", "--name", self.name, node, "--", *words)
        assert done.returncode == 0, done.stderr

    def verify(self, *words):
        """Return the status and the document of verify."""
        done = self.run("verify", "--lab", self.name, "-o", "json", *words)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    found = Lab(f"proof-{os.getpid()}")
    done = found.run("lab", "up", "--name", found.name, "--nodes", "3", "--ipv6")
    if "the host does not let this user make namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    inventory = tmp_path_factory.mktemp("lab") / "lab.yaml"
    inventory.write_text(found.run("lab", "inventory", "--name", found.name).stdout)
    for number in range(3):
        found.inside(f"worker-{number}", sys.executable, "-m", "podroutes", "apply", "-i", str(inventory))
    yield found
    found.run("lab", "down", "--name", found.name)


def test_a_lab_is_proven_and_its_packets_agree(lab):
    status, document = lab.verify("--probe")
    assert (status, document["proven"], document["pairs"], document["findings"]) == (0, True, 12, [])
    probe = document["probe"]
    assert len(probe["results"]) == 12
    assert all(
        each["received"] == each["sent"] == 3 and each["mtu"] == 1500 and not each["error"] for each in probe["results"]
    )
    assert {(each["address"], each["pod"]) for each in probe["results"] if ":" not in each["address"]} == {
        (f"10.200.{number}.2", True) for number in range(3)
    }
    assert (probe["pairs"], probe["asked"], probe["lost"]) == (12, 12, 0)
    assert probe["disagreements"] == []


def test_where_packets_are_not_forwarded_the_node_answers_and_its_pods_do_not(lab):
    """A packet filter is in no table: real pods tell, and a gateway that answers says nothing about them."""
    lab.inside("worker-1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    try:
        status, document = lab.verify("--probe")
        assert status == 2
        assert document["probe"]["disagreements"] == []
        pairs = {(each["source"], each["node"]) for each in document["probe"]["results"] if each["error"]}
        assert pairs == {("worker-0", "worker-1"), ("worker-2", "worker-1")}
        status, document = lab.verify("--probe", "--pod", "10.200.1.1")
        assert (document["probe"]["lost"], document["probe"]["disagreements"]) == (0, [])
        done = lab.run("verify", "--lab", lab.name, "--probe", "--pod", "10.200.1.1")
        assert "forwarding not tested: of worker-1 no pod is known, and the node itself answered" in done.stdout
        assert "disagreement" not in done.stdout
    finally:
        lab.inside("worker-1", "sysctl", "-qw", "net.ipv4.ip_forward=1")


def test_faults_are_found_by_proof_and_packets_alike(lab):
    lab.inside("worker-2", "ip", "route", "del", "10.200.1.0/24")
    lab.inside("worker-0", "ip", "link", "set", "ens18", "mtu", "1400")
    try:
        status, document = lab.verify("--probe")
        assert status == 2
        assert [(each["code"], each["node"], each["pairs"]) for each in document["findings"]] == [
            ("no-route", "worker-2", 1)
        ]
        lost = {(each["source"], each["address"]) for each in document["probe"]["results"] if not each["received"]}
        assert lost == {("worker-2", "10.200.1.2"), ("worker-1", "10.200.2.2")}  # which has no way to answer
        assert document["probe"]["disagreements"] == []
        small = {each["node"] for each in document["probe"]["results"] if each["mtu"] and each["mtu"] < 1500}
        assert small >= {"worker-0"}
    finally:
        lab.inside("worker-2", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.21", "proto", "107")
        lab.inside("worker-0", "ip", "link", "set", "ens18", "mtu", "1500")


def test_where_packets_contradict_the_proof_both_are_shown(lab):
    """An address in the wrong place answers, and one that ignores ICMP answers by UDP."""
    lab.inside("worker-1", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
    try:
        _, document = lab.verify("--probe", "--pod", "10.200.1.1")
        how = {(each["address"], each["how"], each["received"]) for each in document["probe"]["results"]}
        assert ("10.200.1.1", "udp", 1) in how
        _, document = lab.verify("--probe", "--pod", "10.200.2.1")
        how = {(each["address"], each["how"], each["received"]) for each in document["probe"]["results"]}
        assert how == {("10.200.2.1", "icmp", 3)}
    finally:
        lab.inside("worker-1", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0")
    lab.inside("worker-0", *"ip xfrm policy add dir out dst 10.200.1.1/32 action block".split())
    try:
        status, document = lab.verify("--probe", "--pod", "10.200.1.1")
        assert (status, document["proven"]) == (2, True)
        assert {each["source"] for each in document["probe"]["disagreements"]} == {"worker-0"}
        assert {each["node"] for each in document["probe"]["doctor"]} == {"worker-0", "worker-1"}
        done = lab.run("verify", "--lab", lab.name, "--probe", "--pod", "10.200.1.1")
        assert "disagreement worker-0 → worker-1 (10.200.1.1): the tables lead there and back, but" in done.stdout
        assert "the doctor on worker-0:" in done.stdout
    finally:
        lab.inside("worker-0", *"ip xfrm policy del dir out dst 10.200.1.1/32".split())


def test_a_neighbour_entry_that_somebody_wrote_down_is_not_proven(lab):
    wrong = "ip neigh replace 192.168.8.21 lladdr 02:00:00:00:00:99 dev ens18 nud permanent"
    lab.inside("worker-0", *wrong.split())
    try:
        _, document = lab.verify()
        (found,) = document["findings"]
        assert (found["severity"], found["node"]) == ("cannot-tell", "worker-0")
        assert "permanent neighbour entry for 192.168.8.21" in found["message"]
    finally:
        lab.inside("worker-0", *"ip neigh del 192.168.8.21 dev ens18".split())
    assert lab.verify()[1]["proven"]


def test_with_collected_tables_pods_are_those_of_neighbour_tables_and_of_host_local(lab, tmp_path):
    (tmp_path / "lab.yaml").write_text(lab.run("lab", "inventory", "--name", lab.name).stdout)
    lab.verify("--probe")  # so that nodes have heard of their pods
    for number in range(3):
        directory = tmp_path / "tables" / f"worker-{number}"
        directory.mkdir(parents=True)
        for name, command in COMMANDS.items():
            lab.inside(f"worker-{number}", "sh", "-c", f"{command} > {directory}/{name}.json")
        lab.inside(
            f"worker-{number}",
            "sh",
            "-c",
            f"sysctl -a 2>/dev/null | grep -E '^net.ipv[46].(ip_forward|conf.*(forwarding|rp_filter|proxy_arp|proxy_ndp|arp_ignore|accept_local)) ' > {directory}/sysctl.txt",
        )
    (tmp_path / "tables/worker-2/neigh.json").write_text("[]")
    (tmp_path / "tables/worker-2/pods.txt").write_text(
        "/var/lib/cni/networks/pods:\n10.200.2.2\nlast_reserved_ip.0\nlock\n"
    )
    output = tmp_path / "out.json"
    words = (
        f"verify -i {tmp_path}/lab.yaml --tables {tmp_path}/tables --probe --node worker-0 -o json > {output} || true"
    )
    lab.inside("worker-0", "sh", "-c", f"{sys.executable} -m podroutes {words}")
    found = json.loads(output.read_text())["probe"]
    asked = {
        (each["address"], each["pod"], each["received"]) for each in found["results"] if ":" not in each["address"]
    }
    assert asked == {("10.200.1.2", True, 3), ("10.200.2.2", True, 3)}
    six = {each["node"]: each["pod"] for each in found["results"] if ":" in each["address"]}
    assert six == {"worker-1": True, "worker-2": False}


def test_packets_contradict_what_is_taken_for_granted(lab):
    """Machines of one subnet on two wires have the same tables as those on one: only packets tell."""
    lab.inside("switch", "ip", "link", "set", "port1", "nomaster")
    try:
        status, document = lab.verify("--probe", "--pod", "10.200.1.1")
        assert (status, document["proven"]) == (2, True)
        assert {each["source"] for each in document["probe"]["disagreements"]} == {"worker-0", "worker-2"}
    finally:
        lab.inside("switch", "ip", "link", "set", "port1", "master", "lan")


def test_trace_follows_through_a_lab(lab):
    done = lab.run("trace", "--lab", lab.name, "fd00:10:200::5", "fd00:10:200:2::7")
    assert done.returncode == 0
    assert re.findall(r"^\d (\S+)", done.stdout, re.MULTILINE) == ["worker-0", "worker-2"]


def test_one_node_alone_proves_nothing(lab, tmp_path):
    inventory = tmp_path / "lab.yaml"
    inventory.write_text(lab.run("lab", "inventory", "--name", lab.name).stdout)
    done = lab.run(
        "lab",
        "exec",
        "--name",
        lab.name,
        "worker-0",
        "--",
        sys.executable,
        "-m",
        "podroutes",
        "verify",
        "-i",
        str(inventory),
    )
    assert done.returncode == 2
    assert "cannot-tell tables-not-seen: the tables of worker-1 and worker-2 were not collected" in done.stdout
    assert "not seen: collect the tables of worker-1 and worker-2" in done.stdout
