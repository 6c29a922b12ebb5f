"""An index of the routes of all machines, in which equal routes are examined once.

Five thousand machines share most of their 25 million routes as the same objects, so a route is examined only once.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from podroutes.model.host import Host
from podroutes.model.route import MAIN, Route
from podroutes.verify.table_diff import TableDiffs


class Shared:
    """All routes of some machines, identified by their id(), as in TableDiffs."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.likenesses = TableDiffs()
        # each machine with the routes that no earlier machine had
        self.first: list[tuple[Host, tuple[Route, ...]]] = [
            (host, tuple(unseen)) for host, unseen, _ in self.likenesses.compare(hosts)
        ]
        # by model and id(); the collection is included, so that its id() is not reused
        self._common: dict[tuple[str, int], tuple[Collection[int], frozenset[int]]] = {}

    def routes(self) -> Iterator[Route]:
        """Yield each route once."""
        return (route for _, routes in self.first for route in routes)

    @cached_property
    def with_gateway(self) -> dict[int, Route]:
        """The routes of the main tables with a gateway, by id()."""
        return {id(route): route for route in self.routes() if route.table == MAIN and route.via}

    def held(self, host: Host, wanted: Collection[int]) -> frozenset[int]:
        """Return the ids of the routes of HOST that are in WANTED, which is kept and must not change."""
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
        """Return those of the few KEYS that are ids of routes of HOST."""
        likeness = self.likenesses.found.get(host.name)
        if likeness is None:
            if host.name not in self.likenesses.ids:
                mine = set(map(id, host.routes))
                return [key for key in keys if key in mine]
            return [key for key in keys if key in self.likenesses.ids[host.name]]
        model, gone, new = self.likenesses.ids[likeness.model], likeness.gone, likeness.new
        return [key for key in keys if key in new or (key in model and key not in gone)]

    def pick(self, host: Host, wanted: dict[int, Route]) -> tuple[Route, ...]:
        """Return the routes of HOST that are in WANTED (by id); those of one prefix are in the kernel's order."""
        keys = self.held(host, wanted)
        routes = [wanted[key] for key in keys]
        if len({(route.dst, route.table) for route in routes}) < len(routes):
            return tuple(route for route in host.routes if id(route) in keys)
        return tuple(routes)
