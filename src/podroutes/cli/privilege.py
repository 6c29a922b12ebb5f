"""Checks whether this process may change routes."""

import os
import shlex
import sys

from podroutes.cli import config_file
from podroutes.errors import KernelError
from podroutes.model.linux import Capability

_NEEDED = ("KUBECONFIG", "NODE_NAME")  # variables besides PODROUTES_* that a command reads


def require_net_admin() -> None:
    """Raise KernelError, with a command line that works, if this process lacks CAP_NET_ADMIN. If unknown, nothing is raised."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123, pathlib costs milliseconds
            effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    except (OSError, StopIteration, ValueError):
        return
    if not effective >> Capability.NET_ADMIN & 1:
        raise KernelError(
            f"changing routes needs the capability CAP_NET_ADMIN, which this process does not have: {sudo()} "
            "(a service has it by AmbientCapabilities=CAP_NET_ADMIN)"
        )


def sudo() -> str:
    """Return this command line for sudo(8), which has another search path and environment."""
    variables = [name for name in os.environ if name.startswith("PODROUTES_") or name in _NEEDED]
    preserve = [f"--preserve-env={','.join(sorted(variables))}"] if variables else []
    config = [f"{config_file.VARIABLE}={':'.join(config_file.paths())}"] if config_file.of_the_user() else []
    return shlex.join(["sudo", *preserve, *config, *_program(), *sys.argv[1:]])


def _program() -> list[str]:
    called = sys.argv[0]
    if called.endswith("__main__.py"):
        return [sys.executable, "-m", "podroutes"]
    if os.sep in called:
        return [os.path.abspath(called)]  # noqa: PTH100
    from shutil import which  # noqa: PLC0415, only for an error

    return [which(called) or called]
