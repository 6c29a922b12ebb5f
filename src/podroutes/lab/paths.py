"""Paths inside a lab's mount namespace."""

import os

NETNS = "/run/netns"  # ip(8)'s directory of named namespaces: NETNS_RUN_DIR of iproute2
MACHINES = "/run/machines"  # the private /run/podroutes of each machine
RUNTIME = "/run/podroutes"  # where a machine sees its own
AGENT_LOG = "agent.log"  # a file in RUNTIME
COMMANDS = "/run/bin"  # the directory of the command that `lab exec` installs
KUBECONFIG = "/run/kubeconfig"  # of the lab API, if there is one; the same for all machines
# Directories of the host on which each machine has an overlay of its own, and where the overlays are.
LAYERED = {"/etc": "/run/etc", "/var/lib": "/run/varlib"}


def search_path() -> str:
    """Return PATH with Debian's directories of ip(8), which are not in an unprivileged user's PATH."""
    directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(
        [*directories, *(directory for directory in ("/usr/sbin", "/sbin") if directory not in directories)]
    )
