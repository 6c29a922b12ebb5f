"""Which pod CIDRs one machine sends straight to their owners, found for all of them at once.

A healthy cluster's tables are the same routes everywhere, so that sets of them are compared, not looked up one by one.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from podroutes.core.network import Arrival, Network
from podroutes.core.targets import Spans
from podroutes.model.address import Address, Prefix
from podroutes.model.host import Host, Rule
from podroutes.model.proof import Target
from podroutes.model.route import MAIN, Route

_NOWHERE = 1 | 16  # RTNH_F_DEAD, RTNH_F_LINKDOWN: linux/rtnetlink.h


class Reach(NamedTuple):
    """What one machine does with all targets, which are known by their places."""

    host: Host
    missing: frozenset[int]  # targets of others that it does not send straight to their owner, or not for certain
    direct: dict[str, frozenset[int]]  # the others, by the device that they leave by
    own: frozenset[int]
    routes: tuple[Route, ...]  # all that a look-up of a missing or own target can meet


class Catalogue:
    """All routes of all machines, each judged once: whether it matters, and whether it leads straight to a target's owner."""

    def __init__(self, network: Network, found: Sequence[Target], version: int) -> None:
        self.network = network
        self.targets = found
        self.version = version
        self.arrivals: dict[int, Arrival | None] = {}  # where packets for a target come in at its owner; None: not seen
        self.specifics: dict[int, set[Prefix]] = {place: set() for place in range(len(found))}
        self._spans = Spans(found)
        self._straight: dict[int, tuple[int, Route]] = {}  # id(route): the target whose owner it leads to
        self._touching: dict[int, tuple[range, Route]] = {}  # id(route): the targets that it touches otherwise
        self._by_target: dict[int, set[int]] = {}  # id(route) of the straight ones, by target
        self._by_dev: dict[str, tuple[set[int], Prefix]] = {}
        self._all = frozenset(range(len(found)))
        self._own: dict[str, set[int]] = {}
        for place, target in enumerate(found):
            self._own.setdefault(target.owner, set()).add(place)
        self._classify()

    def place(self, address: Address) -> int | None:
        """Return the place of the target that ADDRESS lies in."""
        touched = self._spans.touched(Prefix(address.version, address.value, 128 if address.version == 6 else 32))
        return touched.start if touched else None

    def touched(self, route: Route) -> range:
        """Return the places of all targets that ROUTE touches."""
        return self._spans.touched(route.dst)

    def own(self, name: str) -> frozenset[int]:
        """Return the places of the targets of one node."""
        return frozenset(self._own.get(name, ()))

    def reach(self, host: Host) -> Reach:
        """Return what HOST does with every target."""
        ids = set(map(id, host.routes))
        own = self.own(host.name)
        tables = _sequence(host.rules.get(self.version), host)
        before = set(tables[: tables.index(MAIN)]) if MAIN in tables else set()
        touching = ids & self._touching.keys()
        blocked: set[int] = set()
        for touched, route in map(self._touching.__getitem__, touching):
            first = touched.start
            if route.table in before or (route.table == MAIN and route.dst.length >= self.targets[first].prefix.length):
                blocked.update(touched)
        direct: dict[str, frozenset[int]] = {}
        for dev in self._by_dev if MAIN in tables else ():
            reached = self._direct(host, dev, ids)
            if reached:
                direct[dev] = reached.difference(blocked, own)
        missing = self._all.difference(own, *direct.values())
        met = touching.union(*(ids & self._by_target.get(place, set()) for place in missing | own))
        return Reach(host, missing, direct, own, tuple(route for route in host.routes if id(route) in met))

    def alone(self, reach: Reach, place: int) -> tuple[Route, ...]:
        """Return all routes that a look-up of the target at PLACE can meet."""
        if place in reach.missing or place in reach.own:
            return reach.routes
        straight = self._by_target[place]
        return (*reach.routes, *(route for route in reach.host.routes if id(route) in straight))

    def _direct(self, host: Host, dev: str, ids: set[int]) -> frozenset[int]:
        """Return the targets whose owners HOST reaches straight over DEV."""
        link = host.links.get(dev)
        if link is None or not (link.up and link.carrier):
            return frozenset()
        found = ids & self._by_dev[dev][0]
        segment = self.network.segment(host.name, dev)
        if not any(subnet.covers(self._by_dev[dev][1]) for subnet in segment):
            vias = ((key, self._straight[key][1].via) for key in found)
            found = {key for key, via in vias if via and any(subnet.covers(via) for subnet in segment)}
        return frozenset([self._straight[key][0] for key in found])

    def _classify(self) -> None:
        known: set[int] = set()
        for host in self.network.hosts.values():
            new = set(map(id, host.routes)) - known
            if new:
                for route in host.routes:
                    if id(route) in new and route.dst.version == self.version:
                        self._judge(host, route)
                known |= new
            for rule in host.rules.get(self.version) or ():
                self._split(rule.dst)
        for key, (place, route) in self._straight.items():
            self._by_target.setdefault(place, set()).add(key)
            via, dev = route.via, route.dev
            if via and dev:
                ids, hull = self._by_dev.setdefault(
                    dev, (set(), Prefix(via.version, via.value, 128 if via.version == 6 else 32))
                )
                ids.add(key)
                while not hull.covers(via):
                    hull = Prefix(hull.version, hull.value, hull.length - 1)
                self._by_dev[dev] = ids, hull

    def _judge(self, host: Host, route: Route) -> None:
        touched = self._spans.touched(route.dst)
        if not touched:
            return
        if len(touched) == 1:
            self._split(route.dst)
            if self._leads_straight(host, route, touched.start):
                self._straight[id(route)] = touched.start, route
                return
        self._touching[id(route)] = touched, route

    def _split(self, prefix: Prefix | None) -> None:
        touched = self._spans.touched(prefix) if prefix and prefix.version == self.version else range(0)
        if prefix and len(touched) == 1 and prefix.length > self.targets[touched.start].prefix.length:
            self.specifics[touched.start].add(prefix)

    def _leads_straight(self, host: Host, route: Route, place: int) -> bool:
        """Whether ROUTE is what podroutes would make, whoever made it, and comes in where the others of its target do."""
        target = self.targets[place]
        if (
            route.dst != target.prefix
            or (route.kind, route.table, route.tos) != ("unicast", MAIN, 0)
            or len(route.next_hops) != 1
            or route.next_hops[0].flags & _NOWHERE
            or route.via is None
            or route.via.version != self.version
            or route in host.peculiar
        ):
            return False
        arrival = self._arrival(route.via, target.owner)
        return arrival != () and self.arrivals.setdefault(place, arrival) == arrival  # type: ignore[arg-type]

    def _arrival(self, via: Address, owner: str) -> Arrival | tuple[()] | None:
        """Return where packets handed to VIA come in at OWNER: None where its tables are not known, () where they do not."""
        owners = self.network.owners(via)
        if not owners and owner not in self.network.hosts:
            return None if self.network.node_with(via) == owner else ()
        if len(owners) != 1 or owners[0].host != owner:
            return ()
        link = self.network.hosts[owner].links.get(owners[0].iif)
        return owners[0] if link and link.up and link.carrier and self.network.segment(*owners[0]) else ()


def _sequence(rules: Iterable[Rule] | None, host: Host) -> list[int]:
    """Return the tables that an ordinary packet is looked up in, in order; none where that is more than a sequence."""
    found: list[int] = []
    for rule in rules or ():
        never = bool(rule.mark & rule.mask or rule.tos or rule.oif or (rule.iif and rule.iif not in host.links))
        always = not (rule.src or rule.dst or rule.iif or never or rule.unmodelled or rule.action == "l3mdev")
        if never and not rule.inverted:
            continue
        if not always or rule.inverted or rule.action != "lookup" or rule.suppress_prefixlength >= 0:
            return []
        found.append(rule.table)
    return found
