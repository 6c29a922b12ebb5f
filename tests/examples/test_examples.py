"""Every example does what examples/README.md says of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from deploy.manifests import CHART, agent, helm, one, pod
from podroutes.cli import main
from podroutes.host import cni
from podroutes.host.files import HostFiles
from podroutes.views.status import METRICS
from support.helm import KUBECTL

EXAMPLES = Path(__file__).parents[2] / "examples"
INVENTORIES = sorted((EXAMPLES / "inventories").iterdir())
WORKERS = {"worker-0": "10.200.0.0/24", "worker-1": "10.200.1.0/24", "worker-2": "10.200.2.0/24"}


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Put this podroutes first on PATH."""
    program = tmp_path / "bin" / "podroutes"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m podroutes "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def recipe(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EXAMPLES / "recipes" / name, *words], capture_output=True, text=True, check=False)


def test_the_list_names_every_example():
    listed = re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text())
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()}
    named = {f"inventories/{name}" if name.startswith(("cluster.", "nodes.")) else name for name in listed}
    assert files - {"README.md"} == {"inventories/" + name if "/" not in name else name for name in named}


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.name)
def test_every_format_says_the_same(inventory, capsys):
    assert main(["plan", "--all", "-i", str(inventory), "-o", "json"]) == 2
    plans = json.loads(capsys.readouterr().out)["nodes"]
    assert {plan["node"] for plan in plans} == {*WORKERS, "server"}
    for plan in plans:
        assert plan["problems"] == []
        routed = {change["node"]: change["dst"] for change in plan["changes"] if ":" not in change["dst"]}
        assert routed == {name: cidr for name, cidr in WORKERS.items() if name != plan["node"]}


def test_the_cni_configuration_is_that_of_worker_0(tmp_path):
    place = tmp_path / cni.DIRECTORY.lstrip("/")
    place.mkdir(parents=True)
    shutil.copy(EXAMPLES / "cni/10-bridge.conflist", place)
    refused: list[str] = []
    (file,) = cni.read_files(HostFiles(tmp_path), refused)
    (network,) = file.networks
    assert refused == []
    assert [str(subnet) for subnet in network.subnets] == [WORKERS["worker-0"]]
    assert (network.plugin, network.bridge, network.masquerades) == ("bridge", "cni0", False)


def test_kustomize_puts_in_the_image_and_the_node_selector():
    program = KUBECTL if KUBECTL.exists() else shutil.which("kubectl")
    if not program:
        pytest.skip("kubectl is not here: `./dev test` fetches it where it can be had")
    command = [program, "kustomize", EXAMPLES / "kubernetes"]
    documents = list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert agent(documents)["image"].startswith("registry.example/podroutes:")
    assert pod(documents)["nodeSelector"] == {"kubernetes.io/os": "linux", "podroutes": "yes"}
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_chart_takes_the_values():
    done = helm("template", "podroutes", CHART, "--namespace", "podroutes", "--values", EXAMPLES / "helm/values.yaml")
    assert done.returncode == 0, done.stderr
    documents = [each for each in yaml.safe_load_all(done.stdout) if each]
    assert agent(documents)["image"].startswith("registry.example/podroutes:")
    assert one(documents, "PodMonitor")


def test_the_alerts_are_about_metrics_that_there_are():
    rules = [
        rule
        for group in yaml.safe_load((EXAMPLES / "prometheus/alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) > 3
    for rule in rules:
        named = re.findall(r"podroutes_\w+", rule["expr"])
        assert named
        assert set(named) <= set(METRICS)
        for state in re.findall(r'state="(\w+)"', rule["expr"]):
            assert state in METRICS["podroutes_routes"][1]


@pytest.mark.usefixtures("path")
def test_check_inventory_fails_for_a_mistake_and_for_nothing_else(tmp_path):
    for inventory in INVENTORIES:
        assert recipe("check-inventory", inventory).returncode == 0
    wrong = tmp_path / "machines.txt"
    wrong.write_text((EXAMPLES / "inventories/machines.txt").read_text().replace("10.200.2.0/24", "10.200.1.0/24"))
    done = recipe("check-inventory", wrong)
    assert done.returncode == 1
    assert "duplicate-pod-cidr" in done.stderr


@pytest.mark.usefixtures("path")
def test_report_drift_says_what_differs_and_else_nothing(worker, capsys):
    inventory = EXAMPLES / "inventories/machines.txt"
    done = recipe("report-drift", inventory)
    assert "+ 10.200.1.0/24 via 192.168.8.21 dev ens18" in done.stdout
    assert main(["apply", "-i", str(inventory)]) == 0
    capsys.readouterr()
    done = recipe("report-drift", inventory)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("path")
def test_collect_tables_reads_what_verify_takes(tmp_path, monkeypatch):
    lab = f"examples-{os.getpid()}"
    remote = tmp_path / "remote"
    remote.write_text(f'#!/bin/sh\nexec podroutes lab exec --name {lab} "$1" -- sh -c "$2"\n')
    remote.chmod(0o755)
    monkeypatch.setenv("REMOTE", str(remote))

    def podroutes(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["podroutes", *words], capture_output=True, text=True, check=False)

    up = podroutes("lab", "up", "--name", lab)
    if up.returncode:
        pytest.skip(f"no lab can be made here: {up.stderr}")
    try:
        inventory = tmp_path / "lab.yaml"
        inventory.write_text(podroutes("lab", "inventory", "--name", lab).stdout)
        for status in (2, 0):
            tables = tmp_path / f"tables-{status}"
            done = recipe("collect-tables", tables, *WORKERS)
            assert (done.returncode, done.stderr) == (0, "")
            assert podroutes("verify", "-i", inventory, "--tables", tables).returncode == status
            applied = podroutes("lab", "exec", "--name", lab, "--all", "--", "podroutes", "apply", "-i", inventory)
            assert applied.returncode == 0, applied.stderr
    finally:
        podroutes("lab", "down", "--name", lab)
