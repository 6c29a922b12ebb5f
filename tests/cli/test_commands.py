"""The commands as a user types them, on a worker node of the seed's cluster."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from podroutes.cli import main
from podroutes.kernel.netlink import NetlinkKernel

MACHINES = """\
192.168.8.10 server.kubernetes.local server
192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24
192.168.8.21 worker-1.kubernetes.local worker-1 10.200.1.0/24
192.168.8.22 worker-2.kubernetes.local worker-2 10.200.2.0/24
"""
SEED = ["10.200.1.0/24 via 192.168.8.21 dev ens18", "10.200.2.0/24 via 192.168.8.22 dev ens18"]


@pytest.fixture
def machines(tmp_path):
    path = tmp_path / "machines.txt"
    path.write_text(MACHINES)
    return path


@pytest.fixture
def podroutes(machines, capsys):
    """Run a command with the inventory; return exit status, standard output and standard error."""

    def run(*words, inventory=machines):
        source = [] if words[0] == "remove" or not inventory else ["-i", str(inventory)]
        try:
            status = main([*words, *source])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def shown(podroutes, *words):
    status, out, _ = podroutes(*words, "-o", "json")
    return status, json.loads(out)


def test_plan_is_the_contracts_json(worker, podroutes):
    worker.ip(
        "route add 10.200.2.0/24 via 192.168.8.99 proto 107", "route add 10.200.9.0/24 via 192.168.8.29 proto 107"
    )
    assert shown(podroutes, "plan") == (
        2,
        {
            "apiVersion": "podroutes/v1",
            "node": "worker-0",
            "in_sync": False,
            "changes": [
                {"action": "add", "dst": "10.200.1.0/24", "via": "192.168.8.21", "dev": "ens18", "node": "worker-1"},
                {
                    "action": "replace",
                    "dst": "10.200.2.0/24",
                    "via": "192.168.8.22",
                    "dev": "ens18",
                    "node": "worker-2",
                    "was": {"via": "192.168.8.99", "dev": "ens18"},
                },
                {"action": "delete", "dst": "10.200.9.0/24", "via": "192.168.8.29", "dev": "ens18", "node": None},
            ],
            "unchanged": 0,
            "problems": [],
        },
    )


def test_plan_reads_like_a_plan(worker, podroutes):
    worker.ip(
        "route add 10.200.2.0/24 via 192.168.8.99 proto 107", "route add 10.200.9.0/24 via 192.168.8.29 proto 107"
    )
    status, out, err = podroutes("plan")
    assert (status, err) == (2, "")
    assert out.splitlines() == [
        "  + 10.200.1.0/24 via 192.168.8.21 dev ens18  worker-1",
        "  ~ 10.200.2.0/24 via 192.168.8.22 dev ens18  worker-2  was via 192.168.8.99 dev ens18",
        "  - 10.200.9.0/24 via 192.168.8.29 dev ens18  not wanted",
        "",
        "Plan: 1 to add, 1 to replace, 1 to delete, 0 unchanged.",
    ]
    assert worker.show("route show proto 107")[0].startswith("10.200.2.0/24 via 192.168.8.99"), "a plan touches nothing"


def test_apply_then_plan_is_in_sync_and_a_second_apply_writes_nothing(worker, podroutes):
    assert podroutes("apply")[0] == 0
    assert worker.show("route show proto 107") == SEED
    assert podroutes("plan")[:2] == (0, "No changes. worker-0 agrees with the inventory: 2 routes in place.\n")
    monitor = subprocess.Popen(["ip", "monitor", "route"], stdout=subprocess.PIPE, text=True)
    assert podroutes("apply")[:2] == (0, "Apply complete: 0 added, 0 replaced, 0 deleted, 2 unchanged.\n")
    worker.ip("route add 10.99.0.0/24 via 192.168.8.9")  # the first thing that the monitor may see
    assert "10.99.0.0/24" in monitor.stdout.readline()
    monitor.kill()
    monitor.communicate()


def test_apply_on_the_seeds_hand_typed_routes_neither_fails_nor_duplicates(worker, podroutes):
    worker.ip("route add 10.200.1.0/24 via 192.168.8.21", "route add 10.200.2.0/24 via 192.168.8.22")
    before = worker.show()
    status, out, err = podroutes("apply")
    assert (status, out) == (0, "Apply complete: 0 added, 0 replaced, 0 deleted, 0 unchanged; 2 warnings.\n")
    assert err.count("warning foreign-route") == 2
    assert "apply --adopt" in err
    assert worker.show() == before
    status, document = shown(podroutes, "apply", "--adopt")
    assert status == 0
    assert [(each["action"], each["was"], each["applied"]) for each in document["changes"]] == [
        ("replace", {"via": "192.168.8.21", "dev": "ens18", "protocol": "boot"}, True),
        ("replace", {"via": "192.168.8.22", "dev": "ens18", "protocol": "boot"}, True),
    ]
    assert worker.show("route show proto 107") == SEED
    assert podroutes("plan")[0] == 0


def test_a_problem_with_one_node_does_not_stop_the_others(worker, podroutes, machines):
    machines.write_text(
        MACHINES
        + "192.168.8.23 w3 w3 10.200.2.0/24\n192.168.9.24 w4 w4 10.200.4.0/24\n192.168.8.25 w5 w5 10.200.5.1/24\n"
    )
    status, document = shown(podroutes, "apply")
    assert status == 1
    assert [(each["dst"], each["applied"]) for each in document["changes"]] == [("10.200.1.0/24", True)]
    assert [each["code"] for each in document["problems"]] == [
        "invalid-pod-cidr",
        "duplicate-pod-cidr",
        "next-hop-off-link",
    ]
    assert podroutes("plan")[0] == 1, "nothing is pending, and yet not all is well"
    assert shown(podroutes, "plan")[1]["in_sync"] is False


def test_a_failed_change_is_told_and_the_rest_is_done(worker, podroutes, monkeypatch):
    apply = NetlinkKernel.apply

    def late(kernel, changes):
        worker.ip("route add 10.200.1.0/24 via 192.168.8.77")  # somebody else, between every plan and its execution
        refused = apply(kernel, changes)
        worker.ip("route delete 10.200.1.0/24 via 192.168.8.77")
        return refused

    monkeypatch.setattr(NetlinkKernel, "apply", late)
    status, document = shown(podroutes, "apply")
    assert status == 1
    assert [(each["dst"], each["applied"]) for each in document["changes"]] == [
        ("10.200.2.0/24", True),
        ("10.200.1.0/24", False),
    ]
    assert document["changes"][1]["error"].startswith("File exists (someone else added a route")


def test_a_prefix_that_is_taken_between_plan_and_apply_is_told_as_in_a_plan(worker, podroutes, monkeypatch):
    apply = NetlinkKernel.apply

    def late(kernel, changes):
        worker.ip("route replace 10.200.1.0/24 via 192.168.8.77")
        return apply(kernel, changes)

    monkeypatch.setattr(NetlinkKernel, "apply", late)
    status, out, err = podroutes("apply")
    assert status == 1
    assert "error foreign-route" in err
    assert out.splitlines()[-1] == "Apply incomplete: 1 added, 0 replaced, 0 deleted, 0 unchanged; 1 error."


def test_show_tells_the_state_of_every_route(worker, podroutes, machines):
    machines.write_text(MACHINES + "192.168.9.23 w3 w3 10.200.3.0/24\n192.168.8.24 w4 w4 10.200.4.0/24\n")
    worker.ip(
        "route add 10.200.77.0/24 via 192.168.8.77 proto 107",
        "route add 10.200.1.0/24 via 192.168.8.21 proto 107",
        "route add 10.200.4.0/24 via 192.168.8.66",
    )
    status, out, _ = podroutes("show")
    assert status == 2
    assert [line.split() for line in out.splitlines()] == [
        "10.200.1.0/24 via 192.168.8.21 dev ens18 proto podroutes worker-1 ok, until reboot".split(),
        "10.200.2.0/24 via 192.168.8.22 dev ens18 proto podroutes worker-2 missing".split(),
        "10.200.3.0/24 via 192.168.9.23 proto podroutes w3 unreachable".split(),
        "10.200.4.0/24 via 192.168.8.66 dev ens18 w4 foreign".split(),
        "10.200.77.0/24 via 192.168.8.77 dev ens18 proto podroutes - stale".split(),
    ]
    states = {each["dst"]: each["state"] for each in shown(podroutes, "show")[1]["routes"]}
    assert states["10.200.3.0/24"] == "unreachable"


def test_show_is_0_when_all_is_ok_and_a_lost_carrier_is_unreachable(worker, podroutes):
    podroutes("apply")
    assert podroutes("show")[0] == 0
    worker.ip("link set wire down")
    while "linkdown" not in worker.show("route show proto 107")[0]:
        time.sleep(0.01)  # linkwatch flags routes within a second, net/core/link_watch.c
    status, out, _ = podroutes("show")
    assert status == 2
    assert out.count("linkdown") == out.count("unreachable") == 2
    assert worker.show("route show proto 107") == [f"{line} linkdown" for line in SEED]
    assert podroutes("apply")[0] == 1
    worker.ip("link set wire up")
    assert podroutes("plan")[0] == 0


def test_remove_takes_back_ours_and_nothing_else(worker, podroutes):
    worker.ip("route add 10.99.0.0/24 via 192.168.8.9", "route add 10.98.0.0/24 via 192.168.8.9 proto 107 table 50")
    before = [line for line in worker.show("route show table all") if "proto 107" not in line]
    podroutes("apply")
    assert podroutes("remove", "--dry-run")[1].endswith("Plan: 0 to add, 0 to replace, 3 to delete, 0 unchanged.\n")
    status, document = shown(podroutes, "remove")
    assert status == 0
    assert [each["action"] for each in document["changes"]] == ["delete"] * 3
    assert worker.show("route show table all") == before
    assert podroutes("remove")[0] == 0


def test_render_ip_is_the_seeds_page(worker, podroutes):
    status, out, _ = podroutes("render", "ip", "--node", "worker-0", "--interface", "ens18")
    assert status == 0
    assert out.splitlines()[1:] == [
        "ip route add 10.200.1.0/24 via 192.168.8.21 dev ens18 proto 107  # worker-1",
        "ip route add 10.200.2.0/24 via 192.168.8.22 dev ens18 proto 107  # worker-2",
    ]
    subprocess.run(["sh", "-e"], input=out, text=True, check=True)
    assert podroutes("plan")[0] == 0, "what is rendered is what is planned"


def test_render_on_the_machine_itself_finds_the_device(worker, podroutes):
    status, out, err = podroutes("render", "networkd")
    assert (status, err) == (0, "")
    assert "Destination=10.200.1.0/24\nGateway=192.168.8.21\n" in out


def test_render_all_writes_a_file_for_each_node(worker, podroutes, tmp_path):
    status, out, _ = podroutes("render", "ip", "--all", "--directory", str(tmp_path / "routes"))
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "routes").iterdir()) == [
        "server.sh",
        "worker-0.sh",
        "worker-1.sh",
        "worker-2.sh",
    ]
    assert out.count("\n") == 4
    assert (tmp_path / "routes" / "server.sh").read_text().count("ip route add") == 3


def test_plan_all_needs_no_machine(bare, podroutes):
    status, document = shown(podroutes, "plan", "--all")
    assert status == 2
    assert [(each["node"], len(each["changes"])) for each in document["nodes"]] == [
        ("server", 3),
        ("worker-0", 2),
        ("worker-1", 2),
        ("worker-2", 2),
    ]
    assert podroutes("plan", "--all")[1].count("Plan: ") == 4


@pytest.mark.parametrize(
    ("words", "environment", "complaint"),
    [
        (["plan", "--node", "worker-9"], {}, 'no node is named "worker-9" in '),
        (["plan", "--bogus"], {}, '"--bogus" is not an option of `podroutes plan` (see `podroutes plan --help`)'),
        (["plan", "-o", "xml"], {}, '--output "xml": it can be text, json, yaml'),
        (["plan"], {"PODROUTES_OUTPUT": "xml"}, "PODROUTES_OUTPUT is 'xml'; it can be text, json, yaml"),
        (["apply"], {"PODROUTES_ADOPT": "perhaps"}, "PODROUTES_ADOPT is 'perhaps'; it can be 1 or 0"),
        (["render", "ip", "--directory", "x", "--node", "worker-0"], {}, "--directory goes with --all"),
        (["frobnicate"], {}, '"frobnicate" is not a command (see `podroutes --help`)'),
        (["plan", "--interface"], {}, "--interface needs a value: --interface DEV"),
        (["trace", "worker-0"], {}, "DST is missing"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(worker, machines, words, environment, complaint):
    """A fresh process, so that a traceback could not hide."""
    source = ["-i", str(machines)] if words[:1] != ["frobnicate"] and words != ["plan", "--interface"] else []
    ran = run(*words, *source, **environment)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert complaint in ran.stderr
    assert ran.stderr.startswith("podroutes: ")
    assert ran.stderr.count("\n") == 1


def run(*words, stdin="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "podroutes", *words],
        capture_output=True,
        text=True,
        input=stdin,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PODROUTES_", "NODE_NAME"))}
        | environment,
        check=False,
    )


def test_every_option_has_a_variable_and_node_name_is_understood(worker, machines):
    assert run("plan", PODROUTES_INVENTORY=str(machines), PODROUTES_OUTPUT="json").stdout.startswith(
        '{"apiVersion": "podroutes/v1", "node": "worker-0"'
    )
    assert '"node": "worker-2"' in run("plan", "-o", "json", "-i", "-", NODE_NAME="worker-2", stdin=MACHINES).stdout
    assert (
        '"node": "worker-1"'
        in run("plan", "-o", "json", "-i", str(machines), NODE_NAME="worker-2", PODROUTES_NODE="worker-1").stdout
    )


def test_without_the_capability_it_says_which_one(worker, machines):
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    ran = subprocess.run(
        [*dropped, sys.executable, "-m", "podroutes", "apply", "-i", str(machines)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "CAP_NET_ADMIN" in ran.stderr
    assert "Traceback" not in ran.stderr
    planned = subprocess.run(
        [*dropped, sys.executable, "-m", "podroutes", "plan", "-i", str(machines)], capture_output=True, check=False
    )
    assert planned.returncode == 2, "planning needs no privileges"


def test_a_reader_that_leaves_is_no_traceback(worker, tmp_path):
    many = tmp_path / "many.txt"
    many.write_text(
        MACHINES
        + "".join(f"192.168.8.{i % 200 + 30} n{i} n{i} 10.{210 + (i >> 8)}.{i & 255}.0/24\n" for i in range(3000))
    )
    pipe = '"$0" -m podroutes plan --all --full -i "$1" | head -1'
    ran = subprocess.run(["sh", "-c", pipe, sys.executable, many], capture_output=True, text=True, check=False)
    assert ran.stdout == "server\n"
    assert "Traceback" not in ran.stderr


def test_colour_is_for_terminals(worker, machines):
    def through_a_terminal(**environment):
        leader, follower = pty.openpty()
        env = (
            {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"} | environment
        )
        with subprocess.Popen(
            [sys.executable, "-m", "podroutes", "plan", "-i", str(machines)], stdout=follower, env=env
        ) as process:
            process.wait()
        os.close(follower)
        text = os.read(leader, 65536).decode()
        os.close(leader)
        return text

    assert "\x1b[38;5;28m+\x1b[0m" in through_a_terminal()
    assert "\x1b" not in through_a_terminal(NO_COLOR="1")
    assert "\x1b" not in run("plan", "-i", str(machines)).stdout
