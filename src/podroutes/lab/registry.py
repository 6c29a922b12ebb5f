"""Finds the labs of this user: each is behind an abstract socket, unix(7), that vanishes with its holder.

The name is reserved by bind(2), so two labs of one name cannot be; who answers is told by the kernel (SO_PEERCRED), so
there is no file that could be stale and no process id that could have been reused.
"""

import errno
import os
import select
import signal
import socket
import struct
from typing import NamedTuple

from podroutes.errors import LabError
from podroutes.model.cluster import Cluster
from podroutes.model.text import printable

DEFAULT = "lab"
_LONGEST_NAME = 60  # sun_path has 108 bytes, unix(7)
_PATIENCE = 5.0  # seconds; the holder has nothing else to do than answer
_DEATH = 30.0  # seconds in which the kernel ends every process of a lab


class Lab(NamedTuple):
    """A lab that is up: its holder's process id, a pidfd of it, and its machines (``node_cidrs`` is the LAN)."""

    name: str
    pid: int
    pidfd: int
    cluster: Cluster


def reserve(name: str) -> socket.socket:
    """Return a socket bound to the name of a lab; LabError when the name is in use or cannot be one."""
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise LabError(f"{printable(name)} cannot name a lab: use 1 to {_LONGEST_NAME} printable characters")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_address(name))
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise LabError(f"cannot reserve the name {printable(name)}: {error.strerror}") from None
        raise LabError(
            f"the lab {printable(name)} is already up: end it with `podroutes lab down{option(name)}`, "
            "or make another with --name"
        ) from None
    return listener


def find(name: str) -> Lab:
    """Return the lab called NAME; LabError when there is none or its holder does not answer."""
    lab = _ask(name)
    if lab is None:
        others = [printable(other) for other in names()]
        hint = f"up are: {', '.join(others)}" if others else f"make it with `podroutes lab up{option(name)}`"
        raise LabError(f"no lab {printable(name)} of this user is up: {hint}")
    return lab


def names() -> list[str]:
    """Return the names of this user's labs, in order, as /proc/net/unix has them."""
    prefix = "@" + _address("")[1:].decode()
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as table:
        paths = (line.rstrip("\n").split(" ", 7)[-1].lstrip() for line in table)
        return sorted({path.removeprefix(prefix) for path in paths if path.startswith(prefix)})


def end(name: str) -> bool:
    """Kill the lab called NAME with everything that runs in it; False when there was none. Returns when all is gone."""
    lab = _ask(name)
    if lab is None:
        return False
    try:
        signal.pidfd_send_signal(lab.pidfd, signal.SIGKILL)
        # It is process 1 of its PID namespace: it becomes a zombie only after all others there, pid_namespaces(7).
        if not select.select([lab.pidfd], [], [], _DEATH)[0]:
            raise LabError(f"the lab {printable(name)} (process {lab.pid}) does not die: look for processes in state D")
    finally:
        os.close(lab.pidfd)
    return True


def option(name: str) -> str:
    """Return the option that chooses the lab NAME, empty for the default one: for commands that we suggest."""
    import shlex  # noqa: PLC0415  only for messages

    return "" if name == DEFAULT else f" --name {shlex.quote(name)}"


def _address(name: str) -> bytes:
    return f"\0podroutes-lab/{os.geteuid()}/{name}".encode()


def _ask(name: str) -> Lab | None:
    """Return the lab that answers under NAME, None where nobody does."""
    import json  # noqa: PLC0415  not needed to make a lab

    from podroutes.lab.topology import from_document  # noqa: PLC0415  with it

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(_address(name))
        except OSError as error:
            if name not in names():
                return None
            raise LabError(f"the lab {printable(name)} does not answer ({error.strerror}): is it still being made?") from None
        pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            raise LabError(f"the name of the lab {printable(name)} is held by a process of user {uid}: use another --name")
        try:
            pidfd = os.pidfd_open(pid)
            client.shutdown(socket.SHUT_WR)  # asks for the answer: it proves that the pidfd is that of a living holder
            with client.makefile("rb") as answer:
                document = json.load(answer)
        except (OSError, ValueError) as error:
            raise LabError(
                f"the lab {printable(name)} (process {pid}) does not answer: {error or 'no description'}; if it is stopped, "
                f"continue it (kill -CONT {pid}) or end it (kill -KILL {pid})"
            ) from None
    return Lab(name, pid, pidfd, from_document(document))
