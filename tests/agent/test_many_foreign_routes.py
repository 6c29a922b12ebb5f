"""A machine with very many routes of others, as BIRD and FRR make them, costs podroutes next to nothing."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.host.files import HostFiles
from podroutes.inventory import Inventory
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelEvents
from podroutes.model.plan import Change
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard
from support.notation import SEED, route
from support.waiting import until

COUNT = 60_000
MORE = 12 << 10  # KiB that so many routes of others may cost
_PEAK = re.compile(r"VmHWM:\s+(\d+)")


@pytest.fixture
def crowded(worker, tmp_path):
    """Return what gives worker-0 COUNT routes of others; it has an inventory of the seed's nodes."""
    rows = (f"192.168.8.2{i} w{i}.k worker-{i} 10.200.{i}.0/24" for i in range(3))
    (tmp_path / "machines.txt").write_text("\n".join(rows) + "\n")

    def crowd():
        routes = (
            f"route add {20 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24 via 192.168.8.22 dev ens18 proto bird metric {20 + i % 512}"
            for i in range(COUNT)
        )
        worker.ip(*routes)

    return crowd


def source(tmp_path):
    return ["-i", str(tmp_path / "machines.txt"), "--node", "worker-0"]


def planning(tmp_path):
    """Return the most memory that `plan` had, KiB."""
    program = "import sys; from podroutes.cli import main; main(); sys.stderr.write(open('/proc/self/status').read())"
    words = [sys.executable, "-c", program, "plan", *source(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(_PEAK.search(done.stderr)[1])


def keeping(tmp_path):
    """Return the most memory that an agent had until it was in sync, KiB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "podroutes", "agent", *source(tmp_path), "--state-dir", str(tmp_path / "state")],
        stderr=subprocess.DEVNULL,
    )
    asking = [sys.executable, "-m", "podroutes", "status"]
    try:
        until(lambda: subprocess.run(asking, capture_output=True, check=False).returncode == 0)
        peak = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return int(peak[1])


@pytest.mark.parametrize("doing", [planning, keeping])
def test_routes_of_others_cost_next_to_no_memory(crowded, tmp_path, doing):
    before = doing(tmp_path)
    crowded()
    assert doing(tmp_path) - before < MORE


class Counting:
    """A kernel's socket that counts what is asked and read."""

    def __init__(self, socket):
        self._socket = socket
        self.sent = self.read = 0

    def __getattr__(self, name):
        """Return what the socket has."""
        return getattr(self._socket, name)

    def send(self, data, *more):
        """Send DATA."""
        self.sent += 1
        return self._socket.send(data, *more)

    def recv(self, *arguments):
        """Return a datagram."""
        found = self._socket.recv(*arguments)
        self.read += len(found)
        return found

    def taken(self):
        """Return the counts since the last call."""
        counts, self.sent, self.read = (self.sent, self.read), 0, 0
        return counts


def test_a_reconcile_reads_each_table_once_and_a_lost_route_is_back_before_it(crowded, tmp_path):
    """Six dumps: links, addresses before and after, rules, and the main table of each IP version; the bytes are those of that table, once."""
    crowded()
    lost = route("10.200.1.0/24 via 192.168.8.21 dev ens18")
    with NetlinkKernel() as kernel, NetlinkKernel() as aside, NetlinkKernel() as thief:
        settings = Settings(HostFiles(tmp_path), "worker-0")
        machine = Machine(kernel, settings, MassDeleteGuard(), FlapDamping(), aside)
        view = NodeSnapshot(Inventory(SEED, ()), 0.0, 0.0)
        machine.reconcile(view, 0.0)
        machine.reconcile(view, 1.0)
        kernel._socket, aside._socket = whole, alone = Counting(kernel._socket), Counting(aside._socket)
        assert not machine.reconcile(view, 2.0).done
        sent, read = whole.taken()
        assert sent == 6
        assert 68 * COUNT < read < 69 * COUNT
        assert not thief.apply([Change("delete", lost)])
        heard = KernelEvents(((lost, thief.port),), frozenset(), frozenset({lost.dst}))
        assert [change.route.dst for change in machine.heal(heard, 3.0, lambda _: "thief")] == [lost.dst]
        assert whole.taken() == (0, 0)
        sent, read = alone.taken()
        assert (sent, read < 1 << 14) == (2, True), "the links, whose indexes it does not know yet, and the addition"
