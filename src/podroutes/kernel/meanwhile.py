"""Records what other programs do to the same destinations between a snapshot and the write that follows it."""

import errno
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Self

from podroutes.kernel.listening import READ, listener
from podroutes.rtnl import constants as nl
from podroutes.rtnl.meanwhile import Event, Key, events
from podroutes.rtnl.message import HEADER


class Meanwhile:
    """Records all route changes from now on. Raises ``OSError`` if the socket cannot be opened."""

    def __init__(self) -> None:
        self._events: defaultdict[Key, list[Event]] = defaultdict(list)
        self._buffer = bytearray(READ)
        self._socket = listener((nl.RTNLGRP_IPV4_ROUTE, nl.RTNLGRP_IPV6_ROUTE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self, keys: Callable[[], Collection[Key]], port: int) -> bool:
        """Read the pending notifications about KEYS without blocking; return whether none was lost (ENOBUFS).

        Before the first change of somebody else those of our own PORT tell nothing, and of 100,000 replaces each has one.
        """
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
