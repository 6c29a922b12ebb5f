"""What runs on a lab's machine runs like at home there: its name, devices and packets, but the caller's everything else."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

from podroutes import inventory
from podroutes.model.address import parse_prefix

SEED_WORKER_0 = """\
default via 192.168.8.1 dev ens18 proto static
10.200.1.0/24 via 192.168.8.21 dev ens18
10.200.2.0/24 via 192.168.8.22 dev ens18
192.168.8.0/24 dev ens18 proto kernel scope link src 192.168.8.20
"""


def test_a_command_sees_its_machine_and_its_callers_world(lab, readable):
    assert lab.on("worker-1", "hostname") == "worker-1"
    assert lab.on("worker-1", "id", "-u") == "0"
    assert lab.on("worker-1", "ls", "/sys/class/net").split() == ["cni0", "ens18", "lo", "pod0"]
    assert lab.on("worker-1", "cat", "/proc/sys/net/ipv4/ip_forward") == "1"
    assert lab.on("worker-1", "pwd", cwd=readable) == str(readable)
    assert lab.on("worker-1", "cat", stdin="words") == "words"
    assert lab.on("worker-1", "sh", "-c", "echo $WORD", env={**lab.tool.environment, "WORD": "said"}) == "said"
    assert lab.on("worker-1", "ip", "-n", "worker-2", "-brief", "address", "show", "ens18").endswith("192.168.8.22/24")
    assert lab.on("pod@worker-1", "ip", "-brief", "-4", "address", "show", "eth0").endswith("10.200.1.2/24")


def test_each_machine_has_a_run_directory_of_its_own(lab):
    lab.on("worker-0", "touch", "/run/podroutes/mine")
    assert lab.on("worker-0", "ls", "/run/podroutes") == "mine"
    assert lab.on("worker-1", "ls", "/run/podroutes") == ""


def test_what_a_machine_writes_to_var_lib_is_its_own_and_never_the_hosts(lab):
    lab.on("worker-0", "sh", "-c", "mkdir /var/lib/podroutes-lab-test && echo mine > /var/lib/podroutes-lab-test/state")
    assert lab.on("worker-0", "cat", "/var/lib/podroutes-lab-test/state") == "mine"
    assert lab.on("worker-1", "find", "/var/lib", "-maxdepth", "1", "-name", "podroutes-lab-test") == ""
    assert not Path("/var/lib/podroutes-lab-test").exists()


def test_what_a_machine_writes_to_etc_is_its_own_and_never_the_hosts(lab):
    """So that a network configuration persisted inside a lab is not that of the machine it runs on."""
    lab.on("worker-0", "sh", "-c", "echo mine > /etc/podroutes-lab-test")
    assert lab.on("worker-0", "cat", "/etc/podroutes-lab-test") == "mine"
    assert lab.on("worker-1", "find", "/etc", "-maxdepth", "1", "-name", "podroutes-lab-test") == ""
    assert not Path("/etc/podroutes-lab-test").exists()
    assert lab.on("worker-0", "cat", "/etc/passwd") == Path("/etc/passwd").read_text().strip()


def test_the_exit_status_is_that_of_the_command(lab):
    assert lab("exec", "worker-0", "--", "sh", "-c", "exit 7", status=7)
    assert lab("exec", "worker-0", "--", "sh", "-c", "kill -9 $$", status=137)
    missing = lab("exec", "worker-0", "--", "no-such-command", status=127)
    assert missing.stderr == "podroutes: no-such-command: command not found\n"
    assert "Permission denied" in lab("exec", "worker-0", "--", "/dev/null", status=126).stderr


def test_all_runs_everywhere_and_tells_the_worst(lab):
    worst = lab("exec", "--all", "--", "sh", "-c", "hostname; [ $(hostname) != worker-1 ] || exit 3", status=3)
    assert worst.stdout == "==> worker-0 <==\nworker-0\n==> worker-1 <==\nworker-1\n==> worker-2 <==\nworker-2\n"


def test_all_runs_at_the_same_time_with_an_empty_standard_input(lab):
    """Each machine waits for all others: one after the other would never end."""
    script = (
        ": >/run/here.$(hostname); until [ $(ls /run/here.* | wc -l) = 3 ]; do sleep 0.05; done; wc -c; hostname >&2"
    )
    done = lab("exec", "--all", "--", "sh", "-c", script)
    assert done.stdout == "==> worker-0 <==\n0\n==> worker-1 <==\n0\n==> worker-2 <==\n0\n"
    assert done.stderr == "worker-0\nworker-1\nworker-2\n"


def test_serial_runs_one_after_the_other(lab):
    script = "[ ! -e /run/alone ] || exit 9; : >/run/alone; sleep 0.05; hostname; rm /run/alone"
    done = lab("exec", "--all", "--serial", "--", "sh", "-c", script)
    assert done.stdout == "==> worker-0 <==\nworker-0\n==> worker-1 <==\nworker-1\n==> worker-2 <==\nworker-2\n"


def test_ctrl_c_on_the_terminal_reaches_the_command(lab):
    child, terminal = pty.fork()
    if child == 0:
        script = "trap 'echo caught; exit 42' INT; echo ready; while :; do sleep 0.05; done"
        words = [*lab.tool.command, "lab", "exec", "--name", lab.name, "worker-0", "--", "sh", "-c", script]
        os.chdir(lab.tool.cwd)
        os.execvpe(words[0], words, lab.tool.environment)  # noqa: S606  the test's own words
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    while b"caught" not in seen:
        seen += os.read(terminal, 1024)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    os.close(terminal)


def test_a_signal_to_exec_reaches_the_command(lab):
    with lab.tool.popen(
        "lab",
        "exec",
        "--name",
        lab.name,
        "worker-0",
        "--",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done",
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout.readline() == b"ready\n"
        time.sleep(0.1)  # until the wrapper listens too; it forks before it does
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 5


def test_the_seeds_commands_give_the_seeds_table_and_the_pods_each_other(lab):
    nobody_yet = json.loads(lab("ping", "-o", "json", status=1).stdout)
    assert (nobody_yet["pairs"], nobody_yet["answered"]) == (6, 0)
    assert {failure["reason"] for failure in nobody_yet["failures"]} == {"no answer"}
    for node in range(3):
        for other in {0, 1, 2} - {node}:
            lab.on(f"worker-{node}", "ip", "route", "add", f"10.200.{other}.0/24", "via", f"192.168.8.2{other}")
    table = lab.on("worker-0", "sh", "-c", "ip route | grep -v cni0")
    assert [line.rstrip() for line in table.splitlines()] == SEED_WORKER_0.splitlines()
    assert lab("ping").stdout.splitlines() == [
        "IPv4             worker-0  worker-1  worker-2",
        "pod on worker-0     ·         ✓         ✓",
        "pod on worker-1     ✓         ·         ✓",
        "pod on worker-2     ✓         ✓         ·",
        "",
        "all 6 packets arrived and were answered",
    ]


def test_a_pod_is_told_when_its_own_node_refuses(lab):
    lab.on("worker-0", "ip", "route", "add", "unreachable", "10.200.1.0/24")
    failures = json.loads(lab("ping", "-o", "json", status=1).stdout)["failures"]
    reasons = {(each["source"], each["destination"]): each["reason"] for each in failures}
    assert reasons["worker-0", "worker-1"] == "host unreachable (from 10.200.0.1)"


def test_dual_stack_with_a_control_plane(make):
    with make("--nodes", "2", "--ipv6", "--control-plane") as lab:
        assert lab.on("server", "ip", "-brief", "address", "show", "ens18").split()[2:4] == [
            "192.168.8.10/24",
            "fd00:192:168:8::10/64",
        ]
        asked = json.loads(lab("ping", "-o", "json", status=1).stdout)
        assert (asked["pairs"], asked["answered"]) == (8, 0)
        for node, others in {"server": (0, 1), "worker-0": (1,), "worker-1": (0,)}.items():
            for other in others:
                lab.on(node, "ip", "route", "add", f"10.200.{other}.0/24", "via", f"192.168.8.2{other}")
                lab.on(node, "ip", "route", "add", f"fd00:10:200:{other}::/64", "via", f"fd00:192:168:8::2{other}")
        answered = lab("ping").stdout
        assert "server              ✓         ✓" in answered
        assert answered.endswith("all 8 packets arrived and were answered\n")


def test_its_inventory_is_read_back_as_it_was_made(make, tmp_path):
    """Names that YAML would take for something else included."""
    path = tmp_path / "nodes.yaml"
    path.write_text(
        'nodes:\n- {name: "on", internalIPs: [10.0.0.1, "fd00::1"], podCIDRs: [10.1.0.0/16, "fd01::/64"]}\n'
        '- {name: "007", internalIP: 10.0.3.2, podCIDR: 10.2.0.0/30, interface: "1e3"}\n- {name: "wörk.er", internalIP: 10.0.1.3}\n'
    )
    with make("-i", "-", stdin=path.read_text()) as lab:
        printed = tmp_path / "lab.yaml"
        printed.write_text(lab("inventory").stdout)
        told, problems = inventory.load(str(printed))
        wanted = inventory.load(str(path)).cluster.nodes
        assert problems == ()
        assert [node._replace(line=None, interface=None) for node in told.nodes] == [
            node._replace(line=None, interface=None) for node in wanted
        ]
        assert [node.interface for node in told.nodes] == ["ens18", "1e3", "ens18"]
        assert told.node_cidrs == (parse_prefix("10.0.0.0/22"), parse_prefix("fd00::/64"))
        assert lab.on("007", "ip", "-brief", "address", "show", "1e3").endswith("10.0.3.2/22")
        assert lab.on("wörk.er", "hostname") == "wörk.er"
