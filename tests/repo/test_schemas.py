"""What commands really print is what the schemas of the package say, and every field has one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from podroutes.views.schemas import SCHEMAS, schema
from support.schemas import faults

ROOT = Path(__file__).parents[2]
INVENTORY = """\
cluster:
  podCIDRs: [10.200.0.0/16, "fd00:10::/32"]
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00::20"], podCIDRs: [10.200.0.0/24, "fd00:10:0:0::/64"]}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
- {name: worker-2, internalIP: 192.168.8.22, podCIDR: 10.200.2.0/24, interface: ens18}
- {name: worker-3, internalIP: 192.168.8.23, podCIDR: 10.200.2.0/24}
- {name: worker-4, internalIP: 192.168.8.24, podCIDR: 10.200.4.0/24}
- {name: worker-5, internalIP: 172.16.0.5, podCIDR: 10.200.5.0/24}
- {name: worker-6, internalIPs: [192.168.8.26, "fd00::26"], podCIDRs: [10.200.6.0/24, "fd00:10:0:6::/64"]}
"""


@pytest.fixture
def say(worker, tmp_path):
    """Run a command on worker-0, whose routes are as different as can be; return the documents that it prints."""
    worker.ip(
        "link add cni0 type bridge",
        "route add 10.200.1.0/24 via 192.168.8.99 proto 107",
        "route add 10.200.4.0/24 via 192.168.8.99 proto static",
        "route add 10.200.9.0/24 via 192.168.8.29 proto 107",
        "route add blackhole 10.200.8.0/24 proto 107 metric 7",
        "route add 10.200.7.0/24 proto 107 nexthop via 192.168.8.27 nexthop via 192.168.8.28",
    )
    path = tmp_path / "nodes.yaml"
    path.write_text(INVENTORY)

    def run(*words):
        source = ["-i", str(path), "--node", "worker-0"] if words[0] not in ("remove", "version", "config") else []
        printed = []
        for output in ("json", "yaml"):
            done = subprocess.run(
                [sys.executable, "-m", "podroutes", *words, *source, "-o", output],
                capture_output=True,
                text=True,
                check=False,
            )
            assert "Traceback" not in done.stderr
            printed.append(json.loads(done.stdout) if output == "json" else yaml.safe_load(done.stdout))
        return printed

    return run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plan", "plan"),
        ("plan", "plan --persist systemd --adopt"),
        ("plan-all", "plan --all"),
        ("plan", "apply"),
        ("plan", "apply --dry-run"),
        ("plan", "remove --dry-run"),
        ("plan", "remove"),
        ("show", "show"),
        ("verify", "verify"),
        ("trace", "trace worker-0 10.200.1.7"),
        ("trace", "trace 192.168.8.20 10.200.4.7"),
        ("doctor", "doctor"),
        ("doctor", "doctor --fix"),
        ("version", "version"),
        ("config", "config"),
        ("error", "plan --kubernetes"),
        ("error", "status --listen foo"),
        ("error", "doctor --nonsense"),
    ],
)
def test_a_document_is_what_its_schema_says(say, name, words):
    for document in say(*words.split()):
        assert faults(name, document) == []
        assert document["apiVersion"] == "podroutes/v1"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_takes_not_everything(name):
    Draft202012Validator.check_schema(schema(name))
    assert faults(name, {"unheard-of": 1}) != []


def test_inventories_are_what_their_schema_says():
    assert faults("inventory", yaml.safe_load(INVENTORY)) == []
    found = [path for path in (ROOT / "examples/inventories").glob("*") if path.suffix in {".yaml", ".yml", ".json"}]
    native = [
        document
        for path in found
        if "kind" not in (document := yaml.safe_load(path.read_text())) and "nodes" in document
    ]
    assert native
    for document in native:
        assert faults("inventory", document) == []
    for wrong in (
        {"nodes": [{"name": "a", "podCidr": "10.0.0.0/24"}]},
        {"nodes": [{}]},
        {},
        {"nodes": [], "cluster": {"x": []}},
    ):
        assert faults("inventory", wrong) != []
