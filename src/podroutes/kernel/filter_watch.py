"""Notifications about changes of one nftables table. They are hints; only the table itself is authoritative.

nfnetlink(7) has no manual page: linux/netfilter/nfnetlink.h and nf_tables.h. Every message about a table, a chain, a rule, a set or its
elements has the name of the table as attribute 1.
"""

import errno

from podroutes.kernel.listening import NETLINK_NETFILTER, READ, Subscription
from podroutes.rtnl.message import attributes, messages

_GROUP = 7  # NFNLGRP_NFTABLES
_NAME = 1  # NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE
_INET = 1  # NFPROTO_INET
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_NFGENMSG = 4  # bytes of struct nfgenmsg, which begins with the family
_MOST = 512  # datagrams a call; whoever changes more of them is read in the next round


class FilterWatch(Subscription):
    """A subscription to the changes of table ``inet NAME``. Raises KernelError if the socket cannot be opened."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        super().__init__("the packet filter", (_GROUP,), protocol=NETLINK_NETFILTER)

    def changed(self) -> bool:
        """Return whether the table may have changed since the last call, without blocking. Raises KernelError."""
        concerned = False
        for _ in range(_MOST):
            try:
                data = self._socket.recv(READ)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise self.failure(error) from error
                concerned = True  # notifications were lost
                continue
            concerned = concerned or concerns(data, self._name)
        return concerned


def concerns(data: bytes, name: bytes) -> bool:
    """Return whether a message in DATA is about the table NAME of the family inet. Pure."""
    for header in messages(data):
        start = header.start + _NFGENMSG
        if header.type >> 8 == _SUBSYSTEM and start <= header.end and data[header.start] == _INET:
            names = (
                data[first:last].rstrip(b"\0")
                for kind, first, last in attributes(data, start, header.end)
                if kind == _NAME
            )
            if next(names, b"") == name:
                return True
    return False
