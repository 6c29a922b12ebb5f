"""A snapshot of one machine out of dumps: addresses, policy rules with the tables that they look up, nexthop objects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, partial
from typing import Protocol, TypeVar

from podroutes.model.address import BITS
from podroutes.model.fib import Fib, IfAddress, Link, Policy, Unusable, empty_fib
from podroutes.model.interest import Interest
from podroutes.model.route import MAIN, Route
from podroutes.model.rule import ANY_TABLE, DEFAULT, DEFAULT_RULES, LOCAL, Rule
from podroutes.rtnl import constants as nl
from podroutes.rtnl import links, nexthops, rules
from podroutes.rtnl.decode import RouteDump
from podroutes.rtnl.encode import routes_request
from podroutes.rtnl.foreign import ForeignRoutes
from podroutes.rtnl.image import Image
from podroutes.rtnl.message import MessageDump

_Dump = TypeVar("_Dump", MessageDump, RouteDump)


class Ask(Protocol):
    """Asks the kernel for a dump, made of a sequence number, until the answer is whole."""

    def __call__(self, dump: _Dump, request: Callable[[int], bytes]) -> _Dump:
        """Return a collector like DUMP with the answer to REQUEST."""


def read_main(
    ask: Ask, names: dict[int, str], interest: Interest, gateways: dict[int, set[int]]
) -> dict[int, RouteDump]:
    """Read the main table without the routes of others that are of no INTEREST.

    Routes that lead to a gateway, or where one of ours leads, are of interest, too. GATEWAYS has those of the last time.
    """
    expected = {version: Image(routes) for version, routes in interest.expected.items() if routes.dst}
    dumps = {version: RouteDump(version, names, image=expected.get(version)) for version in (4, 6)}
    return {version: _of_interest(ask, dump, interest, gateways) for version, dump in dumps.items()}


def _of_interest(ask: Ask, dump: RouteDump, interest: Interest, gateways: dict[int, set[int]]) -> RouteDump:
    """Read the main table, again where only the answer told what is of interest."""
    version = dump.plain.version
    again: AbstractSet[int] = frozenset()
    while True:
        networks = cache(partial(_networks, interest, version, frozenset(gateways[version]), again))
        dump.foreign = ForeignRoutes(version, networks)
        route_dump = ask(dump, partial(routes_request, version=version, table=MAIN))
        hops = [hop.via for route in route_dump.others for hop in route.next_hops]
        vias = {via.value for via in hops if via and via.version == version}
        hidden = bytes(route_dump.foreign.destinations) if route_dump.foreign else b""
        if hidden:
            ours = {*route_dump.plain.dst, *(route.dst.value for route in route_dump.others if route.ours)} - networks()
            again = {value for value in ours if value.to_bytes(BITS[version] >> 3, "big") in hidden}
        if not hidden or (vias <= gateways[version] and not again):
            gateways[version] = vias
            return route_dump
        gateways[version] |= vias


def _networks(interest: Interest, version: int, gateways: frozenset[int], again: AbstractSet[int]) -> AbstractSet[int]:
    return interest.with_addresses(version, gateways) | again


def read_addresses(ask: Ask, found: tuple[Link, ...], names: dict[int, str]) -> Fib:
    """Return a snapshot of links and addresses alone."""
    dump = ask(MessageDump(nl.RTM_NEWADDR), links.addresses_request)
    addresses = [links.address(datagram, said, names) for datagram, said in dump.messages]
    return empty_fib()._replace(links=found, addresses=tuple(_had(addresses)))


def read_fib(ask: Ask, found: tuple[Link, ...], main: Mapping[int, RouteDump], names: dict[int, str]) -> Fib:
    """Return the snapshot of a machine with the links FOUND, called NAMES by their indexes, and the main table MAIN.

    Other tables are read where a rule looks them up, nexthop objects where a route leads by one.
    """
    dump = ask(MessageDump(nl.RTM_NEWADDR), links.addresses_request)
    addresses = [links.address(datagram, said, names) for datagram, said in dump.messages]
    others = [route for dump in main.values() for route in dump.others if route.table == MAIN]
    policy = _policy(ask, names)
    return Fib(
        found,
        tuple(_had(addresses)),
        {version: dump.plain for version, dump in main.items()},
        _resolved(ask, others, names),
        policy._replace(routes=_resolved(ask, policy.routes, names)),
        tuple(address for address in addresses if isinstance(address, Unusable)),
        {version: bytes(dump.foreign.destinations) for version, dump in main.items() if dump.foreign},
    )


def _policy(ask: Ask, names: dict[int, str]) -> Policy:
    """Read the rules, and where there are more than every machine has, the tables that these look up."""
    dump = ask(MessageDump(nl.RTM_NEWRULE), rules.rules_request)
    found: dict[int, list[Rule]] = {4: [], 6: []}
    for datagram, said in dump.messages:
        read = rules.rule(datagram, said)
        if read:
            found[read[0]].append(read[1])
    # Without policy rules in the kernel, or without IPv6, there are none: what every machine has is what it does.
    policy = {version: tuple(of_it) or DEFAULT_RULES[version] for version, of_it in found.items()}
    looked_up = {(version, rule.table) for version, of_it in policy.items() for rule in of_it}
    wanted = {table for table in looked_up if table[1] not in (ANY_TABLE, LOCAL, MAIN, DEFAULT)}
    routes = [route for version, table in sorted(wanted) for route in _table(ask, names, version, table)]
    return Policy(policy, tuple(routes))


def _table(ask: Ask, names: dict[int, str], version: int, table: int) -> list[Route]:
    """Read one table; a kernel that does not filter (before 4.20) answers with all of them."""
    dump = ask(RouteDump(version, names), lambda seq: routes_request(seq, version, table=table))
    return [route for route in (*dump.plain.routes(), *dump.others) if route.table == table]


def _resolved(ask: Ask, routes: Sequence[Route], names: dict[int, str]) -> tuple[Route, ...]:
    """Return ROUTES with the ways out of the nexthop objects of which the kernel told the number alone."""
    if not any(route.nhid and not route.next_hops for route in routes):
        return tuple(routes)
    dump = ask(MessageDump(nl.RTM_NEWNEXTHOP), nexthops.nexthops_request)
    objects = dict(nexthops.nexthop(datagram, said, names) for datagram, said in dump.messages)
    return tuple(nexthops.resolved(route, objects) for route in routes)


def _had(addresses: Iterable[IfAddress | Unusable | None]) -> Iterator[IfAddress]:
    """Yield the addresses that this machine has, or is about to have: not those of which another machine has proved to be the owner."""
    for address in addresses:
        if isinstance(address, IfAddress):
            yield address
        elif address and not address.failed:
            yield address.address
