"""The demo shows what it says, says when it does not, and is never left lying about."""

import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.conftest import Tool
from podroutes.lab.story import ACTS, expected_table
from podroutes.lab.topology import default_cluster

# What the tutorial's page prints for worker-0, and what its text says about the other two.
CLAIMS = 4  # lines that begin with a mark
TABLES = {
    "worker-0": """\
default via 192.168.8.1 dev ens18 proto static
10.200.1.0/24 via 192.168.8.21 dev ens18
10.200.2.0/24 via 192.168.8.22 dev ens18
192.168.8.0/24 dev ens18 proto kernel scope link src 192.168.8.20
""",
    "worker-1": """\
default via 192.168.8.1 dev ens18 proto static
10.200.0.0/24 via 192.168.8.20 dev ens18
10.200.2.0/24 via 192.168.8.22 dev ens18
192.168.8.0/24 dev ens18 proto kernel scope link src 192.168.8.21
""",
    "worker-2": """\
default via 192.168.8.1 dev ens18 proto static
10.200.0.0/24 via 192.168.8.20 dev ens18
10.200.1.0/24 via 192.168.8.21 dev ens18
192.168.8.0/24 dev ens18 proto kernel scope link src 192.168.8.22
""",
}


def test_the_tables_it_compares_with_are_the_tutorials():
    cluster = default_cluster(3)
    assert {node.name: "\n".join(expected_table(cluster, node)) + "\n" for node in cluster.nodes} == TABLES


@pytest.fixture
def place() -> Iterator[Path]:
    """Return where the demo puts its page: a directory that every user can write in."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o777)
        yield Path(path)


def placed(tool: Tool, place: Path) -> Tool:
    """Return TOOL with its temporary files in PLACE, and options of somebody's own that are not the story's."""
    more = {"TMPDIR": str(place), "NODE_NAME": "elsewhere", "PODROUTES_PERSIST": "systemd"}
    return tool._replace(environment=tool.environment | more)


def test_it_tells_the_whole_story(tool, place):
    told = placed(tool, place)("lab", "demo").stdout
    assert [int(number) for number in re.findall(r"^(\d+)\. ", told, re.MULTILINE)] == list(range(1, len(ACTS) + 1))
    assert told.count("✓") == 6 + 4 + CLAIMS  # six answered packets, four where a rule refuses
    assert told.count("✗") == 6 + 2
    assert "No changes." in told
    assert "proven: 3 nodes, 3 pod CIDRs, 6 pairs" in told
    assert re.search(r"the route was back [0-9.]+ ms after the command", told)
    assert "worker-0 sends 10.200.1.0/24 elsewhere than its main table would: policy rule 100 (lookup 100)" in told
    assert 'error unknown-key: lab.yaml:10: node "worker-1": unknown key "podcidr"; meant podCIDR?' in told
    for line in TABLES["worker-2"].splitlines():
        assert f"  {line}" in told
    assert "\x1b" not in told
    assert "simulated" not in told.lower()
    (page,) = (path for path in place.rglob("*") if path.is_file())
    assert f"as a page: {page}\n" in told
    assert "worker-0 sends" in page.read_text()
    assert tool("lab", "status").stdout.startswith("no lab is up")


@pytest.fixture
def telling(root, place):
    """Start a demo and read until pods cannot reach each other."""
    with placed(root, place).popen(
        "lab", "demo", stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as demo:
        for line in demo.stdout:
            if line.startswith("3. "):
                break
        yield demo


def test_an_act_that_does_not_show_what_it_claims_fails_it(telling, root, place):
    root("lab", "down", "--name", f"demo-{telling.pid}")
    output, complaint = telling.communicate()
    assert telling.returncode == 1
    assert complaint.startswith("podroutes: demo: `")
    assert complaint.count("\n") == 1
    assert "✓" not in output
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_cleans_up_when_it_is_interrupted(telling, root, place, number, status):
    telling.send_signal(number)
    complaint = telling.communicate()[1]
    assert telling.returncode == status
    assert "Traceback" not in complaint
    assert f"demo-{telling.pid}" not in root("lab", "status").stdout
    assert list(place.iterdir()) == []
