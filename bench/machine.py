"""What machine a result comes from: a figure without it means nothing."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.daemons import Daemon


def describe(found: list[Daemon], *, pyroute2: bool) -> dict[str, str]:
    """Return machine, system and the versions of everybody who takes part."""
    release = os.uname()
    told = {
        "kernel": f"{release.sysname} {release.release} {release.machine}",
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "load": f"{os.getloadavg()[0]:.1f}",
        "podroutes": version("podroutes"),
        "python": platform.python_version(),
        "iproute2": _ip_version(),
    }
    if pyroute2:
        told["pyroute2"] = version("pyroute2")
    return told | {daemon.name: daemon.version for daemon in found}


def _cpu() -> str:
    names = (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    return next(names, platform.machine())


def _ip_version() -> str:
    said = subprocess.run(["ip", "-V"], check=True, capture_output=True, text=True).stdout
    return said.partition("iproute2-")[2].partition(",")[0].strip()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
