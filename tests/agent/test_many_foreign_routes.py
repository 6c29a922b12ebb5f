"""A machine with very many routes of others, as BIRD and FRR make them, costs podroutes next to nothing."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
