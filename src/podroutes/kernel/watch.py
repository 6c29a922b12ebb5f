"""Notifications about changes that others make to routes, links and addresses. They are hints; only a snapshot is authoritative."""

import errno
import struct
from typing import NamedTuple

from podroutes.kernel.listening import READ, Subscription, program_of
from podroutes.model.address import Prefix
from podroutes.model.route import Route
from podroutes.rtnl.notification import GROUPS, notifications

__all__ = ["KernelEvents", "KernelWatch", "program_of"]

_MOST = 512  # datagrams a call, so that many foreign routes leave time for our own work


class KernelEvents(NamedTuple):
    """The notifications since the last read, without our own changes.

    ``deleted`` are routes of ours that were deleted, each with the netlink port that did it (0: the kernel). ``added`` are
        the destinations in the main table whose route another program added or changed, ``changed`` these and the deleted ones.
        ``touched`` are the indexes of the interfaces that changed or of which an address did.
    """

    deleted: tuple[tuple[Route, int], ...] = ()
    added: frozenset[Prefix] = frozenset()
    changed: frozenset[Prefix] = frozenset()
    foreign_changes: bool = False  # another program added a route with our protocol number
    links_or_addresses: bool = False  # links, addresses or nexthop objects: routes may have gone without a notification
    overflow: bool = False  # notifications were lost (ENOBUFS)
    more: bool = False  # more notifications are pending
    touched: frozenset[int] = frozenset()


class KernelWatch(Subscription):
    """A subscription to the kernel's notifications about routes, links and addresses.

    OWN_PORTS are the netlink ports of our own changes (``NetlinkKernel.port``). Raises KernelError if the socket cannot be opened.
    """

    def __init__(self, *own_ports: int) -> None:
        self._own_ports = frozenset(own_ports)
        super().__init__("the kernel", GROUPS)

    def read(self, names: dict[int, str]) -> KernelEvents:
        """Return the pending notifications without blocking. NAMES maps interface indexes to device names."""
        deleted: list[tuple[Route, int]] = []
        added: set[Prefix] = set()
        changed: set[Prefix] = set()
        touched: set[int] = set()
        foreign_changes = links_or_addresses = overflow = False
        more = True
        for _ in range(_MOST):
            try:
                events = list(notifications(self._socket.recv(READ), names))
            except BlockingIOError:
                more = False
                break
            except (OSError, struct.error) as error:
                if isinstance(error, OSError) and error.errno != errno.ENOBUFS:
                    raise self.failure(error) from error
                overflow = True
                continue
            for notice in events:
                if notice.dst is None:
                    links_or_addresses = True
                    touched.add(notice.ifindex)
                elif notice.port not in self._own_ports:
                    changed.add(notice.dst)
                    if not notice.gone:
                        added.add(notice.dst)
                        foreign_changes |= notice.route is not None
                    elif notice.route:
                        deleted.append((notice.route, notice.port))
        return KernelEvents(
            tuple(deleted),
            frozenset(added),
            frozenset(changed),
            foreign_changes,
            links_or_addresses,
            overflow,
            more,
            frozenset(touched),
        )
