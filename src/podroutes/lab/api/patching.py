"""The three kinds of PATCH that kubectl sends. Server-side apply is not implemented.

JSON Patch is RFC 6902, JSON Merge Patch RFC 7386, the third is the Kubernetes page "Update API Objects in Place Using
kubectl patch" with the directives of "strategic-merge-patch" in the Kubernetes community's API documents.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from podroutes.lab.api.message import Document, Refusal, bad_request

# Lists of a Node and the field by which their items are merged (None: plain items), from k8s.io/api/core/v1.
_MERGED = {"conditions": "type", "addresses": "type", "ownerReferences": "uid", "finalizers": None, "podCIDRs": None}
_ORDER, _REMOVED = "$setElementOrder/", "$deleteFromPrimitiveList/"


def patcher(content_type: str) -> Callable[[Document, Any], Any]:
    """Return the function (object, patch) -> object for the media type CONTENT_TYPE. Raises Refusal 415 if there is none."""
    known = {
        "application/json-patch+json": json_patch,
        "application/merge-patch+json": merge,
        "application/strategic-merge-patch+json": strategic_merge,
    }
    apply_patch = known.get(content_type.partition(";")[0].strip())
    if apply_patch is None:
        raise Refusal(
            415, "UnsupportedMediaType", f"the lab API cannot patch with {content_type}; accepted: {', '.join(known)}"
        )
    return apply_patch


def merge(target: Any, patch: Any) -> Any:
    """Return TARGET with PATCH merged into it: RFC 7386 section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def strategic_merge(target: Any, patch: Any) -> Any:
    """Return TARGET with PATCH merged into it, the lists of a Node by their keys."""
    if not isinstance(patch, dict):
        return patch
    rest = {key: value for key, value in patch.items() if key not in ("$patch", "$retainKeys")}
    if patch.get("$patch") == "delete":
        return None
    if patch.get("$patch") == "replace" or not isinstance(target, dict):
        target = {}
    retained = patch.get("$retainKeys")
    merged = {key: value for key, value in target.items() if retained is None or key in retained}
    for key, value in rest.items():
        if key.startswith(_REMOVED):
            field = key.removeprefix(_REMOVED)
            merged[field] = [item for item in merged.get(field, []) if item not in value]
        elif not key.startswith("$"):
            merged[key] = _merge_field(key, merged.get(key), value)
    for key, order in rest.items():
        if key.startswith(_ORDER) and merged.get(field := key.removeprefix(_ORDER)):
            merged[field] = _in_order(merged[field], order, _MERGED.get(field))
    return {key: value for key, value in merged.items() if value is not None}


def _merge_field(key: str, old: Any, patch: Any) -> Any:
    """Return the value OLD of the field KEY with PATCH merged into it, None to remove it."""
    if key in _MERGED and isinstance(patch, list):
        return _merge_list(old or [], patch, _MERGED[key])
    return strategic_merge(old, patch)


def _merge_list(target: list[Any], patch: list[Any], key: str | None) -> list[Any]:
    """Return TARGET with the items of PATCH merged into those of the same KEY, or added."""
    if key is None:
        return [*target, *(item for item in patch if item not in target)]
    if {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
    merged = list(target)
    for item in patch:
        index = next((at for at, old in enumerate(merged) if old.get(key) == item[key]), None)
        result = strategic_merge({} if index is None else merged[index], item)
        if index is not None:
            merged[index : index + 1] = [] if result is None else [result]
        elif result is not None:
            merged.append(result)
    return merged


def _in_order(items: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Return ITEMS with those that ORDER names in that order; the others follow in their old order."""
    names = [item[key] if isinstance(item, dict) and key else item for item in order]

    def place(item: Any) -> int:
        name = item.get(key) if isinstance(item, dict) else item
        return names.index(name) if name in names else len(names)

    return sorted(items, key=place)


def json_patch(target: Document, patch: Any) -> Any:
    """Return TARGET after the operations of PATCH: RFC 6902 section 4. Raises Refusal 422 for one that fails."""
    if not isinstance(patch, list):
        raise bad_request("a JSON Patch is a list of operations, RFC 6902")
    document = copy.deepcopy(target)
    for operation in patch:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            message = f"the server rejected our request due to an error in our request: cannot do {operation}"
            raise Refusal(422, "Invalid", message) from None
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    """Apply one OPERATION to DOCUMENT and return it. It is changed in place unless replaced as a whole."""
    name, path = operation["op"], _pointer(operation["path"])
    if name == "test":
        if _at(document, path) != operation["value"]:
            raise ValueError(name)
        return document
    if name in ("remove", "replace"):
        _remove(document, path)
    if name == "remove":
        return document
    if name == "move":
        value = _remove(document, _pointer(operation["from"]))
    elif name == "copy":
        value = copy.deepcopy(_at(document, _pointer(operation["from"])))
    elif name in ("add", "replace"):
        value = operation["value"]
    else:
        raise ValueError(name)
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    else:
        parent[last] = value
    return document


def _pointer(text: str) -> list[str]:
    """Return the reference tokens of a JSON Pointer, RFC 6901 section 4."""
    if text and not text.startswith("/"):
        raise ValueError(text)
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for token in path:
        document = document[_index(token, len(document)) if isinstance(document, list) else token]
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:  # "replace" of the whole document
        return document
    parent = _at(document, path[:-1])
    return parent.pop(_index(path[-1], len(parent)) if isinstance(parent, list) else path[-1])


def _index(token: str, length: int) -> int:
    if not token.isdecimal() or int(token) >= length:
        raise IndexError(token)
    return int(token)
