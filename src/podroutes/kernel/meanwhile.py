"""Records what other programs do to the same destinations between a snapshot and the write that follows it."""

import _socket as socket  # what is used of it; the module around it loads six more
import errno
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Self

from podroutes.kernel.listening import READ, listener
from podroutes.rtnl import constants as nl
from podroutes.rtnl.meanwhile import Event, Key, events
from podroutes.rtnl.message import HEADER

_GROUPS = (nl.RTNLGRP_IPV4_ROUTE, nl.RTNLGRP_IPV6_ROUTE)
_KEPT = 8  # reads, each after a batch, whose notifications the buffer of a record holds


class Meanwhile:
    """Records all route changes from now on. Raises ``OSError`` if the socket cannot be opened.

    With an OWN port there are two sockets. The alarm receives what others change alone. While it is silent, the record, which has
    everything in order, is not read but replaced by a new one: of 100,000 replaces each has a notification.
    """

    def __init__(self, own: int = 0) -> None:
        self._events: defaultdict[Key, list[Event]] = defaultdict(list)
        self._buffer = bytearray(READ)
        self._socket = listener(_GROUPS)
        self._alarm: socket.socket | None = None
        self._unread = 0
        with suppress(OSError):
            self._alarm = listener(_GROUPS, without=own) if own else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        if self._alarm:
            self._alarm.close()

    def _silent(self) -> bool:
        """Return whether nobody else has changed a route; once somebody has, the record is read."""
        if self._alarm is None:
            return False
        self._unread += 1
        fresh = None
        if self._unread >= _KEPT:
            with suppress(OSError):
                fresh = listener(_GROUPS)  # opened before the alarm is asked, so that no change is in neither
        try:
            self._alarm.recv(1, socket.MSG_PEEK)
            silent = False
        except BlockingIOError:
            silent = fresh is not None or self._unread < _KEPT
        except OSError:  # it overflowed
            silent = False
        if silent and fresh:
            self._socket, fresh, self._unread = fresh, self._socket, 0
        if fresh:
            fresh.close()
        if not silent:
            self._alarm.close()
            self._alarm = None
        return silent

    def read(self, keys: Callable[[], Collection[Key]], port: int) -> bool:
        """Read the pending notifications about KEYS without blocking; return whether none was lost (ENOBUFS).

        Before the first change of somebody else those of our own PORT tell nothing.
        """
        if self._silent():
            return True
        whole = True
        buffer = self._buffer
        while True:
            try:
                size = self._socket.recv_into(buffer)
            except BlockingIOError:
                return whole
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # the socket is closed
                    return False
                whole = False
                continue
            length, _, _, _, sender = HEADER.unpack_from(buffer)
            if sender == port and size == length and not self._events:
                continue
            for key, event in events(bytes(buffer[:size]), keys()):
                self._events[key].append(event)

    @property
    def keys(self) -> list[Key]:
        """The keys with events."""
        return list(self._events)

    def of(self, key: Key) -> list[Event]:
        """Return the events of one of the keys that were read, in order."""
        return self._events.get(key, [])
