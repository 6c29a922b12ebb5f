"""Looks at a lab from outside: its processes, in /proc of this machine."""

import json
import time
from collections.abc import Callable
from pathlib import Path


def pid_of(lab) -> int:
    return json.loads(lab("status", "-o", "json").stdout)["labs"][0]["pid"]


def networks(lab) -> set[str]:
    """Return the network namespaces of LAB as /proc calls them."""
    return {
        lab.on(where, "readlink", "/proc/self/ns/net")
        for where in ("worker-0", "worker-1", "worker-2", "pod@worker-0", "pod@worker-1", "pod@worker-2", "switch")
    }


def users_of(found: set[str]) -> list[str]:
    """Return the processes of this machine that are in one of the network namespaces FOUND."""
    processes = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if str(link.readlink()) in found:
                processes.append((link.parents[1] / "cmdline").read_text())
        except OSError:
            continue
    return processes


def holders() -> set[str]:
    """Return the process ids of all holders."""
    found = set()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text() == "podroutes-lab\n" and not is_zombie(comm.parent):
                found.add(comm.parent.name)
        except OSError:
            continue
    return found


def is_zombie(process: Path) -> bool:
    return ") Z " in (process / "stat").read_text()


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for what other processes do; how long it takes is theirs to say, within reason."""
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()
