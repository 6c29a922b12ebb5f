"""Agents that run as processes of their own on worker-0, and ways to wait for what they do."""

import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from podroutes import cli
from support.waiting import PATIENCE, until


def write(path: Path, *nodes: str) -> None:
    """Write an inventory of NODES (``NAME ADDRESS CIDR``) to PATH the way editors do: another file, renamed."""
    rows = [dict(zip(("name", "internalIP", "podCIDR"), each.split(), strict=False)) for each in nodes]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"nodes": rows}))
    new.replace(path)


def forked(log: Path, arguments: list[str], prepare: Callable[[], object], stderr: int | None = None) -> int:
    """Start an agent as a fork of this process, after PREPARE there; that takes a hundredth of the time of a new one.

    STDERR is its standard error in place of LOG; -1 closes it.
    """
    child = os.fork()
    if child:
        return child
    try:
        prepare()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor if stderr is None else stderr, 2) if stderr != -1 else os.close(2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False) if stderr != -1 else None
        status = cli.main(["agent", "--log", "json", *arguments])
        for stream in (sys.stdout, sys.stderr):
            stream and stream.flush()
        os._exit(status)
    except BaseException as error:  # noqa: BLE001, it must not return into the tests
        os.write(2, repr(error).encode())
    os._exit(70)


class Agent:
    """One agent process and what it says to the LOG."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._log = log

    def log(self) -> list[dict[str, Any]]:
        """Return every line that it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines about one kind of event."""
        return [each for each in self.log() if each["event"] == name]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; return its exit status, negative for one that killed it."""
        os.kill(self.pid, number)
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def ended(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of what it serves at PATH; (0, "") while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", 9107, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return its status document, {} while it does not answer."""
        code, body = self.ask("/status")
        return json.loads(body) if code == 200 else {}

    def ready(self) -> "Agent":
        """Wait until it is ready."""
        until(lambda: self.ask("/readyz")[0] == 200, "never ready")
        return self


@pytest.fixture
def start(worker, tmp_path) -> Iterator[Callable[..., Agent]]:
    """Start an agent with more options; its inventory is tmp_path/nodes.json, its state below tmp_path/state."""
    started: list[Agent] = []

    def begin(*options: str, prepare: Callable[[], object] = lambda: None, stderr: int | None = None) -> Agent:
        common = ["-i", str(tmp_path / "nodes.json"), "--node", "worker-0", "--state-dir", str(tmp_path / "state")]
        log = tmp_path / "agent.log"
        started.append(Agent(forked(log, [*common, *options], prepare, stderr), log))
        return started[-1]

    yield begin
    kill(started)


def kill(agents: list[Agent]) -> None:
    """End those of AGENTS that still run."""
    for agent in agents:
        if agent.pid:
            with suppress(ProcessLookupError):
                agent.end(signal.SIGKILL)


@pytest.fixture
def nodes(tmp_path) -> Callable[..., None]:
    """Write the inventory that agents watch."""
    return lambda *rows: write(tmp_path / "nodes.json", *rows)


@pytest.fixture
def routes(worker) -> Callable[[], list[str]]:
    """Return our routes as ``ip route`` shows them, without the device."""
    return lambda: [line.replace(" dev ens18", "") for line in worker.show("route show proto 107")]


@pytest.fixture
def notified(tmp_path, monkeypatch) -> Iterator[socket.socket]:
    """Stand in for systemd: the socket that services notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


__all__ = ["Agent", "kill", "until", "write"]
