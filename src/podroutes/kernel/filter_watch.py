"""Notifications about changes of one nftables table. They are hints; only the table itself is authoritative.

nfnetlink(7) has no manual page: linux/netfilter/nfnetlink.h and nf_tables.h. Every message about a table, a chain, a rule, a set or its
elements has the name of the table as attribute 1.
"""

import errno
import socket
import struct
from contextlib import suppress
from typing import Self

from podroutes.errors import KernelError

_NETFILTER = 12  # NETLINK_NETFILTER
_GROUP = 7  # NFNLGRP_NFTABLES
_ADD_MEMBERSHIP = 1  # NETLINK_ADD_MEMBERSHIP
_SOL_NETLINK = 270
_NAME = 1  # NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE
_INET = 1  # NFPROTO_INET
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_READ = 1 << 16
_MOST = 512  # datagrams a call; whoever changes more of them is read in the next round


class FilterWatch:
    """A subscription to the changes of table ``inet NAME``; ``fileno`` is readable when some are pending.

    Raises KernelError if the socket cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
            self._socket.setblocking(False)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        except OSError as error:
            raise KernelError(f"cannot listen to the packet filter: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor to poll."""
        return self._socket.fileno()

    def changed(self) -> bool:
        """Return whether the table may have changed since the last call, without blocking."""
        concerned = False
        with suppress(BlockingIOError):
            for _ in range(_MOST):
                try:
                    data = self._socket.recv(_READ)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    concerned = True  # notifications were lost
                    continue
                concerned = concerned or concerns(data, self._name)
        return concerned


def concerns(data: bytes, name: bytes) -> bool:
    """Return whether a message in DATA is about the table NAME of the family inet. Pure."""
    offset = 0
    while offset + _HEADER.size + 4 <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        family = data[offset + _HEADER.size]
        body = data[offset + _HEADER.size + 4 : offset + length]
        if kind >> 8 == _SUBSYSTEM and family == _INET and _table(body) == name:
            return True
        if length < _HEADER.size:
            break
        offset += (length + 3) & ~3
    return False


def _table(body: bytes) -> bytes:
    """Return the first attribute of number 1, "" if there is none."""
    offset = 0
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if kind & 0x3FFF == _NAME:
            return body[offset + 4 : offset + length].rstrip(b"\0")
        if length < 4:
            break
        offset += (length + 3) & ~3
    return b""
