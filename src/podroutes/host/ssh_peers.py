"""Whom this machine's SSH servers talk to now: the far ends of their established connections.

A multiplexer that was started in an earlier session, sudo(8) and systemd-run(1) hide or change SSH_CONNECTION; the sockets of the
server do not depend on how a program was started. proc_net(5), proc_pid_fd(5).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from podroutes.model.address import Address

_PORT = 22  # told without looking who has the socket: only root may see that
_ESTABLISHED = "01"  # TCP_ESTABLISHED, net/tcp_states.h
_SERVERS = frozenset({"sshd", "sshd-session", "dropbear"})
_V4_MAPPED = 0xFFFF


def ssh_peers(proc: str | os.PathLike[str] = "/proc") -> Iterator[Address]:
    """Yield the far ends of the SSH connections to this machine, in our network namespace."""
    rows = [row for name in ("tcp", "tcp6") for row in _established(f"{os.fspath(proc)}/thread-self/net/{name}")]
    others = {inode for port, _, inode in rows if port != _PORT}
    served = _of_servers(os.fspath(proc), others) if others else set()
    for port, peer, inode in rows:
        if port == _PORT or inode in served:
            yield peer


def _established(table: str) -> Iterator[tuple[int, Address, str]]:
    """Yield local port, far end and inode of each established connection that TABLE lists."""
    try:
        with open(table, encoding="ascii", errors="replace") as file:  # noqa: PTH123, pathlib is slow to load
            lines = file.read().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, IndexError):
            _, local, remote, state, *rest = line.split()
            if state == _ESTABLISHED:
                yield int(local.rpartition(":")[2], 16), _address(remote.partition(":")[0]), rest[5]


def _address(text: str) -> Address:
    """Return the address that TEXT is: words of 32 bits in the order of this machine's bytes."""
    words = (int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8))
    value = int.from_bytes(b"".join(words), "big")
    if len(text) > 8 and value >> 32 != _V4_MAPPED:
        return Address(6, value)
    return Address(4, value & 0xFFFFFFFF)


def _of_servers(proc: str, inodes: set[str]) -> set[str]:
    """Return those of INODES that a process of an SSH server has open."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    addresses = set[str]()
    for process in os.listdir(proc):  # noqa: PTH208, the same
        if not process.isdigit():
            continue
        with suppress(OSError):
            with open(f"{proc}/{process}/comm", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                name = file.read().strip()
            if name in _SERVERS:
                files = f"{proc}/{process}/fd"
                targets = (os.readlink(f"{files}/{each}") for each in os.listdir(files))  # noqa: PTH115, PTH208
                addresses.update(links[target] for target in targets if target in links)
    return addresses
