"""Whole processes: ``podroutes apply`` and ``plan`` as a shell starts them, their start-up time and their memory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import scene
from bench.engine import IP_PLAIN, IP_SAME, IP_SHOW
from bench.pairing import Contestant, Pairing, Result, timed
from bench.sandbox import SCRATCH

APPLY, APPLY_NOTHING, START = "process: apply, empty table", "process: nothing to change", "process: plan, three nodes"
MEMORY = "peak memory"
OURS, PLAN, BARE = "podroutes apply", "podroutes plan", "python3 -c pass"
_PODROUTES = (sys.executable, "-m", "podroutes")
# Seen from inside at its end: execve(2) hands the parent's peak down in ru_maxrss, VmHWM it does not.
_PEAK = """
import atexit, os, sys, runpy
def report():
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    os.write(2, f"\\npeak {peak}\\n".encode())
atexit.register(report)
if len(sys.argv) > 1:
    runpy.run_module("podroutes", run_name="__main__", alter_sys=True)
"""
_CLUSTER = """nodes:
  - {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
  - {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
  - {name: worker-2, internalIP: 192.168.8.22, podCIDR: 10.200.2.0/24}
"""


def _run(*command: str) -> Callable[[], float]:
    return lambda: timed(lambda: run(*command))


def run(*command: str) -> None:
    """Run COMMAND to its end; raises RuntimeError with what it said, unless it exits with 0 or (changes pending) 2."""
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode not in {0, 2}:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr}")


def applying(pairing: Pairing, count: int) -> Iterator[Result]:
    """Contests of ``apply`` and ``plan`` with COUNT nodes in machines.txt."""
    arguments = ("-i", str(scene.machines_txt(count)), "--node", scene.OWN.name)
    apply, plan = (_run(*_PODROUTES, verb, *arguments) for verb in ("apply", "plan"))
    bare = Contestant(BARE, _run(sys.executable, "-c", "pass"))

    def in_place() -> None:
        scene.empty()
        run(*_PODROUTES, "apply", *arguments)

    yield pairing.compete(
        APPLY,
        count,
        [
            Contestant(OURS, apply, scene.empty),
            Contestant(PLAN, plan, scene.empty),
            Contestant(IP_PLAIN, _run("ip", "-batch", str(scene.batch_file("add", count))), scene.empty),
            Contestant(IP_SAME, _run("ip", "-batch", str(scene.batch_file("add", count, like_ours=True))), scene.empty),
            bare,
        ],
    )
    in_place()
    yield pairing.compete(
        APPLY_NOTHING,
        count,
        [
            Contestant(OURS, apply),
            Contestant(PLAN, plan),
            Contestant(IP_SHOW, _run("ip", "route", "show")),
            bare,
        ],
    )
    scene.empty()


def starting(pairing: Pairing) -> Result:
    """Contest of ``plan`` on three nodes with the bare interpreter."""
    plan = _run(*_PODROUTES, "plan", "-i", str(_three_nodes()), "--node", "worker-0")
    return pairing.compete(START, 2, [Contestant(PLAN, plan), Contestant(BARE, _run(sys.executable, "-c", "pass"))])


def memory(count: int) -> dict[str, Any]:
    """Return the peak memory in MiB of each one-shot command with COUNT nodes, in the order of their use."""
    arguments = ("-i", str(scene.machines_txt(count)), "--node", scene.OWN.name)
    scene.empty()
    commands = (
        ("python3 -c pass", ()),
        ("plan, empty table", ("plan", *arguments)),
        ("apply, empty table", ("apply", *arguments)),
        ("plan, nothing to change", ("plan", *arguments)),
        ("apply, nothing to change", ("apply", *arguments)),
        ("show", ("show", *arguments)),
        ("remove", ("remove",)),
    )
    return {"operation": MEMORY, "routes": count, "peak_mib": {name: _peak(*words) for name, words in commands}}


def _peak(*arguments: str) -> float:
    command = (sys.executable, "-c", _PEAK, *arguments)
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode not in {0, 2}:
        raise RuntimeError(f"{arguments}: exit status {done.returncode}: {done.stderr}")
    return round(int(done.stderr.split()[-1]) / 1024, 1)


def _three_nodes() -> Path:
    path = SCRATCH / "cluster.yaml"
    path.write_text(_CLUSTER)
    return path
