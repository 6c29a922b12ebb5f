"""Replaces routes without taking over somebody else's: the kernel's replace does not ask whose a route is.

What others did to a destination since the table was read is known from the announcements. A replace that comes too late for them is
not sent. Where somebody is faster yet, between that look and the write, the announcements tell which route was displaced, and it is
put back.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence

from podroutes.kernel.listening import program_of
from podroutes.kernel.meanwhile import Meanwhile
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import Route
from podroutes.rtnl.meanwhile import Event, Key, key, outcome, replacement
from podroutes.views.iproute import line

_TRIES = 3  # whoever replaces the route again and again while we put it back is not to be outrun
Send = Callable[[Callable[[int], bytes]], Refusal | None]  # a request made of its sequence number


class Replacing:
    """The replaces among CHANGES, made from a table that was read when MEANWHILE began. PORT is ours, NAMES those of devices."""

    def __init__(self, changes: Sequence[Change], meanwhile: Meanwhile, port: int, names: dict[int, str]) -> None:
        self.taken_over: list[TakenOver] = []
        self._changes = changes
        self._meanwhile = meanwhile
        self._port = port
        self._names = names
        self._keys: dict[Key, int] = {
            key(change.route): position
            for position, change in enumerate(changes)
            if change.action == "replace" and change.was
        }

    def late(self) -> dict[int, Refusal]:
        """Return the replaces that must not be sent any more, by position, and why."""
        if not self._meanwhile.read(self._keys):
            lost = Refusal(errno.ESTALE, "others changed so many routes meanwhile that it has to be looked at anew")
            return dict.fromkeys(self._keys.values(), lost)
        late = {}
        for found, position in self._keys.items():
            standing = self._foreign(outcome(self._meanwhile.of(found), self._port).standing, position)
            if standing:
                late[position] = Refusal(errno.EEXIST, f"{self._told(standing)} stands there by now")
        return late

    def listen(self) -> None:
        """Take in what was announced so far, before there is more of it than the socket can hold."""
        self._meanwhile.read(self._keys)

    def settle(self, send: Send) -> dict[int, Refusal]:
        """Put back what was displaced after all, by SEND; return the replaces that are none therefore."""
        undone = {}
        self._meanwhile.read(self._keys)
        for found, position in self._keys.items():
            for _ in range(_TRIES):
                displaced, standing = outcome(self._meanwhile.of(found), self._port)
                displaced = self._foreign(displaced, position)
                if displaced is None or standing is not None:  # they have put another one there since
                    break
                route = displaced.route(self._names)
                failure = self._put_back(displaced, send)
                self.taken_over.append(TakenOver(route, program_of(displaced.port), failure))
                if failure:
                    break
                undone[position] = Refusal(
                    errno.EEXIST, f"{self._told(displaced)} stood there by then, and stands there again"
                )
                self._meanwhile.read(self._keys)
        return undone

    def _put_back(self, event: Event, send: Send) -> str:
        """Return why EVENT's route could not be put back, "" when it was."""
        if len(event.route(self._names).next_hops) > 1:  # of an IPv6 route with siblings one may have been ours
            return "it has several next hops"
        refused = send(lambda seq: replacement(event, seq))
        return refused.text if refused else ""

    def _foreign(self, event: Event | None, position: int) -> Event | None:
        """Return EVENT unless its route is what we replace, or what we put there."""
        if event is None:
            return None
        change, route = self._changes[position], event.route(self._names)
        return None if any(each and _alike(each, route) for each in (change.route, change.was)) else event

    def _told(self, event: Event) -> str:
        return line(event.route(self._names))


def _alike(one: Route, other: Route) -> bool:
    """Whether two routes to the same destination are one; flags come and go with the carrier."""
    ways = [[(hop.via, hop.dev) for hop in each.next_hops] for each in (one, other)]
    return (one.protocol, one.kind, ways[0]) == (other.protocol, other.kind, ways[1])


def positions(refused: Mapping[int, Refusal], kept: Sequence[int]) -> dict[int, Refusal]:
    """Return REFUSED, whose positions count among KEPT, by the positions of all."""
    return {kept[position]: why for position, why in refused.items()}


def kept(count: int, without: Iterable[int]) -> list[int]:
    """Return the positions of COUNT changes but those WITHOUT."""
    out = set(without)
    return [position for position in range(count) if position not in out]
