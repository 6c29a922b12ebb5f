"""The programs of a lab with ``--kubernetes``: the lab API, and an agent on each machine.

All are children of the holder, so they end with the lab.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from podroutes.errors import LabError
from podroutes.lab import inside, itself, syscalls
from podroutes.lab.paths import AGENT_LOG, KUBECONFIG, MACHINES, RUNTIME
from podroutes.lab.topology import SWITCH, gateway
from podroutes.model.cluster import Cluster
from podroutes.model.text import printable

if TYPE_CHECKING:
    from podroutes.lab.api.server import Server
    from podroutes.lab.api.service import NodeApi

PORT = 6443  # the port of the real API
_SETTLED = 10.0  # seconds; a thousand agents on a small machine may take longer and still start
API = ""  # the API's name among the agents, which are named after their machines


class Programs(NamedTuple):
    """The started programs: the API's URL (empty: none), names by process id, and the status of those that ended."""

    url: str
    names: Mapping[int, str]
    ended: dict[str, int]  # filled by ``reap``

    def reap(self, *_signal: object) -> None:
        """Wait for ended children: the handler of SIGCHLD. Orphans are inherited by process 1 and not listed."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] in self.names:
                    self.ended[self.names[ended[0]]] = os.waitstatus_to_exitcode(ended[1])

    def document(self) -> dict[str, object]:
        """Return the document that ``registry`` reads."""
        agents = {name: self.ended.get(name) for name in self.names.values() if name != API}
        return {"api": self.url, "apiEnded": self.ended.get(API), "agents": agents}


def kubeconfig(url: str) -> str:
    """Return the kubeconfig of the lab API at URL, as JSON, which is valid YAML: Organizing Cluster Access Using kubeconfig Files."""
    name = "podroutes-lab"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=2,
    )


def api_of(cluster: Cluster) -> "NodeApi":
    """Return the lab API with the machines of CLUSTER as its Nodes. Raises LabError for one that cannot be a Node."""
    from podroutes.lab.api.machines import document  # noqa: PLC0415  a web server, for labs that have one
    from podroutes.lab.api.message import Refusal  # noqa: PLC0415  the same
    from podroutes.lab.api.service import NodeApi  # noqa: PLC0415  the same

    api = NodeApi()
    for node in cluster.nodes:
        try:
            api.add(document(node))
        except Refusal as refusal:
            raise LabError(f"{cluster.place(node)}: {printable(node.name)} cannot be a Node: {refusal}") from None
    return api


def start(cluster: Cluster, api: "NodeApi") -> Programs:
    """Serve API on the switch of the lab that this process has built, and start the agents of CLUSTER."""
    from podroutes.lab.api.server import Server, listen  # noqa: PLC0415  a web server, for labs that have one

    inside.join_network(SWITCH)
    door = listen((str(gateway(cluster, cluster.node_cidrs[0])), PORT))
    server = Server(api, listener=door)
    Path(KUBECONFIG).write_text(kubeconfig(server.url) + "\n", encoding="ascii")
    names = {_fork(lambda: _serve(server, door)): API}
    door.close()
    for node in cluster.nodes:
        names[_fork(lambda name=node.name: _be_agent(name))] = node.name  # type: ignore[misc]  # bound at once
    return Programs(server.url, names, {})


def settle(pid: int, cluster: Cluster) -> None:
    """Wait until each agent of the lab with the holder PID has reconciled, which it records in a file."""
    machines = Path(f"/proc/{pid}/root{MACHINES}")
    marks = [machines / node.name / "state" / "nodes.yaml" for node in cluster.nodes]
    end = time.monotonic() + _SETTLED
    while time.monotonic() < end and not all(mark.exists() for mark in marks):
        time.sleep(0.02)


def _fork(become: Callable[[], NoReturn]) -> int:
    """Return the process id of a child that calls BECOME, in a session of its own."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        become()
    finally:  # never return into the holder's code in the child
        os._exit(1)


def _serve(server: "Server", door: socket.socket) -> NoReturn:
    """Run the API in this process."""
    syscalls.name_process("podroutes-api")
    os.closerange(3, door.fileno())  # in particular the lab's socket, on which clients wait
    os.closerange(door.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    server.start()
    while True:
        signal.pause()


def _be_agent(name: str) -> NoReturn:
    """Become the agent of the machine NAME, with its own log file."""
    log = os.open(f"{MACHINES}/{name}/{AGENT_LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(log, standard)
    for variable in [each for each in os.environ if each.startswith("PODROUTES_")]:
        del os.environ[variable]  # options of the user do not apply to the agent
    os.environ["PODROUTES_CONFIG"] = ""  # nor do the configuration files of the host
    inside.become(
        name,
        [
            *(*itself.command(), "agent", "--kubernetes", "--kubeconfig", KUBECONFIG),
            *("--node", name, "--state-dir", f"{RUNTIME}/state"),
        ],
    )
