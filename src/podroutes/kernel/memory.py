"""A kernel in memory: the same interface and the same answers, without privileges.

It models what the plan depends on: a route's key is its destination, TOS and metric, ``replace`` ignores the protocol of
the route, a next hop must be on-link, and some routes go when a link goes down. The contract tests of the real kernel also
run against it.
"""

import errno
from collections.abc import Callable, Iterable, Sequence

from podroutes.model.address import BITS, Address
from podroutes.model.fib import Fib, IfAddress, Link, PlainRoutes, Policy
from podroutes.model.interest import Interest
from podroutes.model.linux import NextHopFlag, RouteProtocol
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import MAIN, PROTOCOL, SCOPE_LINK, NextHop, Route
from podroutes.model.rule import ANY_TABLE, DEFAULT, DEFAULT_RULES, LOCAL

_METRIC = {4: 0, 6: 1024}  # the metric that the kernel uses for 0; IP6_RT_PRIO_USER
_CONNECTED_METRIC = {4: 0, 6: 256}  # IP6_RT_PRIO_ADDRCONF


class MemoryKernel:
    """A main table with links and addresses. Connected routes are made from the given addresses."""

    def __init__(
        self, links: Iterable[Link] = (), addresses: Iterable[IfAddress] = (), routes: Iterable[Route] = ()
    ) -> None:
        self.links = {link.name: link for link in links}
        self.addresses = tuple(addresses)
        self.routes = [_connected(address) for address in self.addresses if self._is_up(address.dev)]
        self.routes += routes
        self.rules = {version: list(rules) for version, rules in DEFAULT_RULES.items()}

    def snapshot(self, interest: Callable[[Fib], Interest] | None = None) -> Fib:
        """Read links, addresses and routes, sorted like a dump."""
        plain = {version: PlainRoutes.empty(version) for version in (4, 6)}
        others = []
        for route in sorted(
            self.routes, key=lambda route: (route.dst.version, route.dst.value, -route.dst.length, route.metric)
        ):
            if route.table != MAIN:
                continue
            if route.plain and route.via and route.dev:
                columns = plain[route.dst.version]
                columns.dst.append(route.dst.value)
                columns.length.append(route.dst.length)
                columns.via.append(route.via.value)
                columns.dev.append(route.dev)
                columns.metric.append(route.metric)
            else:
                others.append(route)
        fib = Fib(tuple(self.links.values()), self.addresses, plain, (), self._policy())
        if interest is None:
            return fib._replace(others=tuple(others))
        wanted = interest(fib)
        ours = frozenset(route.dst.value for route in self.routes if route.ours)  # what is of interest, too
        networks = {version: network | ours for version, network in wanted.networks.items()}
        read, hidden = _of_interest(others, Interest(networks))
        return fib._replace(others=tuple(read), hidden=hidden)

    def _policy(self) -> Policy:
        """Return the rules, and the routes of the tables besides the usual ones that they look up."""
        usual = (ANY_TABLE, LOCAL, MAIN, DEFAULT)
        tables = {
            (version, rule.table) for version, rules in self.rules.items() for rule in rules if rule.table not in usual
        }
        routes = tuple(route for route in self.routes if (route.dst.version, route.table) in tables)
        return Policy({version: tuple(rules) for version, rules in self.rules.items()}, routes)

    def ours(self) -> tuple[Route, ...]:
        """Read every route of ours in every table."""
        return tuple(route for route in self.routes if route.protocol == PROTOCOL)

    def apply(self, changes: Sequence[Change]) -> dict[int, Refusal]:
        """Carry out CHANGES in order; return the refusals by position."""
        refused = ((position, self._carry_out(change)) for position, change in enumerate(changes))
        return {position: why for position, why in refused if why}

    def taken_over(self) -> tuple[TakenOver, ...]:
        """Return nothing: no other program writes to this kernel."""
        return ()

    def set_link(self, name: str, *, up: bool = True, carrier: bool = True) -> None:
        """Change a link's state. Setting it down deletes its routes without a notification; a lost carrier only flags them."""
        self.links[name] = self.links[name]._replace(up=up, carrier=up and carrier)
        if not up:
            self.routes = [route for route in self.routes if all(hop.dev != name for hop in route.next_hops)]
        flags = 0 if carrier else int(NextHopFlag.LINKDOWN)
        self.routes = [
            route._replace(
                next_hops=tuple(hop._replace(flags=flags) if hop.dev == name else hop for hop in route.next_hops)
            )
            for route in self.routes
        ]

    def _is_up(self, name: str) -> bool:
        return name in self.links and self.links[name].up

    def _carry_out(self, change: Change) -> Refusal | None:
        route = change.route._replace(metric=change.route.metric or _METRIC[change.route.dst.version])
        if change.action == "delete":
            return self._delete(route)
        why = self._next_hop_refused(route)
        if why:
            return why
        twins = [position for position, other in enumerate(self.routes) if _key(other) == _key(route)]
        if change.action == "add":
            if twins:
                return Refusal(errno.EEXIST, "File exists")
            self.routes.append(route)
            return None
        if not twins:
            return Refusal(errno.ENOENT, "No such file or directory")
        there = self.routes[twins[0]]
        if change.was and _identity(there) not in (_identity(change.was), _identity(route)):
            return Refusal(errno.EEXIST, "another route stands there by now")
        self.routes[twins[0]] = route  # whatever its protocol
        return None

    def _delete(self, route: Route) -> Refusal | None:
        for position, other in enumerate(self.routes):
            if _key(other) == _key(route) and _ways(other) == _ways(route) and other.protocol == route.protocol:
                del self.routes[position]
                return None
        return Refusal(errno.ESRCH, "No such process")

    def _next_hop_refused(self, route: Route) -> Refusal | None:
        for hop in route.next_hops:
            if hop.dev not in self.links:
                return Refusal(errno.ENODEV, "No such device")
            if not self._is_up(hop.dev):
                return Refusal(errno.ENETDOWN, "Nexthop device is not up")
            if hop.via and hop.via in {address.address for address in self.addresses}:
                return Refusal(errno.EINVAL, "Gateway can not be a local address")
            if hop.via and not self._on_link(hop.via, hop.dev):
                return Refusal(errno.ENETUNREACH, "Nexthop has invalid gateway")
        return None

    def _on_link(self, via: Address, dev: str) -> bool:
        return any(
            route.dst.covers(via) and route.dev == dev
            for route in self.routes
            if not route.via and (route.scope >= SCOPE_LINK or via.version == 6)
        )


def _connected(address: IfAddress) -> Route:
    version = address.address.version
    source = address.address if version == 4 else None
    scope = SCOPE_LINK if version == 4 else 0
    return Route(
        address.prefix,
        (NextHop(None, address.dev),),
        _CONNECTED_METRIC[version],
        RouteProtocol.KERNEL,
        scope=scope,
        prefsrc=source,
    )


def _key(route: Route) -> tuple[object, ...]:
    return route.table, route.dst, route.tos, route.metric


def _identity(route: Route) -> tuple[object, ...]:
    return route.protocol, route.kind, *_ways(route)


def _ways(route: Route) -> list[tuple[Address | None, str | None]]:
    return [(hop.via, hop.dev) for hop in route.next_hops]


def _of_interest(routes: Sequence[Route], wanted: Interest) -> tuple[list[Route], dict[int, bytes]]:
    """Return those of ROUTES that are WANTED, and the destinations of the others, as a dump of the real kernel is read."""
    wanted_routes: list[Route] = []
    hidden = {4: b"", 6: b""}
    vias = [hop.via for route in routes for hop in route.next_hops if hop.via]
    networks = {
        version: wanted.with_addresses(version, (via.value for via in vias if via.version == version))
        for version in hidden
    }
    seen: set[Address | None] = {None}
    for route in routes:
        ways = {hop.via for hop in route.next_hops}
        connects = route.kind == "unicast" and not any(ways)
        known = (
            ways <= seen
            and route.protocol not in (PROTOCOL, RouteProtocol.KERNEL, RouteProtocol.STATIC)
            and route.dst.length
            and not connects
        )
        if known and route.dst.value not in networks[route.dst.version]:
            hidden[route.dst.version] += route.dst.value.to_bytes(BITS[route.dst.version] >> 3, "big")
        else:
            wanted_routes.append(route)
            seen |= ways
    return wanted_routes, hidden
