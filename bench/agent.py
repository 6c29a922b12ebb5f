"""The agent beside a bare read of the same stream: start, node events, stolen routes, heartbeats, memory."""

import http.client
import json
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import scene
from bench.cluster import Cluster
from bench.pairing import Result
from bench.sandbox import SCRATCH
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelWatch
from podroutes.model.address import Prefix
from podroutes.model.plan import Change

OPERATION = "agent"
_JOINS, _THEFTS, _HEARTBEATS = 100, 200, 1000
_CHANGES = (
    30  # nodes that move, leave or are succeeded: less than a third of those that joined, which the guard would hold
)
_HOUR = 12  # heartbeats of every node: the kubelet writes its status every five minutes
_NEWS = 6.0  # seconds after which the next event has the counters told, which alone are no news
_QUIET = 0.15  # seconds between two events: the agent is to be asleep again
_TICK = os.sysconf("SC_CLK_TCK")
# What reading alone costs: the same request, its lines looked at for their end and thrown away.
_BARE = """
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.netloc)
connection.request("GET", "/api/v1/nodes?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
answer, rest = connection.getresponse(), b""
while b"k8s.io/initial-events-end" not in (block := rest + answer.read1(1 << 18)):
    rest = block[-64:]
"""


def measure(count: int) -> Result:
    """Return what an agent of COUNT nodes takes: times in milliseconds from this side of the kernel, memory in MiB."""
    scene.empty()
    with Cluster(count) as cluster:
        bare = statistics.median(_timed_bare(cluster.url) for _ in range(3))
        began = time.monotonic()
        agent = Agent(cluster.url, count)
        try:
            agent.wait_ready()
            synced = time.monotonic() - began
            figures: dict[str, Any] = {
                "start to in sync, s": round(synced, 2),
                "a bare read of the same stream, s": round(bare, 2),
                "ratio": round(synced / bare, 1),
                "CPU until in sync, s": agent.cpu(),
                "memory, MiB": agent.memory(),
            }
            figures |= percentiles("node created to route in the kernel", _joins(cluster, count))
            joined = range(count, count + _JOINS)
            moving, leaving, ending = joined[:_CHANGES], joined[_CHANGES : 2 * _CHANGES], joined[-_CHANGES:]
            figures |= percentiles("address changed to route replaced", _changes(cluster.move, moving))
            figures |= percentiles("node deleted to route deleted", _changes(cluster.leave, leaving, goes=True))
            figures |= percentiles("podCIDR given to another node", _changes(cluster.succeed, ending))
            figures |= percentiles("route deleted to route back", _thefts())
            figures |= _heartbeats(cluster, agent)
            cluster.beat(count * _HOUR)
            agent.settle()
            figures["memory after an hour of heartbeats, MiB"] = agent.memory()
        finally:
            agent.end()
    return {"operation": OPERATION, "routes": count, **figures}


class Agent:
    """One agent process."""

    def __init__(self, url: str, count: int) -> None:
        config = SCRATCH / "kubeconfig"
        context = {"name": "bench", "context": {"cluster": "bench", "user": ""}}
        cluster = {"name": "bench", "cluster": {"server": url}}
        config.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "bench"}))
        words = ["--kubernetes", "--kubeconfig", str(config), "--node", scene.OWN.name, "--log", "text"]
        state = SCRATCH / f"state-{count}"
        with (SCRATCH / "agent.log").open("w") as log:
            command = [sys.executable, "-m", "podroutes", "agent", *words, "--state-dir", str(state)]
            self._process = subprocess.Popen(command, stderr=log)

    def status(self) -> dict[str, Any]:
        """Return its status document, {} while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", 9107)
        try:
            connection.request("GET", "/status")
            found: dict[str, Any] = json.load(connection.getresponse())
        except ConnectionError:
            return {}
        finally:
            connection.close()
        return found

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        while not self.status().get("ready"):
            if self._process.poll() is not None:
                raise RuntimeError(f"the agent ended: {(SCRATCH / 'agent.log').read_text()}")
            time.sleep(0.005)

    def settle(self) -> None:
        """Wait until it has nothing more to read."""
        before = -1.0
        while before != (now := self.cpu()):
            before = now
            time.sleep(1)

    def cpu(self) -> float:
        """Return how many CPU seconds it has used, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> float:
        """Return how much of it is resident, in MiB."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return round(int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024, 1)

    def end(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


def _timed_bare(url: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _BARE, url], check=True)
    return time.monotonic() - began


def arrival(watch: KernelWatch, dst: Prefix, *, goes: bool = False) -> float:
    """Wait until a route to DST comes, is replaced, or GOES; return when (seconds of the monotonic clock)."""
    while True:
        select.select([watch], [], [])
        heard = watch.read({})
        if dst in (heard.changed - heard.added if goes else heard.added):
            return time.monotonic()


def _joins(cluster: Cluster, count: int) -> Iterator[float]:
    """Yield the seconds between the end of the call that creates a node and its route."""
    with KernelWatch(0) as watch:
        for number in range(count, count + _JOINS):
            time.sleep(_QUIET)
            watch.read({})
            created = cluster.join(number)
            yield arrival(watch, Prefix(4, scene.dst(number), scene.LENGTH)) - created


def _changes(change: Callable[[int], float], numbers: Sequence[int], *, goes: bool = False) -> Iterator[float]:
    """Yield the seconds between the end of CHANGE, the call that changes a node, and its route."""
    with KernelWatch(0) as watch:
        for number in numbers:
            time.sleep(_QUIET)
            watch.read({})
            changed = change(number)
            yield arrival(watch, Prefix(4, scene.dst(number), scene.LENGTH), goes=goes) - changed


def _thefts() -> Iterator[float]:
    """Yield the seconds from before a route is deleted until it is back."""
    with NetlinkKernel() as kernel:
        routes = list(kernel.ours())
        random.Random(5).shuffle(routes)  # noqa: S311, no secret
        with KernelWatch(kernel.port) as watch:
            for route in routes[:_THEFTS]:
                time.sleep(_QUIET)
                watch.read({})
                began = time.monotonic()
                kernel.apply([Change("delete", route)])
                yield arrival(watch, route.dst) - began


def _heartbeats(cluster: Cluster, agent: Agent) -> dict[str, Any]:
    def received() -> int:
        time.sleep(_NEWS)
        cluster.beat(1)
        agent.settle()
        found: int = agent.status()["source"]["bytes"]
        return found

    first, before, passes = received(), agent.cpu(), _passes(agent)
    cluster.beat(_HEARTBEATS - 1)
    agent.settle()
    spent = agent.cpu() - before
    name = f"{_HEARTBEATS:,} heartbeats"
    return {
        f"{name}, CPU ms": round(1000 * spent),
        f"{name}, bytes": received() - first,
        f"{name}, passes": _passes(agent) - passes,
    }


def _passes(agent: Agent) -> int:
    """Return how many whole passes nodes have caused."""
    found: int = agent.status()["counters"]["passes"].get("nodes", 0)
    return found


def percentiles(name: str, seconds: Iterator[float]) -> dict[str, Any]:
    """Return the median and the 99th percentile of SECONDS in milliseconds, as figures called NAME."""
    found = sorted(1000 * each for each in seconds)
    last = len(found) - 1
    return {
        f"{name}, {percent}, ms": round(found[round(share * last)], 2)
        for percent, share in (("p50", 0.5), ("p99", 0.99))
    }
