"""Where things are inside a lab's mount namespace."""

import os

NETNS = "/run/netns"  # where ip(8) looks for named namespaces: NETNS_RUN_DIR of iproute2
MACHINES = "/run/machines"  # the private /run/podroutes of each machine
RUNTIME = "/run/podroutes"  # where a machine sees its own of them
AGENT_LOG = "agent.log"  # in it
COMMANDS = "/run/bin"  # where `lab exec` puts its own command
KUBECONFIG = "/run/kubeconfig"  # of the lab API, where there is one; the same for all machines
# Directories of the host that each machine has with changes of its own over it, and where these are kept.
LAYERED = {"/etc": "/run/etc", "/var/lib": "/run/varlib"}


def search_path() -> str:
    """Return PATH with the directories where Debian keeps ip(8), which an unprivileged user does not search."""
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*found, *(directory for directory in ("/usr/sbin", "/sbin") if directory not in found)])
