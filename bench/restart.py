"""Agents whose API server restarts without its history: how soon the route of a node that is created after /readyz is on every machine."""

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.cluster import Cluster
from bench.pairing import Result
from bench.sandbox import SCRATCH, ip
from podroutes.kernel.watch import KernelWatch
from podroutes.lab import syscalls
from podroutes.model.address import Prefix, parse_address, parse_prefix
from podroutes.model.cluster import Node

OPERATION = "restart of an API server"
AGENTS = 30
_ROUNDS = 5
_DOWN = 5.0  # seconds; a static pod is restarted in about so many
_BRIDGE = "lan"
_SERVER = "10.254.0.1"
_LIMIT = 60.0  # seconds for a route


def measure() -> Result:
    """Return the seconds from the call that creates a node, made after /readyz, to its route, over all agents and rounds."""
    ip(
        f"link add {_BRIDGE} type bridge",
        f"address add {_SERVER}/16 dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
    )
    taken: list[float] = []
    with Cluster(AGENTS, _node, (_SERVER, 0)) as cluster:
        machines = [_Machine(number, cluster.url) for number in range(AGENTS)]
        try:
            for machine in machines:
                machine.wait_for(_pods((machine.number + 1) % AGENTS))
            for number in range(AGENTS, AGENTS + 2 * _ROUNDS, 2):
                cluster.restart(number, _DOWN)
                created = cluster.join(number + 1)
                for machine in machines:
                    machine.ask(_pods(number + 1))
                taken += [machine.answer() - created for machine in machines]
        finally:
            for machine in machines:
                machine.end()
            ip(f"link delete {_BRIDGE}")
    return {
        "operation": OPERATION,
        "routes": 0,
        "agents": AGENTS,
        "node created after /readyz to its route, p50, s": round(statistics.median(taken), 2),
        "node created after /readyz to its route, max, s": round(max(taken), 2),
    }


def _node(number: int) -> Node:
    return Node(f"worker-{number}", (parse_address(f"10.254.1.{number + 1}"),), (_pods(number),))


def _pods(number: int) -> Prefix:
    return parse_prefix(f"10.0.{number}.0/24")


class _Machine:
    """A machine with an agent, in namespaces of its own, that tells when a route came."""

    def __init__(self, number: int, url: str) -> None:
        self.number = number
        ours, theirs = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                _close_all_but(ours[0], theirs[1])  # those of other machines would keep these from their end
                _live(number, url, ours[0], theirs[1])
                status = 0
            except BaseException:  # noqa: BLE001, a child must not go on as its parent
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        os.close(ours[0])
        os.close(theirs[1])
        self._orders, self._answers = os.fdopen(ours[1], "w"), os.fdopen(theirs[0])
        self._answers.readline()  # it has left our namespaces
        ip(
            f"link add port{number} type veth peer name ens18 netns {self._pid}",
            f"link set port{number} master {_BRIDGE} up",
        )
        self._order("go")

    def wait_for(self, dst: Prefix) -> None:
        """Wait until there is a route to DST."""
        self.ask(dst)
        self.answer()

    def ask(self, dst: Prefix) -> None:
        """Ask when a route to DST comes, or came."""
        self._order(str(dst))

    def answer(self) -> float:
        """Return the answer, in seconds of the monotonic clock."""
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"machine {self.number}: {(SCRATCH / f'agent-{self.number}.log').read_text()[-2000:]}")
        return float(line)

    def end(self) -> None:
        """End the agent and the namespaces."""
        for stream in (self._orders, self._answers):
            with suppress(OSError):
                stream.close()
        os.waitpid(self._pid, 0)

    def _order(self, line: str) -> None:
        print(line, file=self._orders, flush=True)


def _close_all_but(*descriptors: int) -> None:
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor not in descriptors:
            with suppress(OSError):
                os.close(descriptor)


def _live(number: int, url: str, orders: int, answers: int) -> None:
    """Be machine NUMBER until ORDERS ends."""
    syscalls.unshare(syscalls.NEWNET | syscalls.NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
    os.write(answers, b"here\n")
    lines = _lines(orders)
    next(lines)
    log = (SCRATCH / f"agent-{number}.log").open("w")
    state = SCRATCH / f"state-{number}"
    config = SCRATCH / f"kubeconfig-{number}"
    context = {"name": "bench", "context": {"cluster": "bench", "user": ""}}
    clusters = [{"name": "bench", "cluster": {"server": url}}]
    config.write_text(json.dumps({"clusters": clusters, "contexts": [context], "current-context": "bench"}))
    words = ["--kubernetes", "--kubeconfig", str(config), "--node", f"worker-{number}", "--log", "text"]
    Path("/run/podroutes").mkdir(exist_ok=True)
    syscalls.mount("tmpfs", "/run/podroutes", "tmpfs")  # a machine has a lock of its own
    ip(f"address add 10.254.1.{number + 1}/16 dev ens18", "link set ens18 up", "link set lo up")
    with KernelWatch(0) as watch:
        command = [sys.executable, "-m", "podroutes", "agent", *words, "--state-dir", str(state)]
        agent = subprocess.Popen(command, stderr=log)
        came: dict[Prefix, float] = {}
        try:
            for line in lines:
                dst = parse_prefix(line.strip())
                end = time.monotonic() + _LIMIT
                while dst not in came:
                    _hear(watch, came, end)
                os.write(answers, f"{came[dst]}\n".encode())
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait()


def _hear(watch: KernelWatch, came: dict[Prefix, float], end: float) -> None:
    """Record in CAME when routes came. Raises TimeoutError at END."""
    if not select.select([watch], [], [], max(0.0, end - time.monotonic()))[0]:
        raise TimeoutError("a route does not come")
    now = time.monotonic()
    for dst in watch.read({}).added:
        came.setdefault(dst, now)


def _lines(descriptor: int) -> Iterator[str]:
    with os.fdopen(descriptor) as stream:
        yield from iter(stream.readline, "")
