"""The nodes of a watch, by name. A node is parsed only when it changes."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.inventory import Inventory
from podroutes.inventory.nodes import RawNode, parse_nodes
from podroutes.kubernetes.decode import Change
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem


class _Entry(NamedTuple):
    uid: str
    digest: int  # of the node as the server told it, to be compared with later events: a third of the memory of the text itself
    node: Node
    problems: tuple[Problem, ...]


class Table:
    """Nodes of SOURCE by name. Unchanged entries of EARLIER are reused."""

    def __init__(self, source: str, earlier: Mapping[str, _Entry] | None = None) -> None:
        self._source = source
        self._earlier = earlier or {}
        self._entries: dict[str, _Entry] = {}
        self._doubtful: set[str] = set()  # names of nodes with problems: usually none

    def __len__(self) -> int:
        return len(self._entries)

    def empty(self) -> "Table":
        """Return an empty table for a new list, which reuses this one's entries."""
        return Table(self._source, self._entries)

    def complete(self) -> None:
        """Drop the reference to the earlier table."""
        self._earlier = {}

    def follows(self, earlier: "Table") -> bool:
        """Return whether this can be a later state of EARLIER: at least one Node is in both, and all such Nodes have kept their uids."""
        both = self._entries.keys() & earlier._entries.keys()  # noqa: SLF001, one of us
        same_uids = all(self._entries[name].uid == earlier._entries[name].uid for name in both)  # noqa: SLF001, one of us
        return same_uids and bool(both or not earlier._entries)  # noqa: SLF001, one of us

    def inventory(self) -> Inventory:
        """Return the content of the table."""
        nodes = tuple([entry.node for entry in self._entries.values()])
        problems = [problem for name in sorted(self._doubtful) for problem in self._entries[name].problems]
        return Inventory(Cluster(nodes, source=self._source, format="kubernetes"), tuple(problems))

    def take(self, change: Change) -> bool:
        """Handle an event; return whether it changed a used field."""
        name = change.node.name
        if not change.deleted:
            return self.put(change.uid, change.node)
        entry = self._entries.get(name)
        if entry is None or entry.uid != change.uid:  # the deleted Node is an earlier one of the same name
            return False
        del self._entries[name]
        self._doubtful.discard(name)
        return True

    def put(self, uid: str, raw: RawNode) -> bool:
        """Add or replace a node; return whether that changed a used field."""
        before = self._entries.get(raw.name)
        same = before or self._earlier.get(raw.name)
        digest = _digest(raw)
        if same and same.digest == digest:
            entry = same if same.uid == uid else same._replace(uid=uid)
        else:
            problems: list[Problem] = []
            (node,) = parse_nodes((raw,), self._source, problems)
            entry = _Entry(uid, digest, node, tuple(problems))
        self._entries[raw.name] = entry
        if entry.problems:
            self._doubtful.add(raw.name)
        else:
            self._doubtful.discard(raw.name)
        return before is None or before.node != entry.node or before.problems != entry.problems


def _digest(raw: RawNode) -> int:
    """Return a hash of RAW, of 64 bits and keyed anew in each process."""
    return hash(raw._replace(internal_ips=tuple(raw.internal_ips), pod_cidrs=tuple(raw.pod_cidrs)))
