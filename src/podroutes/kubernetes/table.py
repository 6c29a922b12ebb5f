"""The nodes of a watch, by name: each is parsed when it changes, and never because another one does."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.inventory import Inventory
from podroutes.inventory.nodes import RawNode, parse_nodes
from podroutes.kubernetes.decode import Change
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem


class _Entry(NamedTuple):
    uid: str
    raw: RawNode  # what a later event is compared with
    node: Node
    problems: tuple[Problem, ...]


class Table:
    """Nodes of SOURCE by name. Of EARLIER the entries that are still the same are taken over."""

    def __init__(self, source: str, earlier: Mapping[str, _Entry] | None = None) -> None:
        self._source = source
        self._earlier = earlier or {}
        self._entries: dict[str, _Entry] = {}
        self._doubtful: set[str] = set()  # names of those with problems: usually nobody

    def __len__(self) -> int:
        return len(self._entries)

    def empty(self) -> "Table":
        """Return an empty table for a new list."""
        return Table(self._source, self._entries)

    def complete(self) -> None:
        """Forget the table of before."""
        self._earlier = {}

    def follows(self, earlier: "Table") -> bool:
        """Whether this can be what EARLIER became: of the Nodes that are in both, at least one, all have kept their uids."""
        both = self._entries.keys() & earlier._entries.keys()  # noqa: SLF001, one of us
        kept = all(self._entries[name].uid == earlier._entries[name].uid for name in both)  # noqa: SLF001, one of us
        return kept and bool(both or not earlier._entries)  # noqa: SLF001, one of us

    def inventory(self) -> Inventory:
        """Return all that is in the table."""
        nodes = tuple([entry.node for entry in self._entries.values()])
        problems = [problem for name in sorted(self._doubtful) for problem in self._entries[name].problems]
        return Inventory(Cluster(nodes, source=self._source, format="kubernetes"), tuple(problems))

    def take(self, change: Change) -> bool:
        """Take an event in; return whether it changed anything that matters."""
        name = change.node.name
        if not change.deleted:
            return self.put(change.uid, change.node)
        entry = self._entries.get(name)
        if entry is None or entry.uid != change.uid:  # an earlier Node of this name is gone, its successor is not
            return False
        del self._entries[name]
        self._doubtful.discard(name)
        return True

    def put(self, uid: str, raw: RawNode) -> bool:
        """Add or replace a node; return whether that changed anything that matters."""
        before = self._entries.get(raw.name)
        same = before or self._earlier.get(raw.name)
        if same and same.raw == raw:
            entry = same if same.uid == uid else same._replace(uid=uid)
        else:
            problems: list[Problem] = []
            (node,) = parse_nodes((raw,), self._source, problems)
            entry = _Entry(uid, raw, node, tuple(problems))
        self._entries[raw.name] = entry
        if entry.problems:
            self._doubtful.add(raw.name)
        else:
            self._doubtful.discard(raw.name)
        return before is None or before.node != entry.node or before.problems != entry.problems
