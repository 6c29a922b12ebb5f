"""Which pod CIDRs one machine sends straight to their owners, found for all of them at once.

A healthy cluster's tables are the same routes everywhere, so that sets of them are compared, not looked up one by one.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.host import Host
from podroutes.model.linux import NextHopFlag
from podroutes.model.proof import Target
from podroutes.model.route import MAIN, Route
from podroutes.plan.sequence import Traits, sequence
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.network import Arrival
from podroutes.verify.table_diff import TableDiff
from podroutes.verify.targets import Spans

_NOWHERE = int(NextHopFlag.DEAD | NextHopFlag.LINKDOWN)


class Reach(NamedTuple):
    """What one machine does with all targets, which are known by their places."""

    host: Host
    missing: frozenset[int]  # targets that it does not send straight to their owner, or not for certain; maybe its own
    own: frozenset[int]
    main: str  # the device by which most of the others leave
    aside: dict[str, frozenset[int]]  # those that leave by another one
    own_routes: tuple[Route, ...]  # all that a look-up of an own target can meet
    key: frozenset[int]  # what a look-up of a missing target can meet, as numbers that equal routes share

    def straight(self, place: int) -> bool:
        """Whether it sends a target straight to its owner."""
        return place not in self.missing and place not in self.own

    def not_by(self, dev: str, everything: frozenset[int]) -> frozenset[int]:
        """Return the targets of EVERYTHING that it does not send straight to their owners over DEV."""
        others = frozenset[int]().union(*self.aside.values())
        if dev == self.main:
            return self.missing.union(others) - self.own
        return everything - self.own - self.aside.get(dev, frozenset())


class _Ways(NamedTuple):
    """What decides about a machine's straight routes but the routes: tables in order, subnets of the devices that work."""

    tables: tuple[int, ...]
    subnets: tuple[tuple[str, tuple[Prefix, ...]], ...]


class _Model(NamedTuple):
    """A machine that others are nearly like. ``blocked`` targets have something beside their straight route."""

    reach: Reach
    ways: _Ways
    ids: frozenset[int]
    mine: frozenset[int]
    blocked: frozenset[int]
    met: frozenset[int]  # routes that touch several targets


class ReachIndex:
    """All routes of all machines, each judged once: whether it matters, and whether it leads straight to a target's owner."""

    def __init__(self, neighbours: Neighbours, found: Sequence[Target], version: int) -> None:
        self.neighbours = neighbours
        self.network = neighbours.network
        self.shared = self.network.shared
        self.targets = found
        self.version = version
        self.arrivals: dict[int, Arrival | None] = {}  # where packets for a target come in at its owner; None: not seen
        self.specifics: dict[int, set[Prefix]] = {place: set() for place in range(len(found))}
        self.divided: set[int] = set()  # targets whose parts not only their owner tells apart
        self._spans = Spans(found)
        self._all = frozenset(range(len(found)))
        self._own: dict[str, set[int]] = {}
        for place, target in enumerate(found):
            self._own.setdefault(target.owner, set()).add(place)
        self._routes: dict[int, Route] = {}
        self._wide: set[int] = set()  # those that touch several targets
        self._single: list[set[int]] = [set() for _ in found]  # the others, by the target that they touch
        self._place: dict[int, int] = {}  # the same the other way round
        self._straight: set[int] = set()  # of the latter those that lead straight to the owner
        self._covering: set[int] = set()  # and those that decide about all or a part of it otherwise
        self._dividing: set[int] = set()  # of the single ones those that tell addresses of their target apart
        self._tables: dict[int, set[int]] = {}
        self._by_dev: dict[str, tuple[set[int], Prefix]] = {}
        self._number: dict[int, int] = {}
        self._likenesses = self.shared.likenesses
        self._models: dict[str, _Model] = {}
        self._classify()

    def place(self, address: Address) -> int | None:
        """Return the place of the target that ADDRESS lies in."""
        touched = self._spans.touched(Prefix(address.version, address.value, BITS[address.version]))
        return touched.start if touched else None

    def touched(self, prefix: Prefix) -> range:
        """Return the places of all targets that share an address with PREFIX."""
        return self._spans.touched(prefix) if prefix.version == self.version else range(0)

    def own_routes(self, host: Host) -> tuple[Route, ...]:
        """Return all routes of HOST that a look-up of its own targets can meet."""
        own = set().union(*(self._single[place] for place in self._own.get(host.name, ())))
        return self._in_order(host, self.shared.held(host, self._wide_routes).union(self.shared.has(host, own)))

    def reach(self, host: Host, traits: Traits) -> Reach:
        """Return what HOST does with every target that its pods send to."""
        likeness = self._likenesses.found.get(host.name)
        ways = self._ways(host, traits)
        model = self._models.get(likeness.model) if likeness else None
        if likeness and model and model.ways == ways and (reach := self._like(host, model, likeness)):
            return reach
        ids = frozenset(map(id, host.routes))
        model = self._whole(host, ways, ids)
        if host.name in self._likenesses.ids:
            self._models[host.name] = model
        return model.reach

    def _ways(self, host: Host, traits: Traits) -> _Ways:
        tables = sequence(host, self.version, traits, self.touched)
        working = (
            dev
            for dev in sorted(self._by_dev)
            if host.works(dev) and self.neighbours.sends(host, dev, self.version) is None
        )
        return _Ways(tuple(tables), tuple((dev, self.network.segment(host.name, dev)) for dev in working))

    def _whole(self, host: Host, ways: _Ways, ids: frozenset[int]) -> _Model:
        """Work out a machine from nothing."""
        own = frozenset(self._own.get(host.name, ()))
        mine = frozenset[int]().union(*(self._single[place] for place in own))
        straight = ids & self._straight
        blocked = frozenset(self._blocked((ids & self._wide | ids & self._covering) - mine, ways))
        direct = {
            dev: reached - blocked - own for dev, _ in ways.subnets if (reached := self._direct(dev, ways, straight))
        }
        missing = self._all.difference(*direct.values())
        if direct:  # where nothing is straight all machines share one set, their own targets in it
            missing -= own
        main = max(direct, key=lambda dev: len(direct[dev]), default="")
        direct.pop(main, None)
        aside = {key for key in straight if self._place[key] in missing} if missing else set[int]()
        met = self._relevant(ids) - mine | aside
        key = frozenset(map(self._number.__getitem__, met)) if missing else frozenset[int]()
        routes = self._in_order(host, ids & self._wide | ids & mine)
        return _Model(Reach(host, missing, own, main, direct, routes, key), ways, ids, mine, blocked, ids & self._wide)

    def _like(self, host: Host, model: _Model, likeness: TableDiff) -> Reach | None:
        """Work out a machine from its model, None where more than straight routes and its own ones are different."""
        own = frozenset(self._own.get(host.name, ()))
        mine = frozenset[int]().union(*(self._single[place] for place in own))
        gone, new, same = likeness.gone, likeness.new, model.reach
        number = self._number.__getitem__
        if same.aside or set(map(number, self._relevant(gone) - model.mine)) != set(
            map(number, self._relevant(new) - mine)
        ):
            return None
        straight = new & self._straight
        gained = self._direct(same.main, model.ways, straight)
        lost = frozenset(self._place[key] for key in gone & self._straight)
        several = any(len(self._single[place] & self._straight & model.ids) > 1 for place in gained | lost)
        if several or len(gained) < len(straight) or not model.blocked.isdisjoint(gained | lost | own):
            return None
        wanted = (lost | same.own if same.main else lost) - gained - own
        unwanted = gained | own if same.main else gained
        missing = same.missing
        if not (wanted <= missing and unwanted.isdisjoint(missing)):
            missing = missing.union(wanted) - unwanted
        kept = {key for key in model.met if key not in gone} | {
            key for key in mine if key in model.ids and key not in gone
        }
        routes = self._in_order(host, kept | ((new & self._wide) | (new & mine)))
        return Reach(host, missing, own, same.main, {}, routes, same.key)

    def _relevant(self, keys: frozenset[int]) -> frozenset[int]:
        """Return those of KEYS that decide about targets otherwise than by leading straight to their owners."""
        return (keys & self._wide) | (keys & self._place.keys()) - self._straight

    def routes(self, host: Host, places: Iterable[int]) -> tuple[Route, ...]:
        """Return all routes of HOST that a look-up of the targets at PLACES can meet."""
        wanted = self._wide.union(*(self._single[place] for place in places))
        return tuple(route for route in host.routes if id(route) in wanted)

    def _in_order(self, host: Host, keys: set[int] | frozenset[int]) -> tuple[Route, ...]:
        """Return routes, those of one prefix in the kernel's order."""
        found = [self._routes[key] for key in keys]
        if len({(route.dst, route.table) for route in found}) < len(found):
            return tuple(route for route in host.routes if id(route) in keys)
        return tuple(found)

    def _blocked(self, keys: frozenset[int], ways: _Ways) -> set[int]:
        """Return the targets that some other route decides about, at least in part, before or beside the straight one."""
        if MAIN not in ways.tables:
            return set(self._all)
        found = set(map(self._place.__getitem__, keys & self._covering & self._tables.get(MAIN, set())))
        for table in ways.tables[: ways.tables.index(MAIN)]:
            for key in keys & self._tables.get(table, set()):
                found.update(self._spans.touched(self._routes[key].dst))
        return found

    def _direct(self, dev: str, ways: _Ways, straight: frozenset[int]) -> frozenset[int]:
        """Return the targets whose owners are reached over DEV by one of the routes STRAIGHT."""
        if not straight or dev not in self._by_dev:
            return frozenset()
        segment = dict(ways.subnets).get(dev, ())
        found: Iterable[int] = straight & self._by_dev[dev][0]
        if not any(subnet.covers(self._by_dev[dev][1]) for subnet in segment):
            vias = ((key, self._routes[key].via) for key in found)
            found = [key for key, via in vias if via and any(subnet.covers(via) for subnet in segment)]
        return frozenset(map(self._place.__getitem__, found))

    def _classify(self) -> None:
        numbers: dict[object, int] = {}
        for host, unseen in self.shared.first:
            for route in unseen:
                if route.dst.version == self.version and self._judge(host, route):
                    alike = route._replace(prefsrc=None, protocol=0, scope=0)
                    self._routes[id(route)] = route
                    self._tables.setdefault(route.table, set()).add(id(route))
                    self._number[id(route)] = numbers.setdefault((alike, host.peculiar.get(route)), len(numbers))
        for host in self.network.hosts.values():
            for rule in host.rules.get(self.version) or ():
                self.divided.update(self._split(rule.dst))
            self.divided.update(
                place
                for key in self.shared.held(host, self._dividing)
                if self.targets[place := self._place[key]].owner != host.name
            )
        for key in self._straight:
            via, dev = self._routes[key].via, self._routes[key].dev
            if via and dev:
                ids, hull = self._by_dev.setdefault(dev, (set(), Prefix(via.version, via.value, BITS[via.version])))
                ids.add(key)
                while not hull.covers(via):
                    hull = hull._replace(length=hull.length - 1)
                self._by_dev[dev] = ids, hull
        self._wide_routes = {key: self._routes[key] for key in self._wide}

    def _judge(self, host: Host, route: Route) -> bool:
        """File ROUTE; False where it touches no target."""
        touched = self._spans.touched(route.dst)
        if len(touched) > 1:
            self._wide.add(id(route))
        elif touched:
            place = touched.start
            if self._split(route.dst):
                self._dividing.add(id(route))
            self._single[place].add(id(route))
            self._place[id(route)] = place
            if self._leads_straight(host, route, place):
                self._straight.add(id(route))
            elif route.table != MAIN or route.dst.length >= self.targets[place].prefix.length:
                self._covering.add(id(route))
        return bool(touched)

    def _split(self, prefix: Prefix | None) -> range:
        """Note it where PREFIX tells addresses of one target apart; return the place of that, nothing where it does not."""
        touched = self._spans.touched(prefix) if prefix and prefix.version == self.version else range(0)
        if prefix and len(touched) == 1 and prefix.length > self.targets[touched.start].prefix.length:
            self.specifics[touched.start].add(prefix)
            return touched
        return range(0)

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
        return owners[0] if self.neighbours.plain(owners[0], via) else ()
