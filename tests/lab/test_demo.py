"""The demo shows what it says, says when it does not, and is never left lying about."""

import signal
import subprocess

import pytest

from podroutes.lab.demo import expected_table
from podroutes.lab.topology import default_cluster

# What the tutorial's page prints for worker-0, and what its text says about the other two.
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


def test_it_tells_the_whole_story(tool):
    told = tool("lab", "demo").stdout
    for step in range(1, 9):
        assert f"\n{step}. " in told
    assert told.count("✓") == 6 + 2  # six answered packets, two claims
    assert told.count("✗") == 6
    assert "No changes." in told
    for line in TABLES["worker-2"].splitlines():
        assert f"  {line}" in told
    assert "\x1b" not in told
    assert tool("lab", "status").stdout.startswith("no lab is up")


@pytest.fixture
def telling(root):
    """Start a demo and read until pods cannot reach each other."""
    with root.popen("lab", "demo", stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as demo:
        for line in demo.stdout:
            if line.startswith("3. "):
                break
        yield demo


def test_a_step_that_does_not_show_what_it_claims_fails_it(telling, root):
    root("lab", "down", "--name", f"demo-{telling.pid}")
    output, complaint = telling.communicate()
    assert telling.returncode == 1
    assert complaint.startswith("podroutes: demo: `")
    assert complaint.count("\n") == 1
    assert "✓" not in output


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_cleans_up_when_it_is_interrupted(telling, root, number, status):
    telling.send_signal(number)
    complaint = telling.communicate()[1]
    assert telling.returncode == status
    assert "Traceback" not in complaint
    assert f"demo-{telling.pid}" not in root("lab", "status").stdout
