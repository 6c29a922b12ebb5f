"""A versioned object store, like etcd for the real API. It does not validate objects."""

import threading
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from podroutes.lab.api.message import Document

HISTORY = 2000  # changes over which a watch can resume: enough for a lab, 28 MB of kubelet heartbeats


class Key(NamedTuple):
    """The key of an object; sorts like lists of the real API. The NAMESPACE of Nodes is empty."""

    resource: str
    namespace: str
    name: str


class Item(NamedTuple):
    """One version of one object, encoded once for all readers. BODY begins after kind and apiVersion."""

    key: Key
    version: int
    head: bytes
    body: bytes

    @property
    def encoded(self) -> bytes:
        """The object as JSON."""
        return self.head + self.body

    def document(self) -> Document:
        """Return a new copy of the object, which may be changed."""
        document: Document = msgspec.json.decode(self.encoded)
        return document


class Change(NamedTuple):
    """One write. NOW is the object after it; for a deletion its last state with the version of the deletion."""

    before: Item | None
    now: Item
    deleted: bool = False


class Raced(Exception):  # noqa: N818  not an error: read again and retry
    """Raised if the object has changed since the version that the write is for."""


class Compacted(Exception):  # noqa: N818  what it is
    """Raised if the history after a version is gone; VERSION is the oldest available one."""

    def __init__(self, version: int) -> None:
        super().__init__(f"history begins at {version}")
        self.version = version


class Store:
    """All objects and the last HISTORY writes; each write gets a new version. Thread-safe."""

    def __init__(self, history: int = HISTORY) -> None:
        self._history = history
        self._items: dict[Key, Item] = {}
        self._oldest = 1  # the version before the log's first change; not 0, which means "any"
        self._log: list[Change] = []
        self._changed = threading.Condition()
        self.wakes = 0  # the number of calls of ``wake``

    @property
    def version(self) -> int:
        """The version of the last write."""
        return self._oldest + len(self._log)

    def get(self, key: Key) -> Item | None:
        """Return the object at KEY."""
        return self._items.get(key)

    def write(self, key: Key, document: Document, old: Item | None) -> Item:
        """Store DOCUMENT as the next version of OLD (None: create it) and return it. Raises Raced if OLD is not the current version."""
        with self._changed:
            return self._append(old, self._encode(key, document, old), deleted=False)

    def delete(self, old: Item, document: Document) -> Item:
        """Delete OLD, whose last state is DOCUMENT. Raises Raced if OLD is not the current version."""
        with self._changed:
            return self._append(old, self._encode(old.key, document, old), deleted=True)

    def snapshot(self, resource: str, namespace: str = "", version: int = 0) -> tuple[int, list[Item]]:
        """Return the objects of RESOURCE (in NAMESPACE, unless empty) as of VERSION (0: now), and that version.

        Raises Compacted if that version is too old. A version of the future means now.
        """
        with self._changed:
            items, now = dict(self._items), self.version
            undone = self._after(version) if version else []
        for change in reversed(undone):
            if change.before:
                items[change.now.key] = change.before
            else:
                del items[change.now.key]
        keys = sorted(key for key in items if key.resource == resource and namespace in ("", key.namespace))
        return (now - len(undone), [items[key] for key in keys])

    def since(self, version: int) -> list[Change]:
        """Return the changes after VERSION. Raises Compacted if they are gone."""
        with self._changed:
            return self._after(version)

    def wait(self, version: int, wakes: int, timeout: float) -> None:
        """Block until there is a change after VERSION or a wake after WAKES, or for TIMEOUT seconds."""
        with self._changed:
            if self.version <= version and self.wakes == wakes:
                self._changed.wait(timeout)

    def wake(self) -> None:
        """Wake all waiting threads."""
        with self._changed:
            self.wakes += 1
            self._changed.notify_all()

    def compact(self, keep: int = 0) -> None:
        """Drop all but the last KEEP changes."""
        with self._changed:
            gone = max(0, len(self._log) - keep)
            del self._log[:gone]
            self._oldest += gone

    def _after(self, version: int) -> list[Change]:
        if version < self._oldest:
            raise Compacted(self._oldest)
        return self._log[version - self._oldest :]

    def _encode(self, key: Key, document: Document, old: Item | None) -> Item:
        if self._items.get(key) is not old:
            raise Raced
        version = self.version + 1
        stamped = _ordered({**document, "metadata": {**document["metadata"], "resourceVersion": str(version)}})
        head, body = (msgspec.json.encode(part) for part in stamped)
        return Item(key, version, head[:-1] + b",", body[1:])

    def _append(self, old: Item | None, now: Item, *, deleted: bool) -> Item:
        self._log.append(Change(old, now, deleted))
        if deleted:
            del self._items[now.key]
        else:
            self._items[now.key] = now
        if len(self._log) > 2 * self._history:  # rarely, since it moves the whole list
            self.compact(self._history)
        self._changed.notify_all()
        return now


def _ordered(document: Mapping[str, object]) -> tuple[Document, Document]:
    """Return kind and apiVersion, which items of lists omit, and the rest."""
    kinds = ("kind", "apiVersion")
    return {key: document[key] for key in kinds}, {key: value for key, value in document.items() if key not in kinds}
