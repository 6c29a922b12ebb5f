"""An agent, its API server and one clock, without a thread, a socket or a second of waiting.

What is simulated is the world: a server that lists and watches, a kernel in memory, the time. The reflector, the guard and the plan
between them are the agent's own.
"""

from collections.abc import Iterator

from kubernetes.speaking import bookmark, event
from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.memory import MemoryKernel
from podroutes.kubernetes.reflector import Reflector
from podroutes.model.cluster import Cluster
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from support.notation import address, link


def worker_0() -> MemoryKernel:
    """Return the kernel of worker-0."""
    return MemoryKernel([link("lo", 1), link("ens18", 2)], [address("192.168.8.20/16 dev ens18")])


def place(number: int) -> tuple[str, str]:
    """Return address and podCIDR of worker-NUMBER; up to 4,999 of them."""
    return f"192.168.{8 + (20 + number) // 250}.{(20 + number) % 250}", f"10.{200 + number // 250}.{number % 250}.0/24"


class Server:
    """The Nodes that an API server has, by number of their worker: uid, address, podCIDR. ``said`` are events not yet read."""

    def __init__(self) -> None:
        self.version = 1000
        self.nodes: dict[int, tuple[str, str, str]] = {}
        self.said: list[bytes] = []
        self._births = 0

    def join(self, *numbers: int, pods: int = 0) -> None:
        """Register workers; PODS beyond the usual podCIDR."""
        for number in numbers:
            self._births += 1
            self.version += 1
            self.nodes[number] = (f"uid-{self._births}", place(number)[0], place(number + pods)[1])
            self.said.append(self._event("ADDED", number))

    def leave(self, *numbers: int) -> None:
        """Delete the Nodes of workers."""
        for number in numbers:
            self.version += 1
            self.said.append(self._event("DELETED", number))
            del self.nodes[number]

    def _event(self, kind: str, number: int) -> bytes:
        uid, ip, cidr = self.nodes[number]
        return event(kind, f"worker-{number}", cidr, ip, uid=uid, rv=self.version)

    def listed(self) -> Iterator[bytes]:
        """Yield a streaming list."""
        yield from (self._event("ADDED", number) for number in self.nodes)
        yield bookmark(self.version, end=True)

    def backup(self) -> tuple[int, dict[int, tuple[str, str, str]]]:
        """Return what ``restore`` takes."""
        return self.version, dict(self.nodes)

    def restore(self, saved: tuple[int, dict[int, tuple[str, str, str]]]) -> None:
        """Be as of then: what happened since never happened."""
        self.version, nodes = saved
        self.nodes = dict(nodes)
        self.said.clear()

    def wipe(self) -> None:
        """Lose everything."""
        self.restore((1, {}))


class Agent:
    """The agent on worker-0. SERVER is what it watches; ``kernel`` is replaced by a boot."""

    def __init__(self, server: Server, directory: str, **guard: int) -> None:
        self.server = server
        self._directory = directory
        self.clock = 10_000.0
        self.kernel = worker_0()
        self.guard = MassDeleteGuard(**guard)
        self.machine = Machine(
            self.kernel, Settings(HostFiles(directory), "worker-0", "worker-0"), self.guard, FlapDamping()
        )
        self.reflector = Reflector("https://api", lambda: 0.5, lambda: self.clock)
        self.last = Inventory(Cluster((), source="https://api"), ())
        self.list()

    def list(self) -> None:
        """List all Nodes, which takes a moment, and compare."""
        self.clock += 0.001
        self.reflector.relist()
        self.reflector.request()
        self.server.said.clear()
        for line in self.server.listed():
            self.reflector.line(line)
        self._listed = self.clock
        self._look()

    def restart(self) -> None:
        """Be killed and started again: the kernel, the saved nodes and what was deleted lately are left."""
        saved = NodeSnapshot(self.last, self.clock, 0.0, from_cache=True)
        self.guard = MassDeleteGuard(earlier=self.guard.earlier)
        settings = Settings(HostFiles(self._directory), "worker-0", "worker-0")
        self.machine = Machine(self.kernel, settings, self.guard, FlapDamping())
        self.machine.reconcile(saved, self.clock)
        self.reflector = Reflector("https://api", lambda: 0.5, lambda: self.clock)
        self.last = Inventory(Cluster((), source="https://api"), ())
        self.list()

    def hear(self) -> None:
        """Read what the watch says, and compare after each event."""
        said, self.server.said = self.server.said, []
        for line in said:
            if self.reflector.line(line):
                self._look()

    def hear_together(self) -> None:
        """Read what the watch says, and compare once."""
        said, self.server.said = self.server.said, []
        for line in said:
            self.reflector.line(line)
        self._look()

    def _look(self) -> None:
        """Do what the loop does with what is new: what is the same once more is looked at where something is held."""
        found = self.reflector.table.inventory()
        self.view = NodeSnapshot(found, self.clock, self._listed, history=self.reflector.history)
        if found == self.last and not self.guard.hold:
            self.guard.note(self.view.evidence)
        else:
            self.last = found
            self.compare()

    def compare(self) -> None:
        """Make a whole pass."""
        self.passed = self.machine.reconcile(self.view, self.clock)

    def wait(self, seconds: float) -> None:
        """Let time pass; the agent wakes up and asks the server again when it wants to."""
        end = self.clock + seconds
        asked = 0.0
        while True:
            missing = self.guard.asks(self.clock)
            if missing is not None and missing != asked:
                asked = missing
                self.list()
                continue
            at = self.guard.wake(self.clock)
            if at is None or at > end:
                break
            self.clock = at
            self.compare()
        self.clock = max(end, self.clock)

    @property
    def routed(self) -> set[int]:
        """The numbers of the workers that have their route."""
        there = {str(route.dst) for route in self.kernel.ours()}
        return {number for number in range(5000) if place(number)[1] in there} if there else set()

    @property
    def held(self) -> set[int]:
        """The numbers of the workers whose routes are held."""
        held = {str(dst) for dst in self.guard.hold.nodes} if self.guard.hold else set()
        return {number for number in range(5000) if place(number)[1] in held} if held else set()
