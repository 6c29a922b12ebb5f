"""Pods of a lab by the real CNI plugins, from what podroutes wrote: they come, talk, keep their addresses, and go."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import cycle, islice

import pytest

from doctor.conftest import filters, unpacked  # noqa: F401  fixtures
from lab.conftest import Lab, made
from masquerade.test_packets import CLIENT, SERVER
from support.schemas import faults

NODES = ("worker-0", "worker-1")
KILLS = int(os.environ.get("PODROUTES_TEST_KILLS", "20"))
DELAYS = (0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24)  # seconds; an apply takes about a fifth of one


@pytest.fixture
def runtime(filters, plugins, root, tmp_path):  # noqa: F811
    """Return podroutes as root with the plugins and what they run: nft(8) and iptables(8)."""
    (tmp_path / "bin").mkdir()
    for program in ("iptables", "ip6tables"):  # which Debian makes an alternative when the package is installed
        (tmp_path / "bin" / program).symlink_to(filters / "usr/sbin/xtables-nft-multi")
    kept = {key: os.environ[key] for key in ("LD_LIBRARY_PATH", "XTABLES_LIBDIR", "XTABLES_LOCKFILE")}
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    return root._replace(environment={**root.environment, **kept, "CNI_PATH": str(plugins), "PATH": path})


@pytest.fixture
def bare_lab(runtime, name):
    """Return a lab of two dual-stack machines without pods, and their inventory."""
    with made(runtime, name, "--nodes", "2", "--ipv6", "--cni") as lab:
        yield lab, lab("inventory").stdout


@pytest.fixture
def lab(bare_lab) -> Lab:
    """Return such a lab whose machines have what pods need."""
    lab, inventory = bare_lab
    for node in NODES:
        lab(
            "exec",
            node,
            "--",
            "podroutes",
            "apply",
            "-i",
            "-",
            "--cni",
            "--masquerade",
            "both",
            "--sysctl",
            stdin=inventory,
        )
    return lab


def outcome(lab, status=0):
    """Return what `podroutes test` finds: tests and failures by kind."""
    found = json.loads(lab.tool("test", "--lab", lab.name, "--outside", "both", "-o", "json", status=status).stdout)
    assert faults("test", found) == []
    return {kind["kind"]: (kind["tests"], kind["failures"]) for kind in found["kinds"]}


ALL = {"pod-to-pod": (24, 0), "pod-to-node": (16, 0), "node-to-pod": (16, 0), "pod-to-outside": (8, 0)}


def add_four(lab):
    for node in NODES:
        for pod in ("web", "db"):
            lab("pod", "add", node, pod)


def test_pods_come_talk_and_go(lab):
    assert lab.tool("test", "--lab", lab.name, status=2).stdout
    add_four(lab)
    listed = lab("pod", "list").stdout.splitlines()
    assert listed[0] == "db@worker-0  10.200.0.3, fd00:10:200::3"
    assert len(listed) == 4
    for node in NODES:
        lab("pod", "check", node, "web")
    assert outcome(lab) == ALL
    lab("pod", "del", "worker-0", "web")
    assert "web@worker-0" not in lab("pod", "list").stdout
    assert lab.on("worker-0", "ls", "/var/lib/cni/networks/podroutes").split()[:2] == ["10.200.0.3", "fd00:10:200::3"]
    assert "no machine" in lab("exec", "web@worker-0", "--", "true", status=1).stderr
    assert "there is no pod" in lab("pod", "del", "worker-0", "web", status=1).stderr
    assert "already" in lab("pod", "add", "worker-0", "db", status=1).stderr
    assert outcome(lab)["pod-to-pod"] == (12, 0)


def test_a_machine_without_configuration_gets_no_pod(bare_lab):
    lab, _ = bare_lab
    assert "has no CNI configuration" in lab("pod", "add", "worker-0", "web", status=1).stderr
    assert lab("pod", "list").stdout == ""
    assert "HOSTPORT" in lab("pod", "add", "worker-0", "web", "--publish", "x", status=1).stderr


def test_a_plugin_that_is_missing_is_named_and_nothing_stays(lab):
    other = lab._replace(tool=lab.tool._replace(environment={**lab.tool.environment, "CNI_PATH": "/nowhere"}))
    assert '"loopback" is in none of /nowhere' in other("pod", "add", "worker-0", "web", status=1).stderr
    lab("pod", "add", "worker-0", "web")


def test_restarts_and_a_flush_of_all_rules_leave_pods_as_they_are(lab, bare_lab):
    add_four(lab)
    for node in NODES:
        lab.on(node, "nft", "flush", "ruleset")
        lab.on(node, "ip", "route", "flush", "proto", "107")
        lab.on(node, "ip", "-6", "route", "flush", "proto", "107")
    assert outcome(lab, status=2)["pod-to-outside"] == (8, 8)
    for node in NODES:
        lab("exec", node, "--", "podroutes", "apply", "-i", "-", stdin=bare_lab[1])
    assert outcome(lab) == ALL
    for node in NODES:
        lab.on(node, "podroutes", "remove")
    assert outcome(lab, status=2)["pod-to-pod"] == (24, 16), "those of one machine still reach each other"
    lab("pod", "del", "worker-0", "web")


def test_a_port_of_the_machine_and_a_pod_that_reaches_itself_by_it(lab, bare_lab):
    rendered = lab(
        "exec", "worker-0", "--", "podroutes", "render", "cni", "-i", "-", "--node", "worker-0", stdin=bare_lab[1]
    ).stdout
    assert '"portmap"' in rendered
    plain = json.loads(lab.on("worker-0", "cat", "/etc/cni/net.d/10-podroutes.conflist"))
    plain["plugins"].append({"type": "portmap", "capabilities": {"portMappings": True}})
    lab.on("worker-0", "sh", "-c", "cat >/etc/cni/net.d/10-podroutes.conflist", stdin=json.dumps(plain))
    lab("pod", "add", "worker-0", "web", "--publish", "8080:5000")
    lab("pod", "add", "worker-1", "client")
    client = CLIENT.replace("5000)", "int(sys.argv[3]))")
    with ExitStack() as stack:
        for address in ("10.200.0.2", "fd00:10:200::2"):
            words = ["lab", "exec", "--name", lab.name, "web@worker-0", "--", sys.executable, "-c", SERVER, address]
            server = lab.tool.popen(*words, stdout=subprocess.PIPE)
            stack.callback(server.communicate)
            stack.callback(server.terminate)
            assert server.stdout.readline()
        for machine, own in (("192.168.8.20", "10.200.1.2"), ("fd00:192:168:8::20", "fd00:10:200:1::2")):
            ask = (sys.executable, "-c", client, machine, "10", "8080")
            assert lab.on("client@worker-1", *ask) == own, "the pod's own address, by the port of another machine"
            assert lab.on("web@worker-0", *ask) not in ("", "no answer"), "hairpin"
    lab("pod", "del", "worker-0", "web")
    assert "8080" not in lab.on("worker-0", "nft", "list", "ruleset")


def test_kills_leave_whole_files_a_whole_table_and_pods_that_go_on(lab, bare_lab):
    add_four(lab)
    before = lab.on("worker-0", "nft", "list", "table", "inet", "podroutes")
    look = "nft list table inet podroutes 2>/dev/null; echo @; cat /etc/cni/net.d/10-podroutes.conflist 2>/dev/null || echo {}"
    words = ("podroutes", "apply", "-i", "-", "--cni", "--masquerade", "both", "--sysctl")
    for number, delay in enumerate(islice(cycle(DELAYS), KILLS)):
        spoil = (
            "nft flush ruleset",
            "rm -f /etc/cni/net.d/10*",
            "nft add rule inet podroutes postrouting accept",
            "true",
        )[number % 4]
        lab("exec", "worker-0", "--", "sh", "-c", spoil, status=None)
        lab("exec", "worker-0", "--", "timeout", "-s", "KILL", str(delay), *words, stdin=bare_lab[1], status=None)
        table, _, text = lab.on("worker-0", "sh", "-c", look).partition("@\n")
        assert table.strip() in ("", before) or "accept\n\t}" in table, "whole, not there yet, or as it was spoilt"
        json.loads(text)
        if number % 5 == 0:  # a runtime that is killed calls DEL later, and then ADD
            kill = ["lab", "pod", "--name", lab.name, "add", "worker-0", "victim"]
            process = lab.tool.popen(*kill, stderr=subprocess.DEVNULL)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay / 10)
            process.kill()
            process.wait()
            lab("exec", "worker-0", "--", *words, stdin=bare_lab[1])
            lab("pod", "del", "worker-0", "victim", status=None)
    lab("exec", "worker-0", "--", *words, stdin=bare_lab[1])
    assert lab.on("worker-0", "nft", "list", "table", "inet", "podroutes") == before
    plan = lab("exec", "worker-0", "--", "podroutes", "plan", "-i", "-", "-o", "json", stdin=bare_lab[1]).stdout
    assert json.loads(plan)["in_sync"]
    for _ in range(2):
        lab("pod", "del", "worker-0", "victim", status=None)
    found = outcome(lab)
    assert {kind: failures for kind, (_, failures) in found.items()} == dict.fromkeys(ALL, 0)
