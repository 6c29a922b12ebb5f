"""Shows whether an agent runs in this network namespace, by an abstract socket, unix(7), which exists once per namespace.

It vanishes with its process, so it cannot be stale. The same socket accepts commands for the agent.
"""

import os
import socket
import struct
from pathlib import Path

from podroutes.errors import AgentError
from podroutes.model.linux import Capability

_NAME = b"\0podroutes/agent"
_PATIENCE = 1  # seconds; connect(2) to a socket that listens waits for its process only when the backlog is full


def claim() -> socket.socket:
    """Return the socket that marks an agent while it is open. Raises AgentError if there is an agent already."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_NAME)
        listener.listen()
    except OSError as error:
        pid = running()
        if pid is None:  # another program has the name; the agent must work nevertheless
            return listener
        listener.close()
        raise AgentError(
            f"an agent (process {pid}) keeps the routes of this machine already: `podroutes status` asks it"
        ) from error
    return listener


def call() -> socket.socket:
    """Return a connection to the agent of this namespace. Raises AgentError if none answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection)
        pid, uid = peer(connection)
    except BlockingIOError:
        connection.close()
        raise AgentError("the agent does not answer: too many processes are connected to it; try it again") from None
    except OSError:
        connection.close()
        raise AgentError("no agent runs here: start one with `podroutes agent`") from None
    if not changes_routes(pid, uid):
        connection.close()
        raise AgentError(f"what answers here (process {pid}) is not a podroutes agent")
    return connection


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process id (0: in another PID namespace) and user id of the peer of CONNECTION, unix(7)."""
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def may_order(connection: socket.socket) -> bool:
    """Return whether the peer of CONNECTION may give commands to an agent: root, or our own user, with CAP_NET_ADMIN.

    With this capability it could delete the routes itself. False for a peer in another PID namespace, which cannot be checked.
    """
    pid, uid = peer(connection)
    try:
        return uid in (0, os.geteuid()) and pid > 0 and _has_net_admin(Path(f"/proc/{pid}"))
    except (OSError, ValueError):
        return False


def running() -> int | None:
    """Return the process id of the agent here (0: in another PID namespace), None if there is none.

    Sockets of unprivileged users are ignored: only agents of root, of our own user, or with CAP_NET_ADMIN count.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            _connect(client)
        except OSError:
            return None
        pid, uid = peer(client)
    return pid if changes_routes(pid, uid) else None


def _connect(client: socket.socket) -> None:
    """Connect CLIENT to the agent here, and wait a moment where its backlog is full, which settimeout() would not. Raises OSError."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _PATIENCE, 0))
    client.connect(_NAME)


def changes_routes(pid: int, uid: int) -> bool:
    """Return whether process PID of user UID may change routes here: root, our own user, and who has CAP_NET_ADMIN in our user namespace.

    A service with a user of its own has that; proc(5).
    """
    if uid in (0, os.geteuid()):
        return True
    process = Path(f"/proc/{pid}")
    try:
        if (process / "ns/user").readlink() != Path("/proc/self/ns/user").readlink():
            return False  # the creator of a user namespace has all capabilities there
        return _has_net_admin(process)
    except OSError:  # it is gone, or may not be read
        return False


def _has_net_admin(process: Path) -> bool:
    if Path("/proc/self").readlink().name != str(os.getpid()):
        return False  # this /proc is of another PID namespace, where the number is another process's
    words = (process / "status").read_text().split()
    return bool(int(words[words.index("CapEff:") + 1], 16) >> Capability.NET_ADMIN & 1)
