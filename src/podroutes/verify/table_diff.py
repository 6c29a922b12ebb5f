"""Which machines have nearly the same routes: most of a cluster differ from each other in a handful.

Routes are known by their id(), as equal ones are one object: hashing 25 million of them would take longer than all the rest.
"""

from collections.abc import Iterable, Iterator
from itertools import compress, count
from operator import is_not
from typing import NamedTuple

from podroutes.model.host import Host
from podroutes.model.route import Route

_FEW = 64  # differing routes, of which every node has some ten of its own
_MODELS = 32  # machines that others are compared with; each keeps the ids of all its routes in memory


class TableDiff(NamedTuple):
    """A machine's routes as those of another, its model: without ``gone`` and with ``new``."""

    model: str
    gone: frozenset[int]
    new: frozenset[int]


class TableDiffs:
    """Finds a model for every machine; a machine that has none becomes one."""

    def __init__(self) -> None:
        self.ids: dict[str, frozenset[int]] = {}  # of the models
        self.found: dict[str, TableDiff] = {}  # of the others
        self._models: list[tuple[str, tuple[Route, ...]]] = []
        self._known: set[int] = set()

    def compare(self, hosts: Iterable[Host]) -> Iterator[tuple[Host, Iterator[Route], frozenset[int] | None]]:
        """Yield every machine with those of its routes that no machine before it had.

        Last comes the set of its routes, None where it has a model.
        """
        for host in hosts:
            routes, ids = tuple(host.routes), None
            if found := self._like(routes):
                self.found[host.name], routes = found
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
            if (found := differences(model, routes)) is not None:
                gone, new = (frozenset(map(id, each)) for each in found)
                return TableDiff(name, gone - new, new - self.ids[name]), found[1]
        return None


def differences(one: tuple[Route, ...], other: tuple[Route, ...]) -> tuple[tuple[Route, ...], tuple[Route, ...]] | None:
    """Return what only ONE has and what only OTHER has, None where that is much or their order is another.

    A kernel lists its routes by prefix, so they come in one order everywhere. One that has moved is in both answers.
    """
    if abs(len(one) - len(other)) > _FEW:
        return None
    gone, new = list[Route](), list[Route]()
    while (
        max(len(gone), len(new)) <= _FEW
        and (same := next(compress(count(), map(is_not, one, other)), None)) is not None
    ):
        places = {id(route): place for place, route in enumerate(one[same : same + _FEW])}
        ahead = other[same : same + _FEW]
        skipped = next((place for place, route in enumerate(ahead) if id(route) in places), None)
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
