"""An agent beside the routes of a BGP daemon, while links change: how soon a deleted route of ours is back, and what memory that takes."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator

from bench import agent, scene
from bench.cluster import Cluster
from bench.pairing import Result
from bench.sandbox import SCRATCH, ip
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelWatch
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.plan import Change
from podroutes.model.route import NextHop, Route

OPERATION = "agent beside routes of others"
FOREIGN = 500_000
NODES = 200  # each loses its route twice: three losses within ten seconds are a fight, in which the agent gives way
_TIMES = 2
_FIRST = 20 << 24  # 20.0.0.0
_CONTROL = Route(parse_prefix("9.9.9.0/24"), (NextHop(parse_address("172.31.0.1"), scene.DEVICE),), 7, protocol=99)
_PAUSE = 0.05, 0.4  # seconds between two deletions, at random: some fall into the reading of the table


def measure() -> Result:
    """Return times in milliseconds and memory in MiB."""
    scene.empty()
    batch = SCRATCH / "crowd.batch"
    with batch.open("w") as file:
        for number in range(FOREIGN):
            octets = ".".join(map(str, (_FIRST + (number << 8)).to_bytes(4, "big")))
            gateway = f"172.31.{number >> 7 & 1}.{number % 100 + 1}"
            file.write(
                f"route add {octets}/24 via {gateway} dev {scene.DEVICE} proto bird metric {20 + number % 512}\n"
            )
    subprocess.run(["ip", "-batch", batch], check=True)
    ip("link add noise type bridge")
    try:
        with Cluster(NODES) as cluster:
            own = agent.Agent(cluster.url, NODES)
            try:
                own.wait_ready()
                alone: list[float] = []
                figures = agent.percentiles("route deleted to route back while links change", _thefts(alone))
                figures |= agent.percentiles("a deletion and an addition by the bench itself", iter(alone))
                figures["memory, MiB"] = own.memory()
            finally:
                own.end()
    finally:
        ip("link delete noise")
        scene.empty()
    return {"operation": OPERATION, "routes": FOREIGN, **figures}


def _thefts(alone: list[float]) -> Iterator[float]:
    """Yield the seconds from before a route is deleted until it is back; a link goes up or down at the same time.

    ALONE gets the seconds of a deletion and an addition without an agent: a link that changes keeps both waiting, too.
    """
    dice = random.Random(5)  # noqa: S311, no secret
    noise = subprocess.Popen(
        ["sh", "-c", "while :; do ip link set noise up; sleep 0.2; ip link set noise down; sleep 0.2; done"]
    )
    try:
        with NetlinkKernel() as kernel, KernelWatch(kernel.port) as watch:
            routes = list(kernel.ours())
            dice.shuffle(routes)
            for route in routes * _TIMES:
                time.sleep(dice.uniform(*_PAUSE))
                watch.read({})
                began = time.monotonic()
                kernel.apply([Change("delete", route)])
                yield agent.arrival(watch, route.dst) - began
                time.sleep(dice.uniform(*_PAUSE))
                began = time.monotonic()
                kernel.apply([Change("add", _CONTROL)])
                kernel.apply([Change("delete", _CONTROL)])
                alone.append(time.monotonic() - began)
    finally:
        noise.send_signal(signal.SIGTERM)
        noise.wait()
