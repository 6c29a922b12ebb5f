"""Runs the simulated demo, and says how to run the real one."""

import argparse
from pathlib import Path

from podroutes.cli.simulation.machines import machines
from podroutes.cli.simulation.stage import SimulatedStage
from podroutes.lab import actions
from podroutes.lab.demo import cluster_of, kept_directory
from podroutes.lab.story import tell

_LABEL = """\
SIMULATED: no packet is sent. The machines are kernels in memory; what plans, changes, heals and proves is podroutes' own code.
"""
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))  # files of Docker and Podman in their containers
_CONTAINER = """\
This is a container: `docker run --privileged` allows the real one; in devcontainer.json "runArgs": ["--privileged"]."""


def demo(arguments: argparse.Namespace, why: str) -> int:
    """Run the simulated demo; return 0 if each act showed what it says. WHY no lab is possible, "" if none was requested."""
    cluster = cluster_of(arguments)
    print(_LABEL, end="")
    for line in _real(why) if why else ():
        print(line)
    with kept_directory() as directory:
        tell(SimulatedStage(directory, actions.terminal_style(), cluster, machines(cluster)), cluster)
    print(f"\nThis was simulated. What `verify` found, as a page: {directory}/verify.html")
    for line in _real(why) if why else ("Where a lab can be made, `podroutes lab demo` shows it with real packets.",):
        print(line)
    return 0


def _real(why: str) -> list[str]:
    """Return why the real demo is not possible, and what would allow it."""
    return [f"Not in a lab: {why}.", *([_CONTAINER] if any(mark.exists() for mark in _MARKS) else [])]
