"""Whichever two of an agent's surroundings fail at once, it heals what it has, says what is wrong, and ends in sync."""

import itertools
import json
import os
import random
import socket
import sys
import time
from contextlib import suppress

import pytest

from agent.conftest import Agent, kill, until, write
from agent.test_kubernetes import Cluster
from podroutes.host import agent_lock
from podroutes.lab.api.faults import Fault

# Of each pair; `./dev faults` gives each one a minute. Every pair has as many rounds as it needs to notice all faults in any case.
SECONDS = float(os.environ.get("PODROUTES_FAULT_SECONDS", "0"))
ROUNDS = 4
ALL = ("stdout", "stderr", "state", "inventory", "socket", "API")
PAIRS = [
    pair for pair in itertools.combinations(ALL, 2) if set(pair) != {"inventory", "API"}
]  # an agent has one source
MEMBERS = 60 if SECONDS else 12  # of the cluster: no route is taken away so often that it would be put back later
OWN = "worker-0 192.168.8.20 10.200.0.0/24"

# An agent that waits for milliseconds where others wait for seconds, and whose log has room for some lines.
IMPATIENT = """
import sys
from podroutes.agent import log, saved_nodes, source
from podroutes.cli import main
from podroutes.kubernetes import reflector
log._QUEUED = 1000
saved_nodes._RETRY = source.LAST_RETRY = source.POLL = 0.1
reflector._FIRST, reflector._LONGEST, reflector._LONGEST_SMALL = 0.001, 0.02, 0.02
reflector._SPREAD_SMALL = reflector._SPREAD_LARGE = 0.02
sys.exit(main(sys.argv[1:]))
"""


def member(number):
    return f"worker-{number} 192.168.8.{20 + number} 10.200.{number}.0/24"


def way(number):
    return f"10.200.{number}.0/24 via 192.168.8.{20 + number}"


class Surroundings:
    """What an agent depends on. ``spoil`` makes one of it fail, again each time; ``mend`` ends that."""

    def __init__(self, path, cluster):
        self.path, self.cluster = path, cluster
        self.chance = random.Random(5)
        self.members = list(range(1, MEMBERS + 1))
        self.clients = []
        self.reader, self.writer = os.pipe()
        self.spoiled = set()
        for number in self.members if cluster else ():
            cluster.join(number)
        self.publish()

    def publish(self):
        """Write the inventory, unless it is spoiled."""
        if not self.cluster and "inventory" not in self.spoiled:
            with suppress(IsADirectoryError):
                (self.path / "nodes.json").rmdir() if (self.path / "nodes.json").is_dir() else None
            write(self.path / "nodes.json", OWN, *map(member, self.members))

    def join(self):
        """Add a node."""
        self.members.append(self.members[-1] + 1)
        if self.cluster:
            self.cluster.join(self.members[-1])
        self.publish()

    def spoil(self, name):
        """Make NAME fail, in another way than before where there are several."""
        self.spoiled.add(name)
        if name == "state":
            (self.path / "state").touch()
        elif name == "inventory":
            path = self.path / "nodes.json"
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            kind = self.chance.choice(("half", "fifo", "directory"))
            {
                "half": lambda: path.write_text('{"nodes": [{"name": "wor'),
                "fifo": lambda: os.mkfifo(path),
                "directory": path.mkdir,
            }[kind]()
        elif name == "socket":
            self.hang_up()
            for _ in range(40):
                self.clients.append(socket.create_connection(("127.0.0.1", 9107), timeout=60))
                client = socket.socket(socket.AF_UNIX)
                client.connect(agent_lock._NAME)
                self.clients.append(client)
        elif name == "API":
            kind = self.chance.choice(
                ("reset", "garbage", "gone", "status")
            )  # an empty list is a wiped cluster's, and held
            self.cluster.api.faults.add(Fault(kind=kind, count=3))
            self.cluster.api.hang_up(b'{"type":"ADDED","object":{"kind":"No')

    def mend(self):
        """Have everything work again."""
        self.spoiled.clear()
        state = self.path / "state"
        if state.is_file():
            state.unlink()
        self.hang_up()
        if self.cluster:
            self.cluster.api.faults.clear()
        self.publish()

    def drain(self):
        """Read what waits in the pipe of standard error."""
        os.set_blocking(self.reader, False)
        with suppress(BlockingIOError):
            while os.read(self.reader, 1 << 16):
                pass

    def hang_up(self):
        """Close the connections that say nothing."""
        for client in self.clients:
            client.close()
        self.clients.clear()

    def close(self):
        """Give everything back."""
        self.hang_up()
        os.close(self.reader)
        os.close(self.writer)


def full(writer):
    """Fill a pipe."""
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)


def told(name, status):
    """Return what STATUS tells of the fault NAME; nothing is told of standard output, where an agent writes nothing."""
    return {
        "stdout": True,
        "stderr": status["counters"]["log_lines_dropped"],
        "state": status["state_error"],
        "inventory": status["source"]["retries"],
        "socket": status["counters"]["connections_refused"],
        "API": status["source"]["retries"],
    }[name]


METRICS = {
    "stderr": "podroutes_log_lines_dropped_total",
    "inventory": "podroutes_source_retries_total",
    "socket": "podroutes_connections_refused_total",
    "API": "podroutes_source_retries_total",
}


@pytest.fixture
def around(worker, tmp_path, pair):
    cluster = Cluster() if "API" in pair else None
    if cluster:
        cluster.join(0)
    made = Surroundings(tmp_path, cluster)
    yield made
    made.close()
    if cluster:
        cluster.api.faults.clear()
        cluster.server.stop()


@pytest.fixture
def agent(around, tmp_path, pair):
    source = ["-i", str(tmp_path / "nodes.json")]
    if around.cluster:
        named = {"name": "lab", "cluster": {"server": around.cluster.server.url}}
        context = {"name": "lab", "context": {"cluster": "lab", "user": ""}}
        config = {"clusters": [named], "contexts": [context], "current-context": "lab"}
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        source = ["--kubernetes", "--kubeconfig", str(tmp_path / "kubeconfig")]
    log = tmp_path / "agent.log"
    log.touch()
    out = str(log) if "stdout" not in pair else "/dev/full"
    actions = [(os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_APPEND, 0o644)]
    if "stderr" in pair:
        full(around.writer)
        actions.append((os.POSIX_SPAWN_DUP2, around.writer, 2))
    else:
        actions.append((os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_APPEND, 0o644))
    command = [sys.executable, "-c", IMPATIENT, "agent", *source, "--node", "worker-0"]
    command += ["--state-dir", str(tmp_path / "state"), "--log", "json"]
    if "state" in pair:
        around.spoil("state")
    made = Agent(os.posix_spawn(sys.executable, command, os.environ, file_actions=actions), log)
    yield made
    kill([made])


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_faults_at_once(around, agent, routes, worker, pair):
    expected = {way(number) for number in around.members}
    until(lambda: set(routes()) == expected)
    end, rounds = time.monotonic() + SECONDS, 0
    while rounds < ROUNDS or time.monotonic() < end:
        for name in pair:
            around.spoil(name)
        if len(around.members) < 150:  # there are addresses for so many
            around.join()
        dst = way(1 + rounds % MEMBERS)
        worker.ip(f"route del {dst} proto 107")
        until(lambda dst=dst: dst in routes(), "a lost route is put back whatever else fails")
        rounds += 1
        time.sleep(1 if SECONDS else 0)  # else so many routes are taken away that some are put back later
    for name in pair:
        until(lambda name=name: told(name, agent.status()), f"nothing is told of {name}")
        if name in METRICS:
            assert f"\n{METRICS[name]} 0\n" not in agent.ask("/metrics")[1]
    around.drain()
    around.mend()
    around.join()
    expected = {way(number) for number in around.members}
    until(lambda: around.drain() or set(routes()) == expected)
    until(lambda: agent.ask("/readyz") == (200, "ok\n"))
    until(lambda: agent.status()["state_error"] is None)
    assert agent.end() == 0
