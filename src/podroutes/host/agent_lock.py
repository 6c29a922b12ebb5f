"""Whether an agent keeps the routes of this network namespace: told by an abstract socket, unix(7), which is one a namespace.

It vanishes with its process, so that there is nothing that could be stale. Through the same socket an agent is told what to do.
"""

import os
import socket
import struct
from pathlib import Path

from podroutes.errors import AgentError

_NAME = b"\0podroutes/agent"
_NET_ADMIN = 1 << 12  # CAP_NET_ADMIN, linux/capability.h
_PATIENCE = 1.0  # seconds; connect(2) to a socket that listens does not wait for its process


def claim() -> socket.socket:
    """Return what says that an agent is here, for as long as it is open. Raises AgentError where there is one already."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_NAME)
        listener.listen()
    except OSError as error:
        pid = running()
        if pid is None:  # a stranger has the name: that must not keep us from our work
            return listener
        listener.close()
        raise AgentError(
            f"an agent (process {pid}) keeps the routes of this machine already: `podroutes status` asks it"
        ) from error
    return listener


def call() -> socket.socket:
    """Return a connection to the agent here. Raises AgentError where none answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_PATIENCE)
    try:
        connection.connect(_NAME)
        pid, uid = peer(connection)
    except OSError:
        connection.close()
        raise AgentError("no agent runs here: start one with `podroutes agent`") from None
    if not changes_routes(pid, uid):
        connection.close()
        raise AgentError(f"what answers here (process {pid}) is no podroutes agent")
    return connection


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return process id (0: in another PID namespace) and user id at the other end of CONNECTION, unix(7)."""
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def may_order(connection: socket.socket) -> bool:
    """Return whether who is at the other end of CONNECTION may tell an agent what to do: root, or our own user, with CAP_NET_ADMIN.

    Whoever has that could delete the routes without us. In another PID namespace it cannot be told, and the answer is no.
    """
    pid, uid = peer(connection)
    try:
        return uid in (0, os.geteuid()) and pid > 0 and _has_net_admin(Path(f"/proc/{pid}"))
    except (OSError, ValueError):
        return False


def running() -> int | None:
    """Return the process id of the agent here (0: it is in another PID namespace), None where there is none.

    What an unprivileged stranger says is not believed: only agents of root, of our own user, and of who may change routes here.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(_NAME)
        except OSError:
            return None
        pid, uid = peer(client)
    return pid if changes_routes(pid, uid) else None


def changes_routes(pid: int, uid: int) -> bool:
    """Return whether process PID of user UID may change routes here: root, our own user, and who has CAP_NET_ADMIN in our user namespace.

    A service with a user of its own has that; proc(5).
    """
    if uid in (0, os.geteuid()):
        return True
    process = Path(f"/proc/{pid}")
    try:
        if (process / "ns/user").readlink() != Path("/proc/self/ns/user").readlink():
            return False  # whoever makes a user namespace has every capability there
        return _has_net_admin(process)
    except OSError:  # it is gone, or not ours to look at
        return False


def _has_net_admin(process: Path) -> bool:
    words = (process / "status").read_text().split()
    return bool(int(words[words.index("CapEff:") + 1], 16) & _NET_ADMIN)
