"""A lab lives as long as its holder, whoever made it, and then nothing of it is left."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab.conftest import made
from lab.looking import holders, networks, pid_of, users_of
from podroutes.errors import LabError
from podroutes.lab import registry
from podroutes.lab.holder import start
from podroutes.lab.topology import default_cluster
from support.users import others, unprivileged
from support.waiting import until


def test_down_leaves_nothing_and_can_be_repeated(lab):
    inside = networks(lab)
    assert len(inside) == 7
    holder = pid_of(lab)
    assert len(users_of(inside)) == 1  # the holder stays in the last one that it made
    assert "gone" in lab("down").stdout
    assert "nothing to do" in lab("down").stdout
    assert str(holder) not in holders()
    assert users_of(inside) == []
    assert f'no lab "{lab.name}"' in lab("status", status=1).stderr


def test_what_runs_inside_ends_with_the_lab(lab):
    with lab.tool.popen("lab", "exec", "--name", lab.name, "worker-1", "--", "sleep", "1000") as sleeper:
        inside = networks(lab)
        until(lambda: len(users_of(inside)) == 2)
        lab("down")
        assert sleeper.wait(10) == 128 + signal.SIGKILL
    assert users_of(inside) == []


def test_a_killed_holder_takes_everything_along_and_its_name_is_free_again(lab):
    inside, holder = networks(lab), pid_of(lab)
    with lab.tool.popen("lab", "exec", "--name", lab.name, "pod@worker-0", "--", "sleep", "1000") as sleeper:
        until(lambda: len(users_of(inside)) == 2)
        os.kill(holder, signal.SIGKILL)
        assert sleeper.wait(10) == 128 + signal.SIGKILL
    until(lambda: str(holder) not in holders())
    assert users_of(inside) == []
    assert lab.name not in lab.tool("lab", "status").stdout
    assert "nothing to do" in lab("down").stdout
    lab("up")
    assert lab.on("worker-0", "hostname") == "worker-0"


def test_it_survives_the_death_of_the_whole_session_that_made_it(tool, name):
    maker = [*tool.command, "lab", "up", "--name", name]
    script = '"$@" >/dev/null && kill -KILL 0'
    died = subprocess.run(["sh", "-c", script, "sh", *maker], env=tool.environment, start_new_session=True, check=False)
    assert died.returncode == -signal.SIGKILL
    assert tool("lab", "exec", "--name", name, "worker-2", "--", "hostname").stdout == "worker-2\n"
    tool("lab", "down", "--name", name)


def test_up_holds_no_pipe_of_its_caller_open(lab):
    """Else this very fixture would wait for ever for the end of the output of `lab up`."""
    fds = {str(link.readlink()) for link in Path(f"/proc/{pid_of(lab)}/fd").iterdir()}
    assert {fd.partition(":")[0] for fd in fds} == {"/dev/null", "socket"}


def test_the_callers_network_is_untouched(tool, name):
    def everything() -> list[str]:
        return [
            subprocess.run(["ip", "-j", *words.split()], capture_output=True, text=True, check=True).stdout
            for words in ("route show table all", "address", "-6 route", "link", "neighbour", "rule")
        ]

    before = everything()
    tool("lab", "up", "--name", name)
    during = everything()
    tool("lab", "down", "--name", name)
    assert before == during == everything()


def test_two_at_once_of_one_name_make_one_lab(root, name):
    both = [root.popen("lab", "up", "--name", name, stdout=-3, stderr=subprocess.PIPE, encoding="utf-8") for _ in "ab"]
    complaints = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert f'podroutes: the lab "{name}" is already up' in "".join(complaints)
    root("lab", "down", "--name", name)


def test_down_all_ends_every_lab_of_this_user(nobody, name):
    for suffix in ("a", "b"):
        nobody("lab", "up", "--name", name + suffix, "--nodes", "1")
    assert {name + "a", name + "b"} <= {
        lab["name"] for lab in json.loads(nobody("lab", "status", "-o", "json").stdout)["labs"]
    }
    nobody("lab", "down", "--all")
    assert nobody("lab", "status").stdout.startswith("no lab is up: make one with ")


# Makes a lab, shows and ends all, in a PID namespace of its own: a lab made outside is another container's there.
CONTAINER = """\
"$@" lab up --name "$OWN" --nodes 1 >/dev/null || exit
"$@" lab status; echo "status: $?"
"$@" lab status -o json
"$@" lab down --all; echo "down: $?"
"""


def test_a_lab_of_another_container_hides_and_keeps_no_other(root, name):
    own = f"{name}-own"
    with made(root, name, "--nodes", "1") as lab:
        words = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", CONTAINER, "sh", *root.command]
        environment = root.environment | {"OWN": own}
        done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8", check=True)
        shown, ended = done.stdout.split("status: 1\n")
        assert f'lab "{own}": 1 machine with 1 pod' in shown
        document, _, gone = ended.partition("\n")
        assert [each["name"] for each in json.loads(document)["labs"]] == [own]
        assert [each["name"] for each in json.loads(document)["errors"]] == [name]
        assert gone == f'lab "{own}": gone, with everything that ran in it\ndown: 1\n'
        complaint = f'podroutes: the lab "{name}" belongs to another container (PID namespace): end it there, or use another --name'
        assert done.stderr.splitlines() == [complaint] * 3
        assert lab.on("worker-0", "hostname") == "worker-0"


def test_a_lab_of_another_user_hides_and_keeps_no_other(root, name, python):
    """Anybody can take the name that a lab of ours would have."""
    if why := others():
        pytest.skip(why)
    address = f"\\0podroutes-lab/{os.geteuid()}/{name}-taken"
    script = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{address}'); s.listen(); print(flush=True); time.sleep(60)"
    with subprocess.Popen([*unprivileged(), python, "-c", script], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        root("lab", "up", "--name", name, "--nodes", "1")
        shown = root("lab", "status", status=1)
        ended = root("lab", "down", "--all", status=1)
        other.kill()
    assert f'lab "{name}": 1 machine' in shown.stdout
    assert f'lab "{name}": gone' in ended.stdout
    for said in (shown.stderr, ended.stderr):
        assert said.startswith(f'podroutes: the lab "{name}-taken" belongs to user 65534: ')
        assert said.count("\n") == 1


def test_a_stopped_holder_is_named_and_can_be_ended(root, name, monkeypatch):
    monkeypatch.setattr(registry, "_PATIENCE", 0.2)
    root("lab", "up", "--name", name)
    lab = registry.find(name)
    os.close(lab.pidfd)
    os.kill(lab.pid, signal.SIGSTOP)
    with pytest.raises(LabError, match=f"does not answer.*kill -CONT {lab.pid}"):
        registry.find(name)
    assert registry.end(name)
    assert not registry.end(name)


def test_a_failure_in_the_middle_leaves_nothing(root, name, tmp_path):
    """An ip(8) that fails on the pods' bridges stands for whatever may go wrong after namespaces were made."""
    broken = tmp_path / "ip"
    broken.write_text('#!/bin/sh\ncase "$2" in worker-1) echo "No such thing" >&2; exit 1;; esac\nexec /sbin/ip "$@"\n')
    broken.chmod(0o755)
    before = holders()
    environment = {**root.environment, "PATH": f"{tmp_path}:{root.environment['PATH']}"}
    failed = root("lab", "up", "--name", name, status=1, env=environment)
    assert failed.stderr == "podroutes: worker-1: `ip -batch` failed: No such thing\n"
    until(lambda: holders() == before)
    assert name not in registry.names()


def test_a_caller_that_does_not_wait_gets_no_lab(name):
    """Ctrl-C during `up`: the holder notices that nobody wants its report."""
    before = holders()
    child = os.fork()
    if child == 0:
        try:
            os.waitpid = lambda *_: os._exit(0)  # type: ignore[assignment]
            start(default_cluster(3), registry.reserve(name))
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    until(lambda: name not in registry.names())
    until(lambda: holders() == before)


def test_two_hundred_nodes_with_full_routes(nobody, name):
    """Every pod reaches every pod, though their neighbour entries are many times what the kernel's limit allows."""
    count = 200
    nobody("lab", "up", "--name", name, "--nodes", str(count))
    try:
        script = (
            "import subprocess\n"
            f"for node in range({count}):\n"
            "    routes = ''.join(f'route add 10.200.{other}.0/24 via 192.168.8.{20 + other}\\n'\n"
            f"                     for other in range({count}) if other != node)\n"
            "    subprocess.run(['ip', '-n', f'worker-{node}', '-batch', '-'], input=routes, text=True, check=True)\n"
        )
        nobody("lab", "exec", "--name", name, "switch", "--", nobody.command[-3], "-c", script)
        answers = json.loads(nobody("lab", "ping", "--name", name, "-o", "json").stdout)
        pairs = count * (count - 1)
        assert (answers["pairs"], answers["answered"], answers["failures"]) == (pairs, pairs, [])
        nobody("lab", "exec", "--name", name, "worker-5", "--", "ip", "route", "delete", "10.200.7.0/24")
        text = nobody("lab", "ping", "--name", name, status=1).stdout
        assert text.splitlines() == [
            "2 of 39800 packets were not answered:",
            "  pod on worker-5 → worker-7 (10.200.7.2): no answer",
            "  pod on worker-7 → worker-5 (10.200.5.2): no answer",
        ]
    finally:
        nobody("lab", "down", "--name", name)


def test_root_without_cap_net_admin_makes_a_lab_as_a_user_does(root, name):
    """A container's root may have CAP_SYS_ADMIN alone, as that of systemd-nspawn has."""
    less = root._replace(command=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", *root.command])
    with made(less, name, "--nodes", "1") as lab:
        assert "ens18" in lab.on("worker-0", "ip", "-br", "link")


def test_where_proc_sys_is_read_only_a_lab_has_its_own(root, name):
    """Where a /proc of its own may be mounted: the root of a user namespace may not uncover what the host has covered, and is told so."""
    script = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    covered = root._replace(command=["unshare", "--mount", "sh", "-c", script, "sh", *root.command])
    done = covered("lab", "up", "--name", name, "--nodes", "1", status=None)
    root("lab", "down", "--name", name, status=None)
    mounting = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc"]
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *mounting], check=False, capture_output=True
    )
    assert (done.returncode == 0) == (tried.returncode == 0), done.stderr
    assert not tried.returncode or "containers may mount /proc/sys read-only" in done.stderr
