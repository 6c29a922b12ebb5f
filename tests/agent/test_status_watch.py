"""``status --wait`` and ``--watch`` follow an agent, also where it starts later."""

import signal
import subprocess
import sys

import pytest

from podroutes.cli import main
from support.waiting import until

PEER = ("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24")


@pytest.fixture
def watching(tmp_path, worker):
    """Start ``podroutes status`` with its output in files; return the process and what it has said."""
    processes = []

    def begin(*words):
        out, err = tmp_path / "out", tmp_path / "err"
        with out.open("w") as output, err.open("w") as errors:
            processes.append(
                subprocess.Popen([sys.executable, "-m", "podroutes", "status", *words], stdout=output, stderr=errors)
            )
        return processes[-1], out.read_text, err.read_text

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_wait_waits_for_an_agent_that_starts_later(watching, start, nodes):
    nodes(*PEER)
    process, out, _ = watching("--wait", "60")
    start().ready()
    assert process.wait(60) == 0
    assert out().startswith("worker-0  in sync\n")


def test_watch_prints_what_changes_until_it_is_interrupted(watching, start, nodes, worker):
    nodes(*PEER)
    agent = start().ready()
    process, out, err = watching("--watch")
    until(lambda: "worker-0  in sync\n" in out())
    nodes(*PEER, "worker-2 192.168.8.22 10.200.1.0/24")
    until(lambda: "duplicate-pod-cidr" in out())
    assert out().count("worker-0  ") == 2
    agent.end()
    until(lambda: "no agent answers" in err())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert err().count("\n") == 1


def test_either_or(worker, capsys):
    assert main(["status", "--wait", "--watch"]) == 1
    assert "leave one out" in capsys.readouterr().err
