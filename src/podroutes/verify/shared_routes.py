"""The routes of all machines, each looked at once, and those among a few that one machine has.

Five thousand machines share most of their 25 million routes, as one object each: what holds for a route is found out once.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from podroutes.model.host import Host
from podroutes.model.route import MAIN, Route
from podroutes.verify.table_diff import TableDiffs


class Shared:
    """Every route of some machines. Routes are known by their id(), as in Likenesses."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.likenesses = TableDiffs()
        # every machine with those of its routes that no machine before it had
        self.first: list[tuple[Host, tuple[Route, ...]]] = [
            (host, tuple(unseen)) for host, unseen, _ in self.likenesses.compare(hosts)
        ]
        # by model and id(): with the collection itself, so that no other one ever has its id
        self._common: dict[tuple[str, int], tuple[Collection[int], frozenset[int]]] = {}

    def routes(self) -> Iterator[Route]:
        """Yield every route once."""
        return (route for _, routes in self.first for route in routes)

    @cached_property
    def with_gateway(self) -> dict[int, Route]:
        """Every route of the main table over a gateway, by its id."""
        return {id(route): route for route in self.routes() if route.table == MAIN and route.via}

    def held(self, host: Host, wanted: Collection[int]) -> frozenset[int]:
        """Return the ids of those routes of HOST that are among WANTED, which is kept and must not change any more."""
        likeness = self.likenesses.found.get(host.name)
        if not wanted:
            return frozenset()
        if likeness is None:
            return frozenset(key for key in map(id, host.routes) if key in wanted)
        key = likeness.model, id(wanted)
        if key not in self._common:
            self._common[key] = wanted, frozenset(filter(wanted.__contains__, self.likenesses.ids[likeness.model]))
        return (self._common[key][1] - likeness.gone).union(filter(wanted.__contains__, likeness.new))

    def has(self, host: Host, keys: Iterable[int]) -> list[int]:
        """Return those of KEYS, a handful, that are ids of routes of HOST."""
        likeness = self.likenesses.found.get(host.name)
        if likeness is None:
            if host.name not in self.likenesses.ids:
                mine = set(map(id, host.routes))
                return [key for key in keys if key in mine]
            return [key for key in keys if key in self.likenesses.ids[host.name]]
        model, gone, new = self.likenesses.ids[likeness.model], likeness.gone, likeness.new
        return [key for key in keys if key in new or (key in model and key not in gone)]

    def pick(self, host: Host, wanted: dict[int, Route]) -> tuple[Route, ...]:
        """Return those routes of HOST that are among WANTED (by id), those of one prefix in the kernel's order."""
        keys = self.held(host, wanted)
        found = [wanted[key] for key in keys]
        if len({(route.dst, route.table) for route in found}) < len(found):
            return tuple(route for route in host.routes if id(route) in keys)
        return tuple(found)
