"""Finds the labs of this user. Each has an abstract socket, unix(7), that vanishes with its holder.

bind(2) reserves the name, so two labs cannot have the same one. The kernel identifies the holder (SO_PEERCRED), so there
is no file that could be stale and no process id that could have been reused.
"""

import errno
import os
import select
import signal
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from podroutes.errors import LabError
from podroutes.lab import itself
from podroutes.model.cluster import Cluster
from podroutes.model.text import printable

DEFAULT = "lab"
_LONGEST_NAME = 60  # sun_path has 108 bytes, unix(7)
_PATIENCE = 5.0  # seconds; the holder answers at once
_DEATH = 30.0  # seconds for the kernel to end all processes of a lab


class Lab(NamedTuple):
    """A lab that is up: its holder's process id, a pidfd of it, and its machines (``node_cidrs`` is the LAN).

    With ``lab up --kubernetes`` also the URL of its API, its exit status (None: it runs), and that of each machine's
        agent.
    """

    name: str
    pid: int
    pidfd: int
    cluster: Cluster
    api: str = ""
    api_ended: int | None = None
    agents: Mapping[str, int | None] = {}
    cni: bool = False  # its pods are made by plugins


def reserve(name: str) -> socket.socket:
    """Return a socket bound to the name of a lab. Raises LabError if the name is in use or invalid."""
    address = _address(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise LabError(f"cannot reserve the name {printable(name)}: {error.strerror}") from None
        raise LabError(
            f"the lab {printable(name)} is already up: end it with `{itself.shown()} lab down{option(name)}`, "
            "or make another with --name"
        ) from None
    return listener


def find(name: str) -> Lab:
    """Return the lab NAME. Raises LabError if there is none or its holder does not answer."""
    import json  # noqa: PLC0415  not needed to make or to end a lab

    from podroutes.lab.topology import from_document  # noqa: PLC0415  neither

    reached = _reach(name)
    if reached is None:
        others = ", ".join(map(printable, names()))
        hint = f"choose {others} with --name" if others else f"make it with `{itself.shown()} lab up{option(name)}`"
        raise LabError(f"no lab {printable(name)} of this user is up: {hint}")
    client, pid, pidfd = reached
    try:
        with client, client.makefile("rb") as answer:
            record = json.load(answer)
            programs = record["api"], record["apiEnded"], record["agents"]
            return Lab(name, pid, pidfd, from_document(record), *programs, record.get("cni", False))
    except (OSError, ValueError) as error:
        os.close(pidfd)
        raise LabError(
            f"the lab {printable(name)} (process {pid}) does not answer ({error}): if it is stopped, continue it "
            f"(kill -CONT {pid}), else end it with `{itself.shown()} lab down{option(name)}`"
        ) from None


def names() -> list[str]:
    """Return the sorted names of this user's labs from /proc/net/unix."""
    prefix = f"@{_prefix()}"
    with Path("/proc/net/unix").open(encoding="utf-8", errors="surrogateescape") as table:
        paths = (line.rstrip("\n").split(" ", 7)[-1].lstrip() for line in table)
        return sorted({path.removeprefix(prefix) for path in paths if path.startswith(prefix)})


def end(name: str) -> bool:
    """Kill the lab NAME with all its processes, and wait until they are gone. Return False if there was no such lab."""
    reached = _reach(name)
    if reached is None:
        return False
    client, pid, pidfd = reached
    client.close()
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        # It is process 1 of its PID namespace and becomes a zombie only after all others there, pid_namespaces(7).
        if not select.select([pidfd], [], [], _DEATH)[0]:
            raise LabError(f"the lab {printable(name)} (process {pid}) does not die: look for processes in state D")
    finally:
        os.close(pidfd)
    return True


def option(name: str) -> str:
    """Return the option for the lab NAME in suggested commands, empty for the default lab."""
    import shlex  # noqa: PLC0415  only for messages

    return "" if name == DEFAULT else f" --name {shlex.quote(name)}"


def _address(name: str) -> bytes:
    """Return the abstract address of the lab NAME. Raises LabError if the name is invalid."""
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise LabError(f"{printable(name)} cannot name a lab: use 1 to {_LONGEST_NAME} printable characters")
    return f"\0{_prefix()}{name}".encode()


def _prefix() -> str:
    return f"podroutes-lab/{os.geteuid()}/"


def _reach(name: str) -> tuple[socket.socket, int, int] | None:
    """Return a connection to the holder of the lab NAME, its process id and a pidfd; None if there is no such lab.

    The second connection, after the pidfd was opened, proves that the process existed throughout, so the pidfd is its own.
    """
    while (first := _connect(name)) is not None:
        client, pid = first
        client.close()
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        again = _connect(name)
        if again is not None and again[1] == pid:
            return again[0], pid, pidfd
        os.close(pidfd)
    return None


def _connect(name: str) -> tuple[socket.socket, int] | None:
    """Return a connection to the holder of the lab NAME, and its process id from the kernel."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(_PATIENCE)
    try:
        client.connect(_address(name))
        pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError as error:
        client.close()
        if name not in names():
            return None
        raise LabError(
            f"the lab {printable(name)} does not answer ({error.strerror}): is it still being made?"
        ) from None
    if uid != os.geteuid() or pid == 0:
        client.close()
        owner = f"user {uid}" if pid else "another container (PID namespace)"
        raise LabError(f"the lab {printable(name)} belongs to {owner}: end it there, or use another --name")
    return client, pid
