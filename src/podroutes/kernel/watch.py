"""What others do to this machine's routes, links and addresses, as the kernel announces it: hints, for the scan is the truth."""

import errno
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from podroutes.errors import KernelError
from podroutes.kernel.netlink import RECEIVE_BUFFER
from podroutes.model.address import Prefix
from podroutes.model.route import Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.notice import GROUPS, notices

_READ = 1 << 16
_MOST = 512  # datagrams a call, so that a flood of other people's routes leaves time for our own work


class Heard(NamedTuple):
    """What was announced since the last look, our own changes left out.

    ``lost`` are routes of ours that went, each with the netlink port of who took it (0: the kernel itself), ``came`` the
    destinations in the main table to which somebody put or changed a route, ``touched`` these and those that lost one.
    """

    lost: tuple[tuple[Route, int], ...] = ()
    came: frozenset[Prefix] = frozenset()
    touched: frozenset[Prefix] = frozenset()
    meddled: bool = False  # somebody made a route with our protocol number
    surroundings: bool = False  # links, addresses or nexthop objects: routes may have gone without a word
    overflow: bool = False  # announcements were lost (ENOBUFS): anything may have happened
    more: bool = False  # there is more to be read


class KernelWatch:
    """A subscription to the kernel's announcements; ``fileno`` is readable when there are any.

    OWN_PORT is the netlink port whose changes are our own (``NetlinkKernel.port``). Raises KernelError where it cannot be had.
    """

    def __init__(self, own_port: int) -> None:
        self._own_port = own_port
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            )
            with suppress(OSError):  # SO_RCVBUFFORCE
                self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
            self._socket.bind((0, 0))
            for group in GROUPS:
                self._socket.setsockopt(nl.SOL_NETLINK, nl.NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            raise KernelError(f"cannot listen to the kernel: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def read(self, names: dict[int, str]) -> Heard:
        """Return what was announced, without waiting. NAMES tells the device of an interface index."""
        lost: list[tuple[Route, int]] = []
        came: set[Prefix] = set()
        touched: set[Prefix] = set()
        meddled = surroundings = overflow = False
        for _ in range(_MOST):
            try:
                found = list(notices(self._socket.recv(_READ), names))
            except BlockingIOError:
                return Heard(tuple(lost), frozenset(came), frozenset(touched), meddled, surroundings, overflow)
            except (OSError, struct.error) as error:
                if isinstance(error, OSError) and error.errno != errno.ENOBUFS:
                    raise KernelError(f"cannot listen to the kernel: {error.strerror}") from error
                overflow = True
                continue
            for notice in found:
                if notice.dst is None:
                    surroundings = True
                elif notice.port != self._own_port:
                    touched.add(notice.dst)
                    if not notice.gone:
                        came.add(notice.dst)
                        meddled |= notice.route is not None
                    elif notice.route:
                        lost.append((notice.route, notice.port))
        return Heard(tuple(lost), frozenset(came), frozenset(touched), meddled, surroundings, overflow, more=True)


def program_of(port: int) -> str:
    """Return the program behind a netlink port, which usually is its process id; "" where that cannot be told."""
    with suppress(OSError):
        return Path(f"/proc/{port}/comm").read_text(errors="replace").strip() if 0 < port < 1 << 22 else ""
    return ""
