"""Finds the pod CIDRs to which one machine has a direct route, for all of them at once.

The tables of a healthy cluster consist of the same routes, so sets of routes are compared instead of single look-ups. A route is
direct if its next hop is an address of the target's owner. Example with nodes a, b and c: a's routes to the pod CIDRs of b and c
are equal to those of any other machine, so each is judged once; if c lacks the route to b, only that pair is followed in detail.
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
from podroutes.verify.table_diff import TableDiff
from podroutes.verify.targets import Spans
from podroutes.verify.wires import Arrival

_NOWHERE = int(NextHopFlag.DEAD | NextHopFlag.LINKDOWN)


class Reach(NamedTuple):
    """The result for one machine and all targets, which are identified by their indexes."""

    host: Host
    missing: frozenset[int]  # targets without a certain direct route; may include its own
    own: frozenset[int]
    main: str  # the outgoing device of most other targets
    aside: dict[str, frozenset[int]]  # targets with another outgoing device
    own_routes: tuple[Route, ...]  # all routes that overlap its own targets
    key: frozenset[int]  # the routes that overlap a missing target, as numbers shared by equal routes

    def straight(self, place: int) -> bool:
        """Return whether the machine has a direct route to a target."""
        return place not in self.missing and place not in self.own

    def not_by(self, dev: str, everything: frozenset[int]) -> frozenset[int]:
        """Return the targets of EVERYTHING without a direct route over DEV."""
        others = frozenset[int]().union(*self.aside.values())
        if dev == self.main:
            return self.missing.union(others) - self.own
        return everything - self.own - self.aside.get(dev, frozenset())


class _Ways(NamedTuple):
    """The other inputs that decide about a machine's direct routes: tables in order, subnets of working devices."""

    tables: tuple[int, ...]
    subnets: tuple[tuple[str, tuple[Prefix, ...]], ...]


class _Model(NamedTuple):
    """A machine to which others are compared. ``blocked`` targets have other routes beside their direct one."""

    reach: Reach
    ways: _Ways
    ids: frozenset[int]
    mine: frozenset[int]
    blocked: frozenset[int]
    met: frozenset[int]  # routes that overlap several targets


class ReachIndex:
    """All routes of all machines. For each it is decided once whether it matters, and whether it is direct."""

    def __init__(self, neighbours: Neighbours, targets: Sequence[Target], version: int) -> None:
        self.neighbours = neighbours
        self.network = neighbours.network
        self.shared = self.network.shared
        self.targets = targets
        self.version = version
        self.arrivals: dict[
            int, Arrival | None
        ] = {}  # the arrival of packets for a target at its owner; None: not collected
        self.specifics: dict[int, set[Prefix]] = {place: set() for place in range(len(targets))}
        self.divided: set[int] = set()  # targets whose parts are distinguished by other machines than the owner
        self._spans = Spans(targets)
        self._all = frozenset(range(len(targets)))
        self._own: dict[str, set[int]] = {}
        for index, target in enumerate(targets):
            self._own.setdefault(target.owner, set()).add(index)
        self._routes: dict[int, Route] = {}
        self._wide: set[int] = set()  # routes that overlap several targets
        self._single: list[set[int]] = [set() for _ in targets]  # other routes, by the target that they overlap
        self._place: dict[int, int] = {}  # the reverse mapping
        self._straight: set[int] = set()  # the direct ones of these
        self._covering: set[int] = set()  # and those that decide otherwise about all or a part of the target
        self._dividing: set[int] = set()  # single routes to a part of their target
        self._tables: dict[int, set[int]] = {}
        self._by_dev: dict[str, tuple[set[int], Prefix]] = {}
        self._number: dict[int, int] = {}
        self._likenesses = self.shared.likenesses
        self._models: dict[str, _Model] = {}
        self._classify()

    def place(self, address: Address) -> int | None:
        """Return the index of the target that contains ADDRESS."""
        touched = self._spans.touched(Prefix(address.version, address.value, BITS[address.version]))
        return touched.start if touched else None

    def touched(self, prefix: Prefix) -> range:
        """Return the indexes of all targets that overlap PREFIX."""
        return self._spans.touched(prefix) if prefix.version == self.version else range(0)

    def own_routes(self, host: Host) -> tuple[Route, ...]:
        """Return all routes of HOST that overlap its own targets."""
        own = set().union(*(self._single[number] for number in self._own.get(host.name, ())))
        return self._in_order(host, self.shared.held(host, self._wide_routes).union(self.shared.has(host, own)))

    def reach(self, host: Host, traits: Traits) -> Reach:
        """Return the result for HOST and all targets of its pods."""
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
        odd = {dev for dev, _ in self.neighbours.permanent.odd(host)} | self.network.wires.doubtful(host.name)
        working = (
            dev
            for dev in sorted(self._by_dev)
            if host.works(dev) and self.neighbours.sends(host, dev, self.version) is None and dev not in odd
        )
        return _Ways(tuple(tables), tuple((dev, self.network.segment(host.name, dev)) for dev in working))

    def _whole(self, host: Host, ways: _Ways, ids: frozenset[int]) -> _Model:
        """Compute the result of a machine from all its routes."""
        own = frozenset(self._own.get(host.name, ()))
        mine = frozenset[int]().union(*(self._single[number] for number in own))
        straight = ids & self._straight
        blocked = frozenset(self._blocked((ids & self._wide | ids & self._covering) - mine, ways))
        direct = {
            dev: reached - blocked - own for dev, _ in ways.subnets if (reached := self._direct(dev, ways, straight))
        }
        missing = self._all.difference(*direct.values())
        if direct:  # without direct routes all machines share one set, which includes their own targets
            missing -= own
        main = max(direct, key=lambda dev: len(direct[dev]), default="")
        direct.pop(main, None)
        aside = {key for key in straight if self._place[key] in missing} if missing else set[int]()
        met = self._relevant(ids) - mine | aside
        key = frozenset(map(self._number.__getitem__, met)) if missing else frozenset[int]()
        routes = self._in_order(host, ids & self._wide | ids & mine)
        return _Model(Reach(host, missing, own, main, direct, routes, key), ways, ids, mine, blocked, ids & self._wide)

    def _like(self, host: Host, model: _Model, likeness: TableDiff) -> Reach | None:
        """Compute the result of a machine from its model; None if other than direct routes and its own ones differ."""
        own = frozenset(self._own.get(host.name, ()))
        mine = frozenset[int]().union(*(self._single[number] for number in own))
        gone, new, same = likeness.gone, likeness.new, model.reach
        number = self._number.__getitem__
        if same.aside or set(map(number, self._relevant(gone) - model.mine)) != set(
            map(number, self._relevant(new) - mine)
        ):
            return None
        straight = new & self._straight
        gained = self._direct(same.main, model.ways, straight)
        lost = frozenset(self._place[key] for key in gone & self._straight)
        several = any(len(self._single[number] & self._straight & model.ids) > 1 for number in gained | lost)
        if several or len(gained) < len(straight) or not model.blocked.isdisjoint(gained | lost | own):
            return None
        wanted = (lost | same.own if same.main else lost) - gained - own
        unwanted = gained | own if same.main else gained
        missing = same.missing
        if not (wanted <= missing and unwanted.isdisjoint(missing)):
            missing = missing.union(wanted) - unwanted
        remaining = {key for key in model.met if key not in gone} | {
            key for key in mine if key in model.ids and key not in gone
        }
        routes = self._in_order(host, remaining | ((new & self._wide) | (new & mine)))
        return Reach(host, missing, own, same.main, {}, routes, same.key)

    def _relevant(self, keys: frozenset[int]) -> frozenset[int]:
        """Return those of KEYS that decide about targets and are not direct."""
        return (keys & self._wide) | (keys & self._place.keys()) - self._straight

    def routes(self, host: Host, places: Iterable[int]) -> tuple[Route, ...]:
        """Return all routes of HOST that overlap the targets at PLACES."""
        wanted = self._wide.union(*(self._single[place] for place in places))
        return tuple(route for route in host.routes if id(route) in wanted)

    def _in_order(self, host: Host, keys: set[int] | frozenset[int]) -> tuple[Route, ...]:
        """Return the routes of KEYS; those of one prefix are in the kernel's order."""
        routes = [self._routes[key] for key in keys]
        if len({(route.dst, route.table) for route in routes}) < len(routes):
            return tuple(route for route in host.routes if id(route) in keys)
        return tuple(routes)

    def _blocked(self, keys: frozenset[int], ways: _Ways) -> set[int]:
        """Return the targets for which another route decides, at least in part, before or beside the direct one."""
        if MAIN not in ways.tables:
            return set(self._all)
        positions = set(map(self._place.__getitem__, keys & self._covering & self._tables.get(MAIN, set())))
        for table in ways.tables[: ways.tables.index(MAIN)]:
            for key in keys & self._tables.get(table, set()):
                positions.update(self._spans.touched(self._routes[key].dst))
        return positions

    def _direct(self, dev: str, ways: _Ways, straight: frozenset[int]) -> frozenset[int]:
        """Return the targets whose owners are reached over DEV by one of the direct routes STRAIGHT."""
        if not straight or dev not in self._by_dev:
            return frozenset()
        segment = dict(ways.subnets).get(dev, ())
        keys_of_device: Iterable[int] = straight & self._by_dev[dev][0]
        if not any(subnet.covers(self._by_dev[dev][1]) for subnet in segment):
            vias = ((key, self._routes[key].via) for key in keys_of_device)
            keys_of_device = [key for key, via in vias if via and any(subnet.covers(via) for subnet in segment)]
        return frozenset(map(self._place.__getitem__, keys_of_device))

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
            for _, address in self.neighbours.permanent.odd(host):
                self._split(Prefix(address.version, address.value, BITS[address.version]))
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
        """Classify ROUTE; return False if it overlaps no target."""
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
        """Record if PREFIX is a part of one target; return the index of that target, None otherwise."""
        touched = self._spans.touched(prefix) if prefix and prefix.version == self.version else range(0)
        if prefix and len(touched) == 1 and prefix.length > self.targets[touched.start].prefix.length:
            self.specifics[touched.start].add(prefix)
            return touched
        return range(0)

    def _leads_straight(self, host: Host, route: Route, place: int) -> bool:
        """Return whether ROUTE equals podroutes' own route, whatever its protocol, and has the same arrival as others of its target."""
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
        """Return the arrival at OWNER of packets to VIA: None if its tables are unknown, () if they do not arrive there."""
        owners = self.network.owners(via)
        if not owners and owner not in self.network.hosts:
            return None if self.network.node_with(via) == owner else ()
        if len(owners) != 1 or owners[0].host != owner:
            return ()
        return owners[0] if self.neighbours.plain(owners[0], via) else ()
