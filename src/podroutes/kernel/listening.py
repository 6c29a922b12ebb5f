"""Sockets that receive the kernel's notifications, and the program behind a netlink port."""

import _socket as socket  # what is used of it; the module around it loads six more
import struct
from array import array
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from podroutes.errors import KernelError
from podroutes.rtnl import constants as nl

RECEIVE_BUFFER = 4 << 20  # requested bytes; more than net.core.rmem_max needs CAP_NET_ADMIN
READ = 1 << 16
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12  # linux/netlink.h
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: BPF_LD|W|ABS, JMP|JEQ|K, RET|K


def listener(groups: Iterable[int], *, protocol: int = NETLINK_ROUTE, without: int = 0) -> socket.socket:
    """Return a non-blocking socket that receives the notifications to GROUPS of the netlink PROTOCOL from now on. Raises ``OSError``.

    Those of changes that netlink port WITHOUT asked for are left out.
    """
    flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    hearing = socket.socket(socket.AF_NETLINK, flags, protocol)
    try:
        with suppress(OSError):  # SO_RCVBUFFORCE
            hearing.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
        if without:
            _leave_out(hearing, without)
        hearing.bind((0, 0))
        for group in groups:
            hearing.setsockopt(nl.SOL_NETLINK, nl.NETLINK_ADD_MEMBERSHIP, group)
    except BaseException:
        hearing.close()
        raise
    return hearing


class Subscription:
    """A subscription to GROUPS of the netlink PROTOCOL, to which error messages refer as SOURCE.

    ``fileno`` is readable when notifications are pending. Raises KernelError if the socket cannot be opened.
    """

    def __init__(self, source: str, groups: Iterable[int], *, protocol: int = NETLINK_ROUTE) -> None:
        self._source = source
        try:
            self._socket = listener(groups, protocol=protocol)
        except OSError as error:
            raise self.failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor to poll."""
        return self._socket.fileno()

    def failure(self, error: OSError) -> KernelError:
        """Return the error to raise for ERROR of the socket."""
        return KernelError(f"cannot listen to {self._source}: {error.strerror}")


def _leave_out(hearing: socket.socket, port: int) -> None:
    """Have the kernel drop messages of netlink port PORT: a socket filter, linux/filter.h, that looks at nlmsg_pid."""
    sender = int.from_bytes(struct.pack("=I", port), "big")  # a filter reads words in network byte order
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, 12),  # nlmsg_pid
            (_JUMP_IF_EQUAL, 0, 1, sender),
            (_RETURN, 0, 0, 0),  # drop
            (_RETURN, 0, 0, 0xFFFFFFFF),  # the whole message
        )
    )
    code = array("B", program)
    hearing.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program) // 8, code.buffer_info()[0])
    )


def program_of(port: int) -> str:
    """Return the program behind a netlink port, which is usually its process id; "" if unknown."""
    if not 0 < port < 1 << 22:
        return ""
    with suppress(OSError), open(f"/proc/{port}/comm", errors="replace", encoding="utf-8") as file:  # noqa: PTH123, pathlib is slow to load
        return file.read().strip()
    return ""
