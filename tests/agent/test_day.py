"""A day of an agent, simulated: nodes that come and go, lost routes, lists and problems leave nothing behind in its memory."""

import gc
import sys

import pytest

from agent.simulation import Agent, Server
from podroutes.agent.status_recorder import StatusRecorder
from podroutes.kernel.watch import KernelEvents

HOUR = 3600.0
NODES = 20
STEPS = 60  # an hour
MORE = 2000  # blocks of memory; an agent has some hundred thousand, and a node takes about thirty


class Forgetful:
    """Remembers nothing beyond a boot."""

    def keep(self, cluster):
        """Take the nodes."""

    def count(self, deleted):
        """Take what was deleted."""

    def routes(self, own, standing):
        """Take the routes."""


@pytest.fixture
def day(tmp_path):
    """Return what lets an hour pass, and how many blocks of memory there are after it."""
    server = Server()
    server.join(*range(NODES))
    agent = Agent(server, str(tmp_path))
    record = StatusRecorder(lambda *_, **__: None, agent.machine, Forgetful(), lambda _: None)
    steps = iter(range(10**6))

    def look(reason):
        agent.compare()
        record.passed(reason, agent.passed, agent.view, 0.01, 0.01)

    def pass_hour():
        for _ in range(STEPS):
            step = next(steps)
            agent.wait(HOUR / STEPS)
            oldest = min(number for number in server.nodes if number)
            server.leave(oldest)
            server.join(1 + (step + NODES) % 1000, pods=1000 if step % 7 == 0 else 0)
            agent.hear()
            look("nodes")
            stolen = next(iter(agent.kernel.ours()))
            agent.kernel.routes.remove(stolen)
            heard = KernelEvents(((stolen, 4711 + step),), changed=frozenset([stolen.dst]))
            record.kernel_events(heard, agent.machine.heal(heard, agent.clock, lambda port: f"rival-{port}"))
            look("kernel")
        agent.list()
        look("asked")
        gc.collect()
        return sys.getallocatedblocks()

    return pass_hour


def test_a_day_leaves_nothing_behind(day):
    hours = [day() for _ in range(24)]
    assert max(hours[-6:]) - max(hours[5:11]) < MORE, hours
