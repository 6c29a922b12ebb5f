"""One lock a machine: whoever changes it, kernel and files are those of one inventory, and who has to wait is told for whom."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from persist.machine import CHECKOUT, MACHINES
from persist.managers import Ifupdown
from podroutes.errors import LockedError
from podroutes.host import machine_lock
from podroutes.host.machine_lock import locked
from support.users import NOBODY, others

HOLD = """
import sys
from podroutes.host.machine_lock import locked
with locked(sys.argv[1], 60):
    print("here", flush=True)
    sys.stdin.read()
"""
COUNT = """
import sys
from pathlib import Path
from podroutes.host.machine_lock import locked
path = Path(sys.argv[1])
for _ in range(20):
    with locked("apply", 120):
        path.write_text(str(int(path.read_text()) + 1))
"""
HOOK = "/etc/network/if-up.d/podroutes"
PAIRS = int(os.environ.get("PAIRS", "8"))  # of runs at once; PAIRS=100 ./dev test tests/persist/test_lock.py -k at_once
INVENTORIES = {
    "/etc/podroutes/one": MACHINES,
    "/etc/podroutes/two": MACHINES.replace("192.168.8.21", "192.168.8.31").replace("192.168.8.22", "192.168.8.32"),
}


def begin(text, *words, user=None, python=sys.executable):
    """Start a Python that runs TEXT."""
    return subprocess.Popen(
        [python, "-c", text, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        cwd="/",
        env=os.environ | {"PYTHONPATH": f"{CHECKOUT}/src"},
    )


@pytest.fixture
def holder():
    """Return what starts a process that has the lock for a command, until it is told to end."""
    started = []

    def hold(command):
        process = begin(HOLD, command)
        started.append(process)
        assert process.stdout.readline() == "here\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("command", ["apply", "remove", "agent"])
def test_who_has_the_lock_is_told(holder, command):
    process = holder(command)
    with (
        pytest.raises(LockedError, match=rf"^podroutes {command} \(process {process.pid}\) is changing"),
        locked("apply", 0),
    ):
        pass


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_the_lock_goes_with_its_process(holder, end):
    process = holder("apply")
    waited = []

    def leave(who):
        waited.append(who)
        threading.Thread(target=lambda: process.send_signal(end) if end else process.stdin.close()).start()

    with locked("remove", 60, leave):
        assert waited == [f"podroutes apply (process {process.pid})"]


def test_one_has_it_after_the_other(tmp_path):
    """Each reads a number, adds one, and writes it: a number that two read at once would be lost."""
    number = tmp_path / "number"
    number.write_text("0")
    for process in [begin(COUNT, str(number)) for _ in range(4)]:
        process.communicate()
        assert process.returncode == 0
    assert number.read_text() == "80"


@pytest.mark.parametrize("listening", [".listen()", ""])
def test_a_stranger_with_the_name_keeps_nobody_from_their_work(listening, python):
    if why := others():
        pytest.skip(why)
    text = f"import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(b'\\0{machine_lock.NAME}'); s{listening or '.fileno()'}"
    process = begin(f"{text}; print('here', flush=True); sys.stdin.read()", user=NOBODY, python=python)
    try:
        assert process.stdout.readline() == "here\n"
        with locked("apply", 0):
            pass
    finally:
        process.kill()
        process.communicate()


def test_whoever_pushes_is_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "push.lock"
    monkeypatch.setattr(machine_lock, "PUSH", str(file))
    process = subprocess.Popen(
        ["flock", file, "sh", "-c", f'echo "podroutes push from 192.168.8.9" >"{file}"; echo here; read -r line'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "here\n"
    with pytest.raises(LockedError, match=r"^podroutes push from 192\.168\.8\.9 is changing"), locked("apply", 0):
        pass
    with locked("apply", 60, lambda _: process.stdin.close()):
        assert file.read_text() == f"podroutes apply (process {os.getpid()})\n"
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("other", ["apply", "remove"])
def test_two_at_once_leave_what_one_of_them_wanted(machine, other):
    manager = Ifupdown(machine)
    manager.configure()
    manager.boot()
    for path, text in INVENTORIES.items():
        machine.write(path, text)
    machine.podroutes("apply", "--persist", "auto")
    for _ in range(PAIRS):
        first, second = (("apply", "--persist", "auto", "-i", path, "--node", "worker-0") for path in INVENTORIES)
        both = [machine.begin(*words) for words in (first, second if other == "apply" else ("remove",))]
        assert [each.wait() for each in both] == [0, 0]
        text = machine.read(HOOK) if machine.exists(HOOK) else ""
        written = re.findall(r"^route add (\S+ via \S+) ", text, re.MULTILINE)
        assert [route for route, _ in machine.routes()] == written
