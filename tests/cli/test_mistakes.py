"""A mistake on the command line or in the choice of an inventory is answered with what, where, and what to type instead."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

from podroutes.cli import main

GOOD = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""


@pytest.fixture
def say(bare, tmp_path, monkeypatch, capsys):
    """Run a command in a directory that has good.yaml, on a machine without network; return status, standard output and error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)

    def run(*words):
        try:
            status = main(list(words))
        except SystemExit as stop:
            status = stop.code
        return status or 0, *capsys.readouterr()

    return run


def complains(answer, *said):
    """Assert that ANSWER is one line on standard error with all of SAID, and status 1."""
    status, out, err = answer
    assert (status, out) == (1, "")
    assert err.startswith("podroutes: ")
    assert err.count("\n") == 1
    assert [each for each in said if each not in err] == [], err
    assert "invalid choice" not in err
    assert "unrecognized arguments" not in err


@pytest.mark.parametrize(
    ("words", "listed"), [([], ["plan", "apply", "lab"]), (["lab"], ["up", "down"]), (["push"], ["plan"])]
)
def test_without_a_command_the_help_is_printed(say, words, listed):
    status, out, err = say(*words)
    assert status in (0, 2)
    assert [each for each in listed if f"\n    {each}" not in out + err] == []


WRONG = [
    ("paln -i good.yaml", ['"paln"', "did you mean plan?"]),
    ("aply", ["did you mean apply?"]),
    ("verfy", ["did you mean verify?"]),
    ("dostor", ["did you mean doctor?"]),
    ("PLAN -i good.yaml", ["did you mean plan?"]),
    ("frobnicate", ['"frobnicate" is not a command', "podroutes --help"]),
    ("push paln -i good.yaml", ["did you mean plan?", "podroutes push --help"]),
    ("lab staus", ["did you mean status?", "podroutes lab --help"]),
    ("plan --invntory good.yaml", ["did you mean --inventory?", "podroutes plan --help"]),
    ("plan --inventroy=good.yaml", ["did you mean --inventory?", "podroutes plan --help"]),
    ("plan -i good.yaml --noed worker-0", ["did you mean --node?"]),
    ("apply -i good.yaml --alow-mass-delete", ["did you mean --allow-mass-delete?"]),
    ("plan -i good.yaml -z", ['"-z" is not an option', "podroutes plan --help"]),
    ("lab up --node 3", ["did you mean --nodes?", "podroutes lab up --help"]),
    ("push plan -i good.yaml --limt x", ["did you mean --limit?", "podroutes push plan --help"]),
    ("plan good.yaml", ["podroutes plan -i good.yaml"]),
    ("push plan good.yaml", ["podroutes push plan -i good.yaml"]),
    ("plan -i good.yaml extra", ['"extra"', "podroutes plan --help"]),
    ("plan", ["-i PATH", "--kubernetes"]),
    ("plan -i good.yaml -o yam", ['"yam"', "did you mean yaml?"]),
    ("plan -i good.yaml -o jsno", ['"jsno"', "did you mean json?"]),
    ("apply -i good.yaml --persist networkdd", ["did you mean networkd?"]),
    ("render netpaln -i good.yaml", ["did you mean netplan?"]),
    ("completion basj", ["did you mean bash?"]),
    ("plan -i good.yaml --kubernetes", ["wanted one source of nodes"]),
    ("plan -i good.yaml --node woker-0", ['"woker-0"', '"worker-0"']),
    ("plan -i good.yaml", ["is not a node of good.yaml", '--node from "worker-0" and "worker-1"']),
    ("lab ping", ["podroutes lab up"]),
    ("status", ["no agent answers", "podroutes agent"]),
    ("status --listen foo", ["--listen foo: wanted ADDRESS:PORT, such as 127.0.0.1:9107"]),
    ("status --listen 127.0.0.1:port", ["--listen 127.0.0.1:port: wanted ADDRESS:PORT"]),
    ("agent -i good.yaml --node worker-0 --listen foo", ["--listen foo: wanted ADDRESS:PORT, such as 127.0.0.1:9107"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_a_wrong_word_is_answered_with_the_right_one(say, words, said):
    complains(say(*words.split()), *said)


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("-i good.yaml plan --all", "plan -i good.yaml --all"),
        ("--inventory=good.yaml plan --all", "plan --all --inventory=good.yaml"),
        ("--inventory good.yaml -o json plan --all", "plan --all -i good.yaml -o json"),
        ("-i plan plan --all", "plan -i plan --all"),
        ("-o json push -i good.yaml plan --limit worker-7", "push plan -i good.yaml --limit worker-7 -o json"),
        ("--allow-mass-delete apply -i missing.yaml", "apply --allow-mass-delete -i missing.yaml"),
        ("--name nobody lab ping", "lab ping --name nobody"),
    ],
)
def test_options_before_the_command_are_understood(say, words, ordered):
    assert say(*words.split()) == say(*ordered.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-i good.yaml", ["there is not a command behind -i"]),
        (
            "--inventroy good.yaml plan",
            ['"--inventroy" is not an option of `podroutes plan`', "did you mean --inventory?"],
        ),
        ("-i paln", ["there is not a command behind -i"]),
    ],
)
def test_options_that_belong_to_no_command_are_explained(say, words, said):
    complains(say(*words.split()), *said)


@pytest.fixture
def apply(worker, tmp_path, capsys):
    """Return worker-0's command line, with the inventory."""
    (tmp_path / "good.yaml").write_text(GOOD)

    def run(*words):
        status = main([*words, "-i", str(tmp_path / "good.yaml"), "--node", "worker-0"])
        return status, *capsys.readouterr()

    return run


def test_apply_dry_run_is_a_plan_and_says_so(apply, worker):
    planned = apply("plan")
    status, out, err = apply("apply", "--dry-run")
    assert (status, out) == planned[:2] == (2, planned[1])
    assert err == "podroutes: apply --dry-run is called `podroutes plan` here\n"
    assert worker.show("route show proto 107") == []


def test_a_plan_is_as_verbose_as_one_wants_it(apply):
    assert apply("plan", "-q") == (2, "", "")
    apply("apply")
    status, out, _ = apply("plan", "-v")
    assert status == 0
    assert out.splitlines()[0].split()[:4] == ["10.200.1.0/24", "via", "192.168.8.21", "dev"]


def test_show_watch_prints_what_changes_until_it_is_interrupted(apply, worker, tmp_path):
    apply("apply")
    words = [sys.executable, "-m", "podroutes", "show", "-w", "-i", str(tmp_path / "good.yaml"), "--node", "worker-0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "ok" in process.stdout.readline()
        worker.ip("route del 10.200.1.0/24 proto 107")
        assert "missing" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert err == ""
    assert process.returncode in (0, 2), "that of the last table that was complete"


SOURCES = {
    "missing.yaml": (None, ["missing.yaml", "No such file", "path of the inventory"]),
    "tab.yaml": ("nodes:\n\t- name: a\n", ["tab.yaml:2", "tab character"]),
    "comma.json": ('{"nodes": [\n{"name": "a"},\n]}', ["comma.json:3", "trailing comma"]),
    "empty.yaml": ("", ["is empty", "wanted nodes"]),
    "comments.yaml": ("# nodes:\n", ["holds no nodes"]),
    "nofqdn.txt": ("192.168.8.20 worker-0 10.200.0.0/24\n", ["nofqdn.txt:1", '"10.200.0.0/24"', "IPV4 FQDN HOST"]),
    "short.txt": ("192.168.8.20 a.k a\n192.168.8.21 worker-1\n", ["short.txt:2", "IPV4 FQDN HOST"]),
    "placeholder.txt": (
        "XXX.XXX.XXX.XXX server.kubernetes.local server\n",
        ["placeholder.txt:1", '"XXX.XXX.XXX.XXX" is a placeholder', "IP address"],
    ),
    "angle.txt": (
        "192.168.8.20 s.k s\n<node-0 ip> node-0.kubernetes.local node-0 10.200.0.0/24\n",
        ["angle.txt:2", '"<node-0', "placeholder"],
    ),
    "pod.yaml": ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", ['a "Pod"', "kubectl get nodes -o json"]),
    "deployment.json": (
        '{"apiVersion": "apps/v1", "kind": "Deployment"}',
        ['a "Deployment"', "kubectl get nodes -o json"],
    ),
    "kubeconfig": (
        "apiVersion: v1\nkind: Config\nclusters: []\n",
        ["kubeconfig", "--kubernetes --kubeconfig kubeconfig"],
    ),
    "wide.txt": (
        "NAME     STATUS ROLES  AGE VERSION INTERNAL-IP\nworker-0 Ready  <none> 1d  v1.32.3 192.168.8.20\n",
        ["kubectl get nodes", "kubectl get nodes -o json"],
    ),
    "narrow.txt": (
        "NAME       STATUS   ROLES    AGE   VERSION\nworker-0   Ready    <none>   1d    v1.32.3\n",
        ["kubectl get nodes -o json"],
    ),
    "nodes.csv": ("name,ip,podcidr\nworker-0,192.168.8.20,10.200.0.0/24\n", ["CSV", "podCIDR"]),
    "semicolon.csv": ("name;ip;podcidr\nworker-0;192.168.8.20;10.200.0.0/24\n", ["CSV", "podCIDR"]),
    "etc-hosts": (
        "127.0.0.1 localhost\n192.168.8.20 worker-0.k worker-0\n",
        ["/etc/hosts", "IPV4 FQDN HOST POD_SUBNET"],
    ),
    "etc-hosts6": (
        "# Host addresses\n::1 localhost ip6-localhost\n192.168.8.20 w.k w\n",
        ["/etc/hosts", "IPV4 FQDN HOST POD_SUBNET"],
    ),
    "terraform.json": (
        '{"node_ips": {"sensitive": false, "type": ["list", "string"], "value": ["192.168.8.20"]}}',
        ["terraform output", "nodes:"],
    ),
    "terraform.txt": ('node_ips = [\n  "192.168.8.20",\n]\n', ["terraform output", "nodes:"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_that_is_no_inventory_is_recognised_and_answered(say, tmp_path, name):
    text, said = SOURCES[name]
    if text is not None:
        (tmp_path / name).write_text(text)
    complains(say("plan", "--all", "-i", name), *said)


def test_a_directory_is_not_an_inventory(say, tmp_path):
    (tmp_path / "nodes.d").mkdir()
    complains(say("plan", "--all", "-i", "nodes.d"), "nodes.d", "directory", "path of the inventory")


def test_a_fifo_that_nobody_writes_to_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    program = "from podroutes.inventory import source; from podroutes.cli import main; source.FIFO_PATIENCE = 0.1; exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", program, "plan", "--all", "-i", "fifo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=5,
        check=False,
    )
    assert ran.returncode == 1
    assert "fifo: is a FIFO" in ran.stderr


def test_a_pipe_that_somebody_writes_to_is_an_inventory(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    script = f"{sys.executable} -m podroutes plan --all -i <(sleep 0.2; cat good.yaml)"
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "")


ANSIBLE = {
    "inventory.ini": """\
[kube_control_plane]
server ansible_host=192.168.8.10

[kube_node]
worker-0 ansible_host=192.168.8.20 pod_cidr=10.200.0.0/24
worker-1 ansible_host=192.168.8.21 pod_cidr=10.200.1.0/24 ansible_user=root

[k8s_cluster:children]
kube_control_plane
kube_node
""",
    "inventory.yaml": """\
all:
  hosts:
    server: {ansible_host: 192.168.8.10}
  children:
    kube_node:
      hosts:
        worker-0:
          ansible_host: 192.168.8.20
          pod_cidr: 10.200.0.0/24
        worker-1:
          ansible_host: 192.168.8.21
          pod_cidr: 10.200.1.0/24
""",
    "hosts.yaml": """\
all:
  hosts:
    server:
      ansible_host: 192.168.8.10
      ip: 192.168.8.10
      access_ip: 192.168.8.10
    worker-0:
      ansible_host: 203.0.113.20
      ip: 192.168.8.20
      access_ip: 192.168.8.20
      pod_cidr: 10.200.0.0/24
    worker-1: {ansible_host: 203.0.113.21, ip: 192.168.8.21, pod_cidr: 10.200.1.0/24}
  children:
    kube_control_plane: {hosts: {server: }}
    kube_node: {hosts: {worker-0: , worker-1: }}
    k8s_cluster: {children: {kube_control_plane: , kube_node: }}
""",
}


@pytest.mark.parametrize("name", ANSIBLE)
def test_an_ansible_inventory_is_a_source_of_nodes(say, tmp_path, name):
    (tmp_path / name).write_text(ANSIBLE[name])
    status, out, err = say("plan", "--all", "--interface", "eth0", "-i", name, "-o", "json")
    assert (status, err) == (2, "")
    nodes = {each["node"]: [change["via"] for change in each["changes"]] for each in json.loads(out)["nodes"]}
    assert nodes == {
        "server": ["192.168.8.20", "192.168.8.21"],
        "worker-0": ["192.168.8.21"],
        "worker-1": ["192.168.8.20"],
    }


def test_an_ansible_inventory_without_pod_cidrs_is_told_how_to_name_them(say, tmp_path):
    (tmp_path / "inventory.ini").write_text(
        "[kube_node]\nworker-0 ansible_host=192.168.8.20\nworker-1 ansible_host=192.168.8.21\n"
    )
    complains(say("plan", "--all", "-i", "inventory.ini"), "inventory.ini", "pod_cidr")


@pytest.mark.parametrize("output", ["-o json", "-o yaml", "-ojson", "--output=yaml"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("plan -i missing.yaml", "inventory"),
        ("plan -i good.yaml", "identity"),
        ("status", "agent"),
        ("lab ping --name nobody", "lab"),
        ("verify -i missing.yaml", "inventory"),
        ("plan", "inventory"),
        ("plan --invntory good.yaml", "usage"),
        ("trace worker-0 -i good.yaml", "usage"),
    ],
)
def test_a_failure_is_a_document_where_one_was_asked_for(say, words, code, output):
    status, out, err = say(*words.split(), *output.split())
    assert status == 1
    document = json.loads(out) if "json" in output else yaml.safe_load(out)
    assert document == {"apiVersion": "podroutes/v1", "error": {"code": code, "message": err[len("podroutes: ") : -1]}}


@pytest.fixture
def powerless(worker, tmp_path):
    """Run a command on worker-0 without CAP_NET_ADMIN."""
    (tmp_path / "good.yaml").write_text(GOOD)
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-m", "podroutes"]
    source = ["-i", str(tmp_path / "good.yaml"), "--node", "worker-0"]
    return lambda command, *words: subprocess.run(
        [*dropped, command, *(source if command != "remove" else ()), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=5,
    )


@pytest.mark.parametrize("command", ["apply", "remove"])
def test_without_the_capability_nothing_else_is_printed_and_the_sudo_line_works(powerless, worker, command):
    worker.ip("route add 10.200.9.0/24 via 192.168.8.29 proto 107")
    ran = powerless(command)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "CAP_NET_ADMIN" in ran.stderr
    sudo = f"sudo --preserve-env=PODROUTES_STATE_DIR {sys.executable} -m podroutes {command}"
    assert sudo in ran.stderr, "its secure_path has no virtual environment, and its environment no variables"


def test_an_agent_without_the_capability_ends_and_says_which(powerless, worker, tmp_path):
    ran = powerless("agent", "--state-dir", str(tmp_path / "state"), "--log", "text")
    assert ran.returncode == 1
    assert "CAP_NET_ADMIN" in ran.stderr
