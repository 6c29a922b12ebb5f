"""A socket that receives the kernel's notifications, and the program behind a netlink port."""

import _socket as socket  # what is used of it; the module around it loads six more
from collections.abc import Iterable
from contextlib import suppress

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
    if not 0 < port < 1 << 22:
        return ""
    with suppress(OSError), open(f"/proc/{port}/comm", errors="replace", encoding="utf-8") as file:  # noqa: PTH123, pathlib is slow to load
        return file.read().strip()
    return ""
