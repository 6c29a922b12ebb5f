"""Which machines have nearly the same routes: most of a cluster differ from each other in a handful.

Routes are known by their id(), as equal ones are one object: hashing 25 million of them would take longer than all the rest.
"""

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import NamedTuple

from podroutes.model.host import Host
from podroutes.model.route import Route

_FEW = 64  # differing routes, of which every node has some ten of its own
_MODELS = 32  # machines that others are compared with; each keeps the ids of all its routes in memory


class Likeness(NamedTuple):
    """A machine's routes as those of another, its model: without ``gone`` and with ``new``."""

    model: str
    gone: frozenset[int]
    new: frozenset[int]


class Likenesses:
    """Finds a model for every machine; a machine that has none becomes one."""

    def __init__(self) -> None:
        self.ids: dict[str, frozenset[int]] = {}  # of the models
        self.found: dict[str, Likeness] = {}  # of the others
        self._known: set[int] = set()

    def compare(self, hosts: Iterable[Host]) -> Iterator[tuple[Host, Iterator[Route]]]:
        """Yield every machine with those of its routes that no machine before it had."""
        for host in hosts:
            ids = frozenset(map(id, host.routes))
            likeness = self._like(ids)
            if likeness:
                self.found[host.name] = likeness
            elif len(self.ids) < _MODELS:
                self.ids[host.name] = ids
            unseen = (likeness.new if likeness else ids) - self._known
            self._known |= unseen
            yield host, compress(host.routes, map(unseen.__contains__, map(id, host.routes) if unseen else ()))

    def _like(self, ids: frozenset[int]) -> Likeness | None:
        for model, known in reversed(self.ids.items()):
            if abs(len(known) - len(ids)) <= _FEW:
                new = ids - known
                if len(new) <= _FEW and len(gone := known - ids) <= _FEW:
                    return Likeness(model, gone, new)
        return None
