"""Lists: the version and the page of a collection (API Concepts, "Semantics for get and list")."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from podroutes.lab.api.message import Document, bad_request, expired, invalid, too_large
from podroutes.lab.api.printing import Form
from podroutes.lab.api.resources import Resource, Selector
from podroutes.lab.api.store import Compacted, Item, Store


class Continue(msgspec.Struct):
    """The content of a ``continue`` token: the VERSION of the first page (-1: the current one) and the last name sent."""

    version: int
    last: tuple[str, str]


class Page(NamedTuple):
    """The requested part and version of a list."""

    version: int  # 0: the latest
    limit: int  # 0: all
    after: tuple[str, str] = ("", "")  # namespace and name


def number(query: Mapping[str, str], name: str) -> int:
    """Return the parameter NAME of QUERY, 0 if absent. Raises Refusal 400 unless it is a whole number."""
    text = query.get(name) or "0"
    if not (text.isascii() and text.isdigit()):
        raise bad_request(f'{name}: Invalid value: "{text}": want a whole number')
    return int(text)


def fresh_enough(store: Store, version: int) -> None:
    """Raise Refusal 504 for a VERSION of the future, as the real API does after three seconds."""
    if version > store.version:
        raise too_large(version, store.version)


def page(store: Store, query: Mapping[str, str]) -> Page:
    """Return the page of STORE that QUERY requests. Raises Refusal if it is unavailable."""
    version, limit, token = number(query, "resourceVersion"), number(query, "limit"), query.get("continue")
    match = query.get("resourceVersionMatch", "")
    if token:
        if version or match:
            raise bad_request("resourceVersion and resourceVersionMatch are forbidden with continue")
        try:
            resumed = msgspec.json.decode(base64.urlsafe_b64decode(token), type=Continue)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise bad_request("continue key is not valid") from None
        return Page(max(resumed.version, 0), limit, resumed.last)
    if match not in ("", "Exact", "NotOlderThan"):
        raise invalid("ListOptions", "", "resourceVersionMatch", f'Unsupported value: "{match}"')
    if match and "resourceVersion" not in query:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid("ListOptions", "", "resourceVersionMatch", why)
    if match == "Exact" and not version:
        why = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        raise invalid("ListOptions", "", "resourceVersionMatch", why)
    fresh_enough(store, version)
    if query.get("resourceVersion") == "0":
        limit = 0  # served from the watch cache of the real API, which does not page
    exact = match == "Exact" or (not match and limit)
    return Page(version if exact else 0, limit)


def listed(
    store: Store, where: tuple[Resource, str], page: Page, selector: Selector | None, form: Form
) -> Iterator[bytes]:
    """Return PAGE of the objects WHERE (resource and namespace) as pieces of JSON. Raises Refusal 410 if it is gone."""
    resource, namespace = where
    try:
        version, items = store.snapshot(resource.name, namespace, page.version)
    except Compacted:
        message = "The provided continue parameter is too old to display a consistent list result."
        if page.after == ("", ""):
            raise expired(f"The resourceVersion for the provided list is too old: {page.version}") from None
        raise expired(message, {"continue": _token(-1, page.after)}) from None
    rest = [item for item in items if item.key[1:] > page.after and (selector is None or selector(item))]
    shown = rest[: page.limit] if page.limit else rest
    about: Document = {"resourceVersion": str(version)}
    if len(shown) < len(rest):
        about["continue"] = _token(version, shown[-1].key[1:])
        if selector is None:  # the real API does not count the rest of a list with a selector
            about["remainingItemCount"] = len(rest) - len(shown)
    return form.many(shown, about)


def nothing(store: Store, form: Form) -> Iterator[bytes]:
    """Return an empty list of the current version: a fault."""
    items: list[Item] = []
    return form.many(items, {"resourceVersion": str(store.version)})


def _token(version: int, last: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode({"version": version, "last": last})).decode()
