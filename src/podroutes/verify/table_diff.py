"""Finds machines with nearly equal routes: most machines of a cluster differ in only a few.

Routes are identified by their id(), since equal ones are the same object: hashing 25 million would take longer than the rest.
"""

from collections.abc import Iterable, Iterator
from itertools import compress, count
from operator import is_not
from typing import NamedTuple

from podroutes.model.host import Host
from podroutes.model.route import Route

_FEW = 64  # differing routes; each node has about ten of its own
_MODELS = 32  # machines to which others are compared; the ids of all their routes are kept in memory


class TableDiff(NamedTuple):
    """A machine's routes as a difference to its model: without ``gone`` and with ``new``."""

    model: str
    gone: frozenset[int]
    new: frozenset[int]


class TableDiffs:
    """Finds a model for each machine; a machine without one becomes a model."""

    def __init__(self) -> None:
        self.ids: dict[str, frozenset[int]] = {}  # of the models
        self.found: dict[str, TableDiff] = {}  # of the others
        self._models: list[tuple[str, tuple[Route, ...]]] = []
        self._known: set[int] = set()

    def compare(self, hosts: Iterable[Host]) -> Iterator[tuple[Host, Iterator[Route], frozenset[int] | None]]:
        """Yield each machine with the routes that no earlier machine had.

        The last item is the set of its routes, None if it has a model.
        """
        for host in hosts:
            routes, ids = tuple(host.routes), None
            if diff := self._like(routes):
                self.found[host.name], routes = diff
                unseen = self.found[host.name].new - self._known
            else:
                ids = frozenset(map(id, routes))
                unseen = ids - self._known
                if len(self._models) < _MODELS and len(ids) == len(routes):
                    self._models.insert(0, (host.name, routes))
                    self.ids[host.name] = ids
            self._known |= unseen
            yield host, compress(routes, map(unseen.__contains__, map(id, routes) if unseen else ())), ids

    def _like(self, routes: tuple[Route, ...]) -> tuple[TableDiff, tuple[Route, ...]] | None:
        for name, model in self._models:
            if (diff := differences(model, routes)) is not None:
                gone, new = (frozenset(map(id, each)) for each in diff)
                return TableDiff(name, gone - new, new - self.ids[name]), diff[1]
        return None


def differences(one: tuple[Route, ...], other: tuple[Route, ...]) -> tuple[tuple[Route, ...], tuple[Route, ...]] | None:
    """Return the routes that only ONE has and those that only OTHER has, None if they are many or in another order.

    A kernel lists routes by prefix, so their order is the same everywhere. A route at another position is in both results.
    """
    if abs(len(one) - len(other)) > _FEW:
        return None
    gone, new = list[Route](), list[Route]()
    while (
        max(len(gone), len(new)) <= _FEW
        and (same := next(compress(count(), map(is_not, one, other)), None)) is not None
    ):
        places = {id(route): index for index, route in enumerate(one[same : same + _FEW])}
        ahead = other[same : same + _FEW]
        skipped = next((index for index, route in enumerate(ahead) if id(route) in places), None)
        if skipped is None:
            break
        missed = places[id(ahead[skipped])]
        gone += one[same : same + missed]
        new += ahead[:skipped]
        one, other = one[same + missed :], other[same + skipped :]
    else:
        same = min(len(one), len(other))
    gone += one[same : same + _FEW + 1]
    new += other[same : same + _FEW + 1]
    return (tuple(gone), tuple(new)) if len(gone) <= _FEW and len(new) <= _FEW else None
