"""Looks at a lab from outside: its processes, in /proc of this machine."""

import json
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
    """Return the process ids of all holders that were begun in this network namespace: other tests may have some, too."""
    ours = {f"socket:[{line.split()[6]}]" for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    found = set()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text() != "podroutes-lab\n" or is_zombie(comm.parent):
                continue
            if any(str(descriptor.readlink()) in ours for descriptor in (comm.parent / "fd").iterdir()):
                found.add(comm.parent.name)
        except OSError:
            continue
    return found


def is_zombie(process: Path) -> bool:
    return ") Z " in (process / "stat").read_text()
