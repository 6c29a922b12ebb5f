"""A lab of --kubernetes: real kubectl changes its Nodes, real agents change its routes, and its end is the end of both."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lab.looking import networks, users_of
from support.helm import KUBECTL, missing
from support.waiting import until

pytestmark = pytest.mark.usefixtures("program")
OTHERS = {"10.200.1.0/24": "192.168.8.21", "10.200.2.0/24": "192.168.8.22"}  # what worker-0 has routes to


@pytest.fixture(scope="module")
def kubectl_for_all() -> Iterator[Path]:
    """Return a directory with kubectl that every user can look into."""
    if why := missing():
        pytest.skip(why)
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        shutil.copy(KUBECTL, directory)
        yield Path(directory)


@pytest.fixture
def program(kubectl_for_all, monkeypatch) -> None:
    """Put kubectl on PATH."""
    monkeypatch.setenv("PATH", f"{kubectl_for_all}:{os.environ['PATH']}")


@pytest.fixture
def cluster(make) -> Iterator:
    """Make a lab of three machines with the lab API, and wait for their agents."""
    with make("--kubernetes") as lab:
        until(lambda: lab("ping", status=None).returncode == 0, lambda: logs(lab))
        yield lab


def kubectl(lab, *words: str, **keywords) -> str:
    """Return what kubectl says on the router of LAB."""
    return lab.on("switch", "kubectl", *words, **keywords)


def ours(lab, machine: str = "worker-0") -> dict[str, str]:
    """Return the routes that the agent of MACHINE made: next hops by destination."""
    found = json.loads(lab.on(machine, "ip", "-j", "route", "show", "proto", "107"))
    return {route["dst"]: route["gateway"] for route in found}


def logs(lab) -> str:
    return lab("exec", "--all", "--", "cat", "/run/podroutes/agent.log", status=None).stdout


def process_of_agent(lab, machine: str) -> int:
    """Return the process id of the agent of MACHINE inside the lab."""
    lines = lab.on(machine, "cat", "/run/podroutes/agent.log").splitlines()
    return next(each["process"] for each in map(json.loads, lines) if each["event"] == "started")


def status(lab) -> dict:
    return json.loads(lab("status", "-o", "json").stdout)["labs"][0]


def test_agents_bring_the_pods_together_and_say_so(cluster):
    assert ours(cluster) == OTHERS
    assert kubectl(cluster, "get", "nodes", "-o", "name").split() == [f"node/worker-{index}" for index in range(3)]
    told = status(cluster)
    assert told["api"] == {"url": "http://192.168.8.1:6443", "ended": None}
    assert told["agents"] == {"worker-0": None, "worker-1": None, "worker-2": None}
    text = cluster("status").stdout
    assert "lab API (it is not Kubernetes) at http://192.168.8.1:6443\n" in text
    assert "agents: 3 of 3 run\n" in text


def test_a_node_is_deleted_and_applied_again(cluster, tmp_path):
    """Only the Node is gone: its machine is there, and joins again under a new uid."""
    manifest = kubectl(cluster, "get", "node", "worker-2", "-o", "yaml")
    uid = kubectl(cluster, "get", "node", "worker-2", "-o", "jsonpath={.metadata.uid}")
    kubectl(cluster, "delete", "node", "worker-2")
    until(lambda: ours(cluster) == {"10.200.1.0/24": "192.168.8.21"}, lambda: logs(cluster))
    assert cluster.on("worker-2", "hostname") == "worker-2"
    kubectl(cluster, "apply", "-f", "-", stdin=manifest)
    until(lambda: ours(cluster) == OTHERS, lambda: logs(cluster))
    assert kubectl(cluster, "get", "node", "worker-2", "-o", "jsonpath={.metadata.uid}") != uid
    assert cluster("ping").returncode == 0


def test_a_node_moves_to_another_address(cluster):
    for patch in (
        {"addresses": [{"type": "InternalIP", "address": "192.168.8.99"}]},
        {"addresses": [{"type": "InternalIP", "address": "192.168.8.21"}]},
    ):
        body = json.dumps({"status": patch})
        kubectl(cluster, "patch", "node", "worker-1", "--subresource=status", "--type=merge", "-p", body)
        wanted = patch["addresses"][0]["address"]
        until(lambda wanted=wanted: ours(cluster)["10.200.1.0/24"] == wanted, lambda: logs(cluster))
    assert ours(cluster) == OTHERS


def test_a_node_that_reports_addresses_in_the_pods_of_others_takes_no_route(cluster):
    """A kubelet may patch its own Node's status, and a virtual node reports the address of the pod that it runs in."""
    addresses = [{"type": "InternalIP", "address": each} for each in ("192.168.8.22", "10.200.0.9", "10.200.1.9")]
    patch = json.dumps({"status": {"addresses": addresses}})
    kubectl(cluster, "patch", "node", "worker-2", "--subresource=status", "--type=merge", "-p", patch)
    until(lambda: "internal-ip-in-pod-cidr" in logs(cluster), lambda: logs(cluster))
    assert ours(cluster) == OTHERS
    assert cluster("ping", status=None).returncode == 0


@pytest.mark.parametrize("cidr", ["192.168.8.1/32", "192.168.8.21/32", "10.200.0.0/16"])
def test_a_node_that_claims_what_others_need_takes_no_route(cluster, cidr):
    """The API server's address, another node's, and the pods of all."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "rival"}, "spec": {"podCIDRs": [cidr]}}
    kubectl(cluster, "create", "-f", "-", stdin=json.dumps(node))
    patch = json.dumps({"status": {"addresses": [{"type": "InternalIP", "address": "192.168.8.77"}]}})
    kubectl(cluster, "patch", "node", "rival", "--subresource=status", "--type=merge", "-p", patch)
    until(lambda: "rival" in logs(cluster), lambda: logs(cluster))
    assert ours(cluster) == OTHERS
    assert cluster("ping", status=None).returncode == 0
    kubectl(cluster, "delete", "node", "rival")
    assert ours(cluster) == OTHERS


def test_all_nodes_are_deleted_and_root_confirms_what_is_held(cluster):
    """One node's route may go at once where its event comes alone; what is left is held, and told, until somebody says so."""
    kubectl(cluster, "delete", "node", "--all")

    def hold() -> dict:
        return json.loads(cluster.on("worker-0", "podroutes", "status", "-o", "json", status=None))["hold"]

    held = until(hold, lambda: logs(cluster))
    left = ours(cluster)
    assert held["routes"] == len(left) > 0
    assert held["digest"] in logs(cluster)
    assert cluster("exec", "worker-0", "--", "podroutes", "confirm", "0123456789ab", status=1).stdout == ""
    assert ours(cluster) == left
    cluster.on("worker-0", "podroutes", "confirm", held["digest"])
    until(lambda: ours(cluster) == {}, lambda: logs(cluster))
    assert '"event": "mass deletion"' in logs(cluster)


def test_watches_of_kubectl_see_what_kubectl_does(cluster):
    words = ["lab", "exec", "--name", cluster.name, "switch", "--", "kubectl", "get", "nodes", "-w", "-o", "name"]
    command = [*words[:-2], "--output-watch-events", "--no-headers"]
    with cluster.tool.popen(*command, stdout=subprocess.PIPE, encoding="utf-8") as watch:
        assert watch.stdout
        before = [watch.stdout.readline().split()[:2] for _ in range(3)]
        assert before == [["ADDED", f"worker-{index}"] for index in range(3)]
        kubectl(cluster, "label", "node", "worker-1", "zone=x")
        kubectl(cluster, "cordon", "worker-1")
        kubectl(cluster, "delete", "node", "worker-1")
        after = [watch.stdout.readline().split()[:3] for _ in range(3)]
        watch.terminate()
    assert after == [
        ["MODIFIED", "worker-1", "Ready"],
        ["MODIFIED", "worker-1", "Ready,SchedulingDisabled"],
        ["DELETED", "worker-1", "Ready,SchedulingDisabled"],
    ]


def test_what_else_kubectl_does_works_and_what_cannot_is_said(cluster):
    def fails(*words: str, stdin: str = "") -> str:
        return cluster("exec", "switch", "--", "kubectl", *words, status=1, stdin=stdin).stderr

    assert "192.168.8.20" in kubectl(cluster, "get", "nodes", "-o", "wide")
    assert "no kubelet runs here" in kubectl(cluster, "describe", "node", "worker-0")
    assert "podroutes-lab" in kubectl(cluster, "version")
    for words in (
        "annotate node worker-0 note=1",
        "label node worker-0 zone=x other=y",
        "label node worker-0 other-",
        "taint node worker-0 k=v:NoSchedule",
        "cordon worker-0",
        "uncordon worker-0",
        'patch node worker-0 --type=json -p [{"op":"add","path":"/metadata/labels/q","value":"r"}]',
    ):
        kubectl(cluster, *words.split())
    assert kubectl(cluster, "get", "nodes", "-l", "zone=x,q=r", "-o", "name") == "node/worker-0"
    assert kubectl(cluster, "get", "nodes", "--chunk-size=1", "-o", "name").count("node/") == 3
    event = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "one", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "worker-0"},
        "reason": "Tried",
        "message": "by hand",
    }
    kubectl(cluster, "create", "-f", "-", stdin=json.dumps(event))
    assert "node/worker-0" in kubectl(cluster, "get", "events")

    claim = '{"spec":{"podCIDR":"10.9.0.0/24","podCIDRs":["10.9.0.0/24"]}}'
    assert "may not change podCIDR" in fails("patch", "node", "worker-0", "-p", claim)
    manifest = kubectl(cluster, "get", "node", "worker-0", "-o", "json")
    assert "already exists" in fails("create", "-f", "-", stdin=manifest)
    assert "nodes and events only" in fails("create", "namespace", "x")
    assert "cannot patch with application/apply-patch" in fails("apply", "--server-side", "-f", "-", stdin=manifest)
    stale = json.loads(manifest)
    stale["metadata"] |= {"resourceVersion": "1", "annotations": {"late": ""}}
    assert "the object has been modified" in fails("replace", "-f", "-", stdin=json.dumps(stale))


def test_an_agent_that_ends_is_told_of_and_ends_alone(cluster):
    cluster.on("worker-0", "kill", str(process_of_agent(cluster, "worker-0")))
    until(lambda: status(cluster)["agents"]["worker-0"] == 0, lambda: logs(cluster))
    assert "agents: 2 of 3 run; ended: worker-0 (status 0); their reasons: " in cluster("status").stdout
    assert ours(cluster) == OTHERS  # SIGTERM leaves the routes
    cluster.on("worker-1", "kill", "-KILL", str(process_of_agent(cluster, "worker-1")))
    until(lambda: status(cluster)["agents"]["worker-1"] == -signal.SIGKILL)
    assert status(cluster)["agents"]["worker-2"] is None


def test_agents_live_through_faults_that_are_set_by_hand(cluster):
    """And what happened meanwhile is not lost on them."""

    def fault(**words: object) -> None:
        kubectl(cluster, "create", "--raw", "/lab/faults", "-f", "-", stdin=json.dumps(words))

    manifest = kubectl(cluster, "get", "node", "worker-2", "-o", "yaml")
    kinds = ("garbage", "gone", "cut", "truncate", "reset")
    for verb, kind in ((verb, kind) for verb in ("watch", "list") for kind in kinds):
        fault(kind=kind, verb=verb, after=500)
    kubectl(cluster, "delete", "node", "worker-2")
    fault(kind="hang-up", lastWord='{"type":"ADDED","obj')
    until(lambda: ours(cluster) == {"10.200.1.0/24": "192.168.8.21"}, lambda: logs(cluster))
    kubectl(cluster, "delete", "--raw", "/lab/faults")
    assert json.loads(kubectl(cluster, "get", "--raw", "/lab/faults")) == {"faults": []}
    fault(kind="hang-up")
    kubectl(cluster, "apply", "-f", "-", stdin=manifest)
    until(lambda: ours(cluster) == OTHERS, lambda: logs(cluster))


def test_machines_have_the_lab_as_their_cluster_and_no_proxy(cluster):
    told = cluster("kubeconfig").stdout
    assert json.loads(told)["clusters"][0]["cluster"]["server"] == "http://192.168.8.1:6443"
    environment = {**cluster.tool.environment, "HTTPS_PROXY": "http://127.0.0.1:9", "KUBECONFIG": "/nowhere"}
    for machine in ("worker-0", "switch"):
        assert json.loads(cluster.on(machine, "sh", "-c", "cat $KUBECONFIG")) == json.loads(told)
        assert cluster.on(machine, "sh", "-c", "echo $HTTPS_PROXY $KUBECONFIG", env=environment) == "/run/kubeconfig"
    assert cluster.on("worker-2", "kubectl", "get", "nodes", "-o", "name", env=environment).count("node/") == 3


def test_nothing_of_it_is_left(cluster):
    inside = networks(cluster)
    assert len(users_of(inside)) == 5  # the holder, the API, three agents
    cluster("down")
    assert users_of(inside) == []


def test_everybody_in_a_dual_stack_lab_with_a_control_plane(make):
    with make("--kubernetes", "--nodes", "2", "--ipv6", "--control-plane") as lab:
        until(lambda: lab("ping", status=None).returncode == 0, lambda: logs(lab))
        assert ours(lab, "server") == {"10.200.0.0/24": "192.168.8.20", "10.200.1.0/24": "192.168.8.21"}
        assert kubectl(lab, "get", "node", "server", "-o", "jsonpath={.spec.podCIDRs}") == ""
        two = kubectl(lab, "get", "node", "worker-1", "-o", "jsonpath={.spec.podCIDRs}")
        assert json.loads(two) == ["10.200.1.0/24", "fd00:10:200:1::/64"]


def test_an_api_that_has_ipv6_alone(make, tmp_path):
    path = tmp_path / "six.yaml"
    path.write_text(
        "nodes:\n- {name: a, internalIP: 'fd00::a', podCIDR: 'fd01::/64'}\n- {name: b, internalIP: 'fd00::b'}\n"
    )
    with make("--kubernetes", "-i", "-", stdin=path.read_text()) as lab:
        assert status(lab)["api"]["url"] == "http://[fd00::1]:6443"
        assert kubectl(lab, "get", "nodes", "-o", "name").split() == ["node/a", "node/b"]


def test_a_lab_without_it_says_how_to_have_it(lab):
    assert "podroutes lab up --kubernetes" in lab("kubeconfig", status=1).stderr
    assert "api" not in status(lab)
    environment = {**lab.tool.environment, "KUBECONFIG": "/my/own"}
    assert lab.on("worker-0", "sh", "-c", "echo $KUBECONFIG", env=environment) == "/my/own"


def test_a_machine_that_cannot_be_a_node_is_refused_before_anything_is_made(root, name):
    inventory = 'nodes: [{name: "wörk.er", internalIP: 10.0.1.3}]'
    refused = root("lab", "up", "--name", name, "--kubernetes", "-i", "-", status=1, stdin=inventory)
    assert "cannot be a Node" in refused.stderr
    assert f'no lab "{name}"' in root("lab", "status", "--name", name, status=1).stderr


def test_options_of_whoever_makes_it_are_not_the_agents(root, name):
    environment = {**root.environment, "PODROUTES_RESYNC": "nonsense", "NODE_NAME": "other"}
    root("lab", "up", "--name", name, "--kubernetes", "--nodes", "2", env=environment)
    try:
        found = root("lab", "ping", "--name", name, status=None)
        until(lambda: root("lab", "ping", "--name", name, status=None).returncode == 0, lambda: found.stdout)
    finally:
        root("lab", "down", "--name", name)


def test_everything_lives_inside(cluster):
    """Neither state nor runtime files of the agents are on this machine."""
    for path in ("/run/kubeconfig", "/run/podroutes/agent.log", "/run/netns/worker-0"):
        assert not Path(path).exists()
    assert cluster.on("worker-0", "ls", "/run/podroutes").split() == ["agent.log", "state"]
