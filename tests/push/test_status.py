"""The agents of all machines are asked over SSH, where they listen on the loopback address alone."""

import json
import subprocess
import sys

import pytest

from support.openssh import Done, Site
from support.schemas import faults
from support.waiting import until


@pytest.fixture
def ask(site: Site):
    """Run ``podroutes status --all`` on the workstation."""

    def run(*words: str) -> Done:
        command = [word if word != "push" else "status" for word in site.command("--all", *words)]
        done = subprocess.run(
            command, env=site.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(site: Site):
    """Start an agent on a machine, and wait until it is ready."""
    agents: list[subprocess.Popen] = []

    def begin(node: str) -> None:
        words = ["agent", "-i", str(site.inventory), "--node", node, "--state-dir", "/run/podroutes/state"]
        agents.append(site.begin_on(node, sys.executable, "-m", "podroutes", *words))
        status = ["lab", "exec", "--name", site.name, node, "--", sys.executable, "-m", "podroutes", "status"]
        until(lambda: site.podroutes(*status).returncode == 0)

    yield begin
    for agent in agents:
        agent.terminate()
        agent.communicate()


def test_nobody_answers_where_no_agent_runs(ask):
    done = ask()
    assert done.status == 1
    assert done.out.count("silent") == 4
    assert "worker-0  silent  nothing answers on 127.0.0.1:9107 there: Connect" in done.out
    assert done.out.endswith("\n0 of 3 nodes in sync, 3 silent.\n")


def test_all_agents_are_told_in_a_screen(site, ask, start):
    for node in site.addresses:
        start(node)
    done = ask("--wait", "60")
    assert (done.status, done.err) == (0, "")
    assert done.out.count("  in sync  2 of 2 routes, compared ") == 3
    site.on("worker-1", "ip", "route", "replace", "10.200.0.0/24", "via", "192.168.8.99", "proto", "static")
    site.stop("worker-2")
    until(lambda: ask().status == 2)
    document = json.loads(ask("-o", "json").out)
    assert faults("status-all", document) == []
    assert (document["in_sync"], document["nodes"][2]["state"]) == (False, "silent")
    assert ask("--limit", "worker-0").out.endswith("1 of 1 node in sync.\n")


def test_an_sshd_that_forwards_nothing_is_told(site, ask):
    site.again("worker-0", "AllowTcpForwarding=no")
    assert (
        "its sshd forwards no connections: `AllowTcpForwarding local` in sshd_config" in ask("--limit", "worker-0").out
    )


def test_waiting_has_an_end(ask):
    assert ask("--wait", "1", "--limit", "worker-0").status == 1
