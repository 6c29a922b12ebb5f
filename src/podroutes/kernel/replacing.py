"""Replaces routes without displacing another program's: the kernel's replace ignores the protocol of the present route.

The notifications show what others did to a destination since the snapshot. A replace that these make wrong is not sent. If
another program writes between this check and the replace, the notifications show which route was displaced, and it is restored.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter

from podroutes.kernel.listening import program_of
from podroutes.kernel.meanwhile import Meanwhile
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import Route
from podroutes.rtnl.meanwhile import Event, Key, key, outcome, replacement
from podroutes.views.iproute import line

_TRIES = 3  # a program that replaces the route more often than this during the restoration wins
Send = Callable[[Callable[[int], bytes]], Refusal | None]  # makes the request for a sequence number


class Replacing:
    """The replaces among CHANGES, computed from the snapshot at which MEANWHILE began. PORT is our netlink port, NAMES are device names."""

    def __init__(self, changes: Sequence[Change], meanwhile: Meanwhile, port: int, names: dict[int, str]) -> None:
        self.taken_over: list[TakenOver] = []
        self._changes = changes
        self._meanwhile = meanwhile
        self._port = port
        self._names = names

    @cached_property
    def _keys(self) -> dict[Key, int]:
        """The position of the replace of each key; not needed where nobody else changes a route."""
        return {
            key(change.route): position
            for position, change in enumerate(self._changes)
            if change.action == "replace" and change.was
        }

    def _read(self) -> bool:
        return self._meanwhile.read(lambda: self._keys, self._port)

    def _changed(self) -> list[tuple[Key, int]]:
        """Return the keys that there were events of, with the positions of their replaces, in order."""
        return sorted(((seen, self._keys[seen]) for seen in self._meanwhile.keys), key=itemgetter(1))

    def late(self) -> dict[int, Refusal]:
        """Return the refusals of the replaces that must not be sent any more, by position."""
        if not self._read():
            lost = Refusal(errno.ESTALE, "others changed so many routes meanwhile that it has to be looked at anew")
            return dict.fromkeys(self._keys.values(), lost)
        late = {}
        for event, position in self._changed():
            standing = self._foreign(outcome(self._meanwhile.of(event), self._port).standing, position)
            if standing:
                late[position] = Refusal(errno.EEXIST, f"{self._told(standing)} stands there by now")
        return late

    def listen(self) -> None:
        """Read the pending notifications, before the socket's buffer is full."""
        self._read()

    def settle(self, send: Send) -> dict[int, Refusal]:
        """Restore displaced routes by SEND; return the refusals of the replaces that this undoes."""
        undone = {}
        self._read()
        for event, position in self._changed():
            for _ in range(_TRIES):
                displaced, standing = outcome(self._meanwhile.of(event), self._port)
                displaced = self._foreign(displaced, position)
                if displaced is None or standing is not None:  # they have added another one since
                    break
                route = displaced.route(self._names)
                failure = self._put_back(displaced, send)
                self.taken_over.append(TakenOver(route, program_of(displaced.port), failure))
                if failure:
                    break
                undone[position] = Refusal(
                    errno.EEXIST, f"{self._told(displaced)} stood there by then, and stands there again"
                )
                self._read()
        return undone

    def _put_back(self, event: Event, send: Send) -> str | None:
        """Restore the route of EVENT; return why that failed, None if it did not."""
        if len(event.route(self._names).next_hops) > 1:  # one of several IPv6 siblings may have been ours
            return "it has several next hops"
        refused = send(lambda seq: replacement(event, seq))
        return refused.text if refused else None

    def _foreign(self, event: Event | None, position: int) -> Event | None:
        """Return EVENT unless its route is the one that we replace or the one that we wrote."""
        if event is None:
            return None
        change, route = self._changes[position], event.route(self._names)
        return None if any(each and _alike(each, route) for each in (change.route, change.was)) else event

    def _told(self, event: Event) -> str:
        return line(event.route(self._names))


def _alike(one: Route, other: Route) -> bool:
    """Return whether two routes to the same destination are equal apart from flags, which change with the carrier."""
    ways = [[(hop.via, hop.dev) for hop in each.next_hops] for each in (one, other)]
    return (one.protocol, one.kind, ways[0]) == (other.protocol, other.kind, ways[1])


def positions(refused: Mapping[int, Refusal], kept: Sequence[int]) -> dict[int, Refusal]:
    """Return REFUSED, whose keys are indexes into KEPT, with KEPT's values as keys."""
    return {kept[position]: why for position, why in refused.items()}


def kept(count: int, without: Iterable[int]) -> list[int]:
    """Return the positions of COUNT changes, except those in WITHOUT."""
    out = set(without)
    return [position for position in range(count) if position not in out]
