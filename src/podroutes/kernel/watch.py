"""What others do to this machine's routes, links and addresses, as the kernel announces it: hints, for the scan is the truth."""

import errno
import struct
from typing import NamedTuple, Self

from podroutes.errors import KernelError
from podroutes.kernel.listening import READ, listener, program_of
from podroutes.model.address import Prefix
from podroutes.model.route import Route
from podroutes.rtnl.notification import GROUPS, notifications

__all__ = ["KernelEvents", "KernelWatch", "program_of"]

_MOST = 512  # datagrams a call, so that a flood of other people's routes leaves time for our own work


class KernelEvents(NamedTuple):
    """What was announced since the last look, our own changes left out.

    ``deleted`` are routes of ours that went, each with the netlink port of who took it (0: the kernel itself), ``added`` the
    destinations in the main table to which somebody put or changed a route, ``changed`` these and those that lost one.
    """

    deleted: tuple[tuple[Route, int], ...] = ()
    added: frozenset[Prefix] = frozenset()
    changed: frozenset[Prefix] = frozenset()
    foreign_changes: bool = False  # somebody made a route with our protocol number
    links_or_addresses: bool = False  # links, addresses or nexthop objects: routes may have gone without a word
    overflow: bool = False  # announcements were lost (ENOBUFS): anything may have happened
    more: bool = False  # there is more to be read


class KernelWatch:
    """A subscription to the kernel's announcements; ``fileno`` is readable when there are any.

    OWN_PORT is the netlink port whose changes are our own (``NetlinkKernel.port``). Raises KernelError where it cannot be had.
    """

    def __init__(self, own_port: int) -> None:
        self._own_port = own_port
        try:
            self._socket = listener(GROUPS)
        except OSError as error:
            raise KernelError(f"cannot listen to the kernel: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def read(self, names: dict[int, str]) -> KernelEvents:
        """Return what was announced, without waiting. NAMES tells the device of an interface index."""
        deleted: list[tuple[Route, int]] = []
        added: set[Prefix] = set()
        changed: set[Prefix] = set()
        foreign_changes = links_or_addresses = overflow = False
        for _ in range(_MOST):
            try:
                found = list(notifications(self._socket.recv(READ), names))
            except BlockingIOError:
                return KernelEvents(
                    tuple(deleted), frozenset(added), frozenset(changed), foreign_changes, links_or_addresses, overflow
                )
            except (OSError, struct.error) as error:
                if isinstance(error, OSError) and error.errno != errno.ENOBUFS:
                    raise KernelError(f"cannot listen to the kernel: {error.strerror}") from error
                overflow = True
                continue
            for notice in found:
                if notice.dst is None:
                    links_or_addresses = True
                elif notice.port != self._own_port:
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
            more=True,
        )
