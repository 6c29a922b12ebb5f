"""Requests, responses and error responses as values: Kubernetes API Concepts, "Status"."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

Document = dict[str, Any]
JSON = "application/json"


class Request(NamedTuple):
    """One request: METHOD, the decoded PATH, the last value of each QUERY parameter, HEADERS in lower case, the BODY."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Response(NamedTuple):
    """One response. PIECES of unknown LENGTH are sent chunked; an empty piece checks whether the client is connected.

    STATUS 0 is a fault: no head is sent.
    """

    status: int
    pieces: Iterable[bytes]
    length: int | None = None
    headers: Mapping[str, str] = {"Content-Type": JSON}


class Disconnect(Exception):  # noqa: N818  no error: what a fault asks for
    """Raised by a response's pieces: close the connection without the final chunk."""


class Refusal(Exception):  # noqa: N818  named after what it is
    """Raised for an error response: an HTTP status code, a reason and a message."""

    def __init__(
        self, code: int, reason: str, message: str, details: Document | None = None, metadata: Document | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.document: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def answer(document: Document, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return DOCUMENT as a response."""
    return encoded(msgspec.json.encode(document) + b"\n", status, headers)


def encoded(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the JSON BODY as a response."""
    return Response(status, [body], len(body), {"Content-Type": JSON, **(headers or {})})


def refuse(refusal: Refusal) -> Response:
    """Return the response for REFUSAL, with ``Retry-After`` if it has one."""
    seconds = refusal.document.get("details", {}).get("retryAfterSeconds")
    return answer(refusal.document, refusal.code, {"Retry-After": str(seconds)} if seconds else {})


def bad_request(message: str) -> Refusal:
    """Return the error for an invalid request."""
    return Refusal(400, "BadRequest", message)


def not_found(resource: str, name: str) -> Refusal:
    """Return the error for a missing object."""
    return Refusal(404, "NotFound", f'{resource} "{name}" not found', {"name": name, "kind": resource})


def conflict(resource: str, name: str, why: str) -> Refusal:
    """Return the error for a write to another version of the object."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, {"name": name, "kind": resource})


def invalid(kind: str, name: str, field: str, why: str) -> Refusal:
    """Return the error for an object or options with an invalid FIELD."""
    cause = {"reason": "FieldValueInvalid", "message": why, "field": field}
    details = {"name": name, "kind": kind, "causes": [cause]}
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {field}: {why}', details)


def expired(message: str, metadata: Document | None = None) -> Refusal:
    """Return the error for a resourceVersion whose history was compacted."""
    return Refusal(410, "Expired", message, metadata=metadata)


def too_large(asked: int, current: int) -> Refusal:
    """Return the error for a resourceVersion of the future."""
    message = f"Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Refusal(504, "Timeout", f"Timeout: {message}", {"causes": [cause], "retryAfterSeconds": 1})
