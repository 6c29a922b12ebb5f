"""The stage of the simulated demo: podroutes' commands on machines in memory, and simulated packets."""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from podroutes import cli
from podroutes.agent.log import Level, text_line
from podroutes.agent.reconciler import Machine as Agent
from podroutes.agent.reconciler import Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.status_recorder import StatusRecorder
from podroutes.cli import common
from podroutes.cli.collection import Evidence
from podroutes.cli.commands import verify
from podroutes.cli.option_values import ProofOptions
from podroutes.cli.simulation.machines import Machine
from podroutes.errors import LabError
from podroutes.host.files import HostFiles
from podroutes.inventory import load
from podroutes.kernel.watch import KernelEvents
from podroutes.lab import matrix
from podroutes.lab.pinging import Pair, Pinged
from podroutes.lab.story import TABLE, Stage
from podroutes.lab.topology import pod_address
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.plan.claims import examine
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from podroutes.verify.network import Network
from podroutes.verify.trace import trace
from podroutes.views.style import Style

LABEL = "[simulated]"
_SOMEBODY = 1 << 30  # a netlink port of no process


class SimulatedStage(Stage):
    """A stage with MACHINES in memory, of CLUSTER."""

    def __init__(self, directory: Path, style: Style, cluster: Cluster, machines: dict[str, Machine]) -> None:
        super().__init__(directory, style, LABEL)
        self._cluster = cluster
        self._machines = machines
        self._agents: dict[str, tuple[Agent, StatusRecorder, list[str]]] = {}

    def play(self, words: tuple[str, ...], on: str | None) -> tuple[int, str]:
        """Run a command in this process; return its exit status and output."""
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output):
            if on != "--all":
                status = self._run(words, on)
            else:
                status = 0
                for node in self._cluster.nodes:
                    print(f"==> {node.name} <==")
                    status = max(status, self._run(words, node.name))
        return status, output.getvalue()

    def _run(self, words: tuple[str, ...], on: str | None) -> int:
        if words == ("lab", "ping"):
            return self._ping()
        if words[:2] == ("podroutes", "verify"):
            return self._verify(words[-1] if "--html" in words else None)
        if on is None:
            raise LabError(f"not simulated: {' '.join(words)}")
        if words[0] == "podroutes":
            return self._podroutes(words[1:], self._machines[on])
        if words == TABLE:
            lines = [line for line in self._machines[on].ip(("route",)) if "cni0" not in line]
        else:
            lines = self._machines[on].ip(words[1:])
        common.say(lines)
        return 0

    def _podroutes(self, words: tuple[str, ...], machine: Machine) -> int:
        """Run a podroutes command on MACHINE, without this machine's kernel, files, state and environment."""
        own = self.directory / machine.name
        own.mkdir(exist_ok=True)
        token = common.MACHINE.set(common.Machine(machine.kernel, str(own)))
        try:
            with _no_options(PODROUTES_STATE_DIR=str(own / "state")):
                return cli.main([*words, "--node", machine.name])
        finally:
            common.MACHINE.reset(token)

    def _evidence(self) -> Evidence:
        source = common.Source(self._cluster, examine(self._cluster))
        hosts = [machine.host() for machine in self._machines.values()]
        return Evidence(source, Network(hosts, self._cluster), None, "simulated")

    def _verify(self, page: str | None) -> int:
        return verify.conclude(ProofOptions(), self._evidence(), Path(page) if page else None)

    def _ping(self) -> int:
        """Follow a packet between every two pods, and its answer."""
        evidence = self._evidence()

        def deleted(source: Address, target: Address) -> str:
            cause = trace(evidence.network, evidence.source.claims, str(source), str(target)).cause
            return f"{cause.code} on {cause.node}" if cause else ""

        pairs = {
            Pair(node.name, other.name, target): deleted(source, target) or deleted(target, source)
            for node in self._cluster.nodes
            for other in self._cluster.nodes
            if other != node
            for source, target in _addresses(node, other)
        }
        podless = frozenset(node.name for node in self._cluster.nodes if not node.pod_cidrs)
        pinged = Pinged(tuple(node.name for node in self._cluster.nodes), podless, pairs)
        common.say(matrix.text(pinged, Style(enabled=False), what="simulated packets"))
        return 1 if pinged.failures else 0

    @contextmanager
    def agent(self, on: str) -> Iterator[None]:
        """Run the agent's decisions on a machine without its loop; a reconcile is done before the block begins."""
        own = self.directory / on
        lines: list[str] = []

        def log(level: Level, event: str, **fields: Any) -> None:
            lines.append(text_line(level, event, fields))

        agent = Agent(self._machines[on].kernel, Settings(HostFiles(own), on, on), MassDeleteGuard(), FlapDamping())
        record = StatusRecorder(log, agent, _Forgetful(), lambda _: None)
        now = time.monotonic()
        agent.reconcile(NodeSnapshot(load(str(self.inventory)), now, now), now)
        self._agents[on] = agent, record, lines
        yield
        del self._agents[on]

    def healing(self, on: str, dst: Prefix) -> tuple[float, str]:
        """Notify the agent of a deletion, and measure its reaction."""
        agent, record, lines = self._agents[on]
        route = self._machines[on].route(dst)
        began = time.monotonic()
        self._machines[on].ip(("route", "delete", str(dst)))
        events = KernelEvents(((route, _SOMEBODY),), changed=frozenset({dst}))
        healed = agent.heal(events, began, lambda _: "")
        seconds = time.monotonic() - began
        self._machines[on].route(dst)  # raises if it is not back
        record.kernel_events(events, healed)
        return seconds, lines[-1].partition("  ")[2]  # without its timestamp


class _Forgetful:
    """A memory that saves nothing, since there is no boot."""

    def keep(self, cluster: Cluster) -> None:
        """Forget CLUSTER."""

    def count(self, deleted: object) -> None:
        """Forget what was DELETED."""

    def routes(self, own: str, standing: object) -> None:
        """Forget which routes are STANDING on OWN."""


def _addresses(source: Node, target: Node) -> Iterator[tuple[Address, Address]]:
    """Yield pairs of pod addresses of SOURCE and TARGET, for each IP version of TARGET."""
    own = {cidr.version: pod_address(cidr) for cidr in reversed(source.pod_cidrs)}
    return ((own[cidr.version], pod_address(cidr)) for cidr in target.pod_cidrs if cidr.version in own)


@contextmanager
def _no_options(**variables: str) -> Iterator[None]:
    """Run the block in an environment with VARIABLES as the only podroutes options."""
    before = {
        name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PODROUTES_") or name == "NODE_NAME"
    }
    variables["PODROUTES_CONFIG"] = ""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)
