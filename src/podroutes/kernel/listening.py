"""A socket that receives the kernel's notifications, and the program behind a netlink port."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from podroutes.rtnl import constants as nl

RECEIVE_BUFFER = 4 << 20  # requested bytes; more than net.core.rmem_max needs CAP_NET_ADMIN
READ = 1 << 16


def listener(groups: Iterable[int]) -> socket.socket:
    """Return a non-blocking socket that receives the notifications to GROUPS from now on. Raises ``OSError``."""
    flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    hearing = socket.socket(socket.AF_NETLINK, flags, socket.NETLINK_ROUTE)
    try:
        with suppress(OSError):  # SO_RCVBUFFORCE
            hearing.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
        hearing.bind((0, 0))
        for group in groups:
            hearing.setsockopt(nl.SOL_NETLINK, nl.NETLINK_ADD_MEMBERSHIP, group)
    except BaseException:
        hearing.close()
        raise
    return hearing


def program_of(port: int) -> str:
    """Return the program behind a netlink port, which is usually its process id; "" if unknown."""
    with suppress(OSError):
        return Path(f"/proc/{port}/comm").read_text(errors="replace").strip() if 0 < port < 1 << 22 else ""
    return ""
