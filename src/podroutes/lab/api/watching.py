"""Watches: the initial state and its changes, one JSON event a line (API Concepts, "Efficient detection of changes")."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from podroutes.lab.api.message import Document, Refusal, expired, invalid
from podroutes.lab.api.printing import Form, gathered
from podroutes.lab.api.reading import fresh_enough, number
from podroutes.lab.api.resources import API_VERSION, Resource, Selector
from podroutes.lab.api.store import Change, Compacted, Item, Store

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_LONGEST = 1800.0  # seconds, if the client gives none: --min-request-timeout of the real server
_LOOK_UP = 5.0  # seconds after which an idle watch checks whether its client is connected
_TRUE = ("1", "t", "T", "true", "TRUE", "True")  # strconv.ParseBool


class Watch(NamedTuple):
    """The parameters of a watch."""

    resource: Resource
    namespace: str
    selector: Selector | None
    since: int | None  # changes after this version; None: the state first
    end_of_state: bool  # a bookmark marks the end of the state
    bookmarks: bool
    seconds: float
    blank: bool = False  # the state is sent empty: a fault


def true(query: Mapping[str, str], name: str) -> bool:
    """Return whether the parameter NAME of QUERY is true for the API."""
    return query.get(name, "") in _TRUE


def wanted(
    store: Store, where: tuple[Resource, str], selector: Selector | None, query: Mapping[str, str], *, streaming: bool
) -> Watch:
    """Return the watch of WHERE (resource and namespace) that QUERY requests. Raises Refusal if it is invalid.

    Without STREAMING ``sendInitialEvents`` is answered like a server whose feature gate WatchList is off.
    """
    version, match = number(query, "resourceVersion"), query.get("resourceVersionMatch", "")
    asked, initial = "sendInitialEvents" in query, true(query, "sendInitialEvents")
    field, why = "sendInitialEvents", ""
    if asked and not streaming:
        why = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    elif asked and match != "NotOlderThan":
        field, why = "resourceVersionMatch", 'Forbidden: sendInitialEvents requires setting it to "NotOlderThan"'
    elif match and not asked:
        field, why = "resourceVersionMatch", "Forbidden: is forbidden for watch unless sendInitialEvents is provided"
    if why:
        raise invalid("ListOptions", "", field, why)
    if initial:
        fresh_enough(store, version)
    bookmarks = true(query, "allowWatchBookmarks")
    since: int | None = version
    if initial or (not asked and not version):
        since = None
    elif not version:
        since = store.version
    return Watch(*where, selector, since, initial and bookmarks, bookmarks, number(query, "timeoutSeconds") or _LONGEST)


def events(
    store: Store, watch: Watch, form: Form, *, bookmark_every: float, check: Callable[[], bytes]
) -> Iterator[bytes]:
    """Yield the lines of WATCH, pending ones together, and an empty piece from time to time while there are none.

    CHECK is called before each wait; its result is sent unless empty. It may raise Disconnect.
    """
    version = watch.since
    if version is None:
        version, items = store.snapshot(watch.resource.name, watch.namespace)
        chosen = (item for item in items if not watch.blank and _chosen(watch, item))
        yield from gathered(line("ADDED", form.item(item)) for item in chosen)
        if watch.end_of_state:
            yield bookmark(watch.resource, version, {INITIAL_EVENTS_END: "true"})
    now = time.monotonic()
    end, next_bookmark = now + watch.seconds, now + bookmark_every
    while True:
        wakes = store.wakes  # read first, so that no wake is missed
        if last_word := check():
            yield last_word
            continue
        try:
            changes = store.since(version)
        except Compacted as compacted:
            yield error(expired(f"too old resource version: {version} ({compacted.version})"))
            return
        yield from gathered(filter(None, (_seen(watch, form, change) for change in changes)))
        version = changes[-1].now.version if changes else version
        now = time.monotonic()
        if now >= min(next_bookmark, end):
            next_bookmark = now + bookmark_every
            if watch.bookmarks and version <= store.version:
                yield bookmark(watch.resource, version)
        if now >= end:
            return
        if not changes:
            yield b""
            store.wait(version, wakes, max(0.0, min(end, next_bookmark, now + _LOOK_UP) - now))


def line(kind: str, encoded: bytes) -> bytes:
    """Return one event as a line."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), encoded)


def error(refusal: Refusal) -> bytes:
    """Return the event that ends a watch."""
    return line("ERROR", msgspec.json.encode(refusal.document))


def bookmark(resource: Resource, version: int, annotations: Mapping[str, str] | None = None) -> bytes:
    """Return the event that all changes up to VERSION have been sent."""
    metadata: Document = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return line(
        "BOOKMARK", msgspec.json.encode({"kind": resource.kind, "apiVersion": API_VERSION, "metadata": metadata})
    )


def _seen(watch: Watch, form: Form, change: Change) -> bytes:
    """Return the event of CHANGE for WATCH, empty if there is none: an object may enter or leave the selection."""
    before, now = change.before, change.now
    if now.key.resource != watch.resource.name or watch.namespace not in ("", now.key.namespace):
        return b""
    was = before is not None and _chosen(watch, before)
    if not change.deleted and _chosen(watch, now):
        return line("MODIFIED" if was else "ADDED", form.item(now))
    if not was or before is None:
        return b""
    return line("DELETED", form.item(now if change.deleted else _stamped(before, now.version)))


def _chosen(watch: Watch, item: Item) -> bool:
    return watch.selector is None or watch.selector(item)


def _stamped(item: Item, version: int) -> Item:
    """Return ITEM with VERSION: an object that leaves a selection is sent in its last selected state."""
    document = item.document()
    document["metadata"]["resourceVersion"] = str(version)
    rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
    return item._replace(version=version, body=msgspec.json.encode(rest)[1:])
