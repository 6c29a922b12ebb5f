"""Listens from a look at the table to the write that follows it: what others did to the same destinations in between."""

import errno
from collections import defaultdict
from collections.abc import Collection
from typing import Self

from podroutes.kernel.listening import READ, listener
from podroutes.rtnl import constants as nl
from podroutes.rtnl.meanwhile import Event, Key, events


class Meanwhile:
    """Everything that happens to routes from now on. Raises ``OSError`` where that cannot be had."""

    def __init__(self) -> None:
        self._events: defaultdict[Key, list[Event]] = defaultdict(list)
        self._socket = listener((nl.RTNLGRP_IPV4_ROUTE, nl.RTNLGRP_IPV6_ROUTE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self, keys: Collection[Key]) -> bool:
        """Take in what was announced about KEYS, without waiting; whether nothing was lost (ENOBUFS)."""
        whole = True
        while True:
            try:
                datagram = self._socket.recv(READ)
            except BlockingIOError:
                return whole
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # nothing will be heard any more
                    return False
                whole = False
                continue
            for key, event in events(datagram, keys):
                self._events[key].append(event)

    def of(self, key: Key) -> list[Event]:
        """Return what happened to one of the keys that were read for, in order."""
        return self._events[key]
