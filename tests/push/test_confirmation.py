"""Confirmed commit: a machine keeps what a workstation that still reaches it confirms, and else takes it back by itself."""

import itertools
import re
import sys

import pytest

from podroutes.push.scripts import DECIDE
from push.test_push import ALL, routes
from support.waiting import until

FIRST = ("--limit", "worker-0", "-o", "json")
HOLD = """
import sys
from podroutes.host.machine_lock import locked
with locked("apply", 60):
    print("here", flush=True)
    sys.stdin.read()
"""
QUICK = ("--confirm-timeout", "5", "--timeout", "3")


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("before 1", "unchanged"),  # it is read
        ("after 1", "unchanged"),
        ("before 2", "unchanged"),  # the changes are sent
        ("late 2", "unchanged"),  # they come in when they have been given up
        ("after 2", "rolled-back"),
        ("before 3", "applied"),  # it is looked at again
        ("after 3", "applied"),
        ("before 4", "applied"),  # it is confirmed
        ("after 4", "applied"),
    ],
)
def test_a_connection_lost_at_any_step_leaves_a_machine_before_or_after(site, fault, state):
    site.gated("worker-0", fault)
    done = site.push("apply", *FIRST)
    told = done.nodes["worker-0"]
    assert (told["state"], done.status) == (state, 0 if state == "applied" else 1)
    assert bool(told["error"]) == (state != "applied")
    assert site.routes("worker-0") == (ALL["worker-0"] if state == "applied" else [])
    if fault == "late 2":
        until(lambda: site.on("worker-0", "ls", "/run/podroutes/over", check=False))
        assert site.routes("worker-0") == []


def test_a_machine_that_hangs_after_the_change_rolls_back_by_itself(site):
    """What was there before is there again: what was added, replaced and deleted."""
    site.on("worker-0", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.22", "proto", "107")
    site.on("worker-0", "ip", "route", "add", "10.200.9.0/24", "via", "192.168.8.22", "proto", "107", "metric", "7")
    before = site.routes("worker-0")
    site.gated("worker-0", "hang from 3")
    push = site.begin("apply", *FIRST, *QUICK)
    until(lambda: site.routes("worker-0") == ALL["worker-0"])
    until(lambda: site.routes("worker-0") == before)
    done = push.done()
    assert (done.status, done.nodes["worker-0"]["state"]) == (1, "rolled-back")
    assert [change["applied"] for change in done.nodes["worker-0"]["changes"]] == [False] * 3


def test_a_machine_that_answers_no_more_is_said_to_roll_back_by_itself_and_does(site):
    site.gated("worker-0", "dead from 3")
    done = site.push("apply", *FIRST, *QUICK)
    told = done.nodes["worker-0"]
    assert (done.status, told["state"]) == (1, "returning")
    assert told["rolls_back_at"]
    until(lambda: site.routes("worker-0") == [])


def test_a_workstation_that_dies_leaves_the_machine_as_it_was(site):
    site.gated("worker-0", "dead from 3")
    push = site.begin("apply", *FIRST, *QUICK)
    until(lambda: site.routes("worker-0") == ALL["worker-0"])
    push.kill()
    until(lambda: site.routes("worker-0") == [])


def test_a_machine_that_no_longer_reaches_another_goes_back(site):
    site.gated("worker-0", "hold 3")
    push = site.begin("apply", *FIRST, "--confirm-timeout", "60", "--timeout", "60")
    until(lambda: site.routes("worker-0") == ALL["worker-0"])
    site.stop("worker-1")
    site.on("worker-0", "touch", "/run/podroutes/go")
    told = push.done().nodes["worker-0"]
    assert (told["state"], told["error"]) == ("rolled-back", "it no longer reaches 192.168.8.21")
    assert site.routes("worker-0") == []


def test_nothing_of_a_confirmed_push_is_left_on_the_machine(site):
    site.push("apply", *FIRST)
    until(lambda: site.on("worker-0", "sh", "-c", "ls -d /run/podroutes/push.*") == "/run/podroutes/push.lock")
    until(lambda: site.on("worker-0", "sh", "-c", "flock -n /run/podroutes/push.lock echo free", check=False) == "free")


def test_two_pushes_at_once_do_not_mix(site):
    site.gated("worker-0", "dead from 3")
    push = site.begin("apply", *FIRST, "--confirm-timeout", "600")
    until(lambda: site.routes("worker-0") == ALL["worker-0"])
    push.kill()
    site.on("worker-0", "ip", "route", "del", "10.200.1.0/24")
    site.again("worker-0")
    second = site.push("apply", *FIRST)
    told = second.nodes["worker-0"]
    assert (second.status, told["state"]) == (1, "unchanged")
    assert "another push is changing it" in told["error"]
    assert site.routes("worker-0") == ALL["worker-0"][1:]


def test_push_says_which_other_command_changes_the_machine(site):
    holder = site.begin_on("worker-0", sys.executable, "-c", HOLD)
    assert holder.stdout.readline() == "here\n"
    told = site.push("apply", *FIRST).nodes["worker-0"]
    assert told["state"] == "unchanged"
    assert re.search(r"podroutes apply \(process \d+\) is changing it", told["error"])
    assert site.routes("worker-0") == []
    holder.communicate("")
    assert site.push("apply", *FIRST).status == 0


def test_a_route_that_was_not_added_is_not_taken_back(site):
    """Somebody adds our very route between reading and writing: the change fails, and taking back leaves theirs."""
    site.gated("worker-0", "slow 2")
    push = site.begin("apply", *FIRST, *QUICK)
    until(lambda: site.on("worker-0", "cat", "/run/podroutes/number", check=False) == "2")
    site.on("worker-0", "ip", "route", "add", *ALL["worker-0"][0].split(), "proto", "107")
    site.fault("worker-0", "hang from 1")
    done = push.done()
    told = done.nodes["worker-0"]
    assert (done.status, told["state"]) == (1, "rolled-back")
    assert site.routes("worker-0") == ALL["worker-0"][:1]


def test_what_the_kernel_refuses_is_told_and_the_rest_stands(site):
    site.gated("worker-0", "slow 2")
    push = site.begin("apply", "--limit", "worker-0")
    until(lambda: site.on("worker-0", "cat", "/run/podroutes/number", check=False) == "2")
    site.on("worker-0", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.22", "proto", "static")
    done = push.done()
    assert done.status == 1
    assert "failed add 10.200.1.0/24 via 192.168.8.21 dev ens18: File exists (someone else added a route" in done.err
    assert "worker-0  applied  1 added, 1 failed" in done.out
    assert site.routes("worker-0") == ALL["worker-0"][1:]
    site.on("worker-0", "ip", "route", "del", "10.200.1.0/24", "proto", "static")


def test_of_confirmation_and_rollback_exactly_one_wins(site):
    """Confirmations come in while the machine decides to go back: it did one of the two, whole, and says which."""
    script = f"""
    i=0
    while [ $i -lt 40 ]; do
        i=$((i + 1)); token=$(printf %016x $i); dir=/run/podroutes/push.$token
        mkdir $dir; : >$dir/files
        (mkdir $dir/decided 2>/dev/null && : >$dir/decided/back) &
        echo "$token keep" | sh -c '{DECIDE.replace("'", "'" + '"' + "'" + '"' + "'")}' | grep -E '^@ (kept|gone|back|waiting)'
        wait
        if [ -d $dir ]; then echo BACK; else echo KEPT; fi
    done
    """
    said = [line.removeprefix("@ ") for line in site.on("worker-0", "sh", "-c", script).splitlines()]
    pairs = (
        list(itertools.batched(said, 2))
        if hasattr(itertools, "batched")
        else list(zip(said[::2], said[1::2], strict=True))
    )
    assert len(pairs) == 40
    assert {pair for pair in pairs if pair not in {("back", "BACK"), ("waiting", "BACK"), ("kept", "KEPT")}} == set()


def test_a_canary_that_fails_keeps_the_others_as_they_are(site):
    site.gated("worker-0", "hang from 3")
    done = site.push("apply", *"-o json --canary 2 --max-failures 9".split(), *QUICK)
    assert done.status == 1
    assert {node: each["state"] for node, each in done.nodes.items()} == {
        "worker-0": "rolled-back",
        "worker-1": "unchanged",
        "worker-2": "unchanged",
    }
    assert done.nodes["worker-1"]["error"] == "not begun: a canary failed"
    assert routes(site) == {node: [] for node in ALL}


@pytest.mark.parametrize(("most", "third"), [("1", "unchanged"), ("2", "applied")])
def test_no_machine_is_begun_after_too_many_failures(site, most, third):
    site.gated("worker-0", "hang from 3")
    done = site.push(*f"apply -o json --canary 0 --parallel 1 --max-failures {most}".split(), *QUICK)
    assert done.status == 1
    assert done.nodes["worker-2"]["state"] == third


def test_ctrl_c_finishes_what_was_begun_and_begins_nothing_else(site):
    site.gated("worker-0", "slow 2")
    push = site.begin("apply", "-o", "json", "--parallel", "1")
    until(lambda: site.on("worker-0", "cat", "/run/podroutes/number", check=False) == "2")
    push.interrupt()
    done = push.done()
    assert done.status == 130
    assert {node: each["state"] for node, each in done.nodes.items()} == {
        "worker-0": "applied",
        "worker-1": "unchanged",
        "worker-2": "unchanged",
    }
    assert routes(site) == {node: ALL[node] if node == "worker-0" else [] for node in ALL}


def test_ctrl_c_twice_leaves_machines_to_roll_back_by_themselves(site):
    site.gated("worker-0", "dead from 3")
    push = site.begin("apply", "-o", "json", "--confirm-timeout", "5", "--timeout", "30")
    until(lambda: site.routes("worker-0") == ALL["worker-0"])
    push.interrupt()
    until(lambda: site.on("worker-0", "cat", "/run/podroutes/fault") == "dead")
    push.interrupt()
    done = push.done()
    assert (done.status, done.nodes["worker-0"]["state"]) == (130, "returning")
    until(lambda: routes(site) == {node: [] for node in ALL})


def test_ctrl_c_while_reading_changes_nothing(site):
    site.gated("worker-0", "dead from 1")
    push = site.begin("apply", "-o", "json", "--timeout", "30")
    until(lambda: site.on("worker-0", "cat", "/run/podroutes/fault") == "dead")
    push.interrupt()
    done = push.done()
    assert (done.status, done.out) == (130, "")
    assert "interrupted while reading; nothing was changed" in done.err
    assert routes(site) == {node: [] for node in ALL}
