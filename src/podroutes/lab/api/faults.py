"""Fault injection: imitates failing networks and overloaded servers.

A fault applies to the next requests of its verb. A hang-up applies to running watches.
"""

import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from podroutes.lab.api.message import Disconnect, Refusal, Response, bad_request, refuse
from podroutes.lab.api.watching import error

VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
KINDS = ("cut", "empty", "garbage", "gone", "reset", "stall", "status", "truncate")
GARBAGE = b'\x00\xff<html>502 Bad Gateway</html>{"type":\n'
_STALL = 3600.0  # seconds; longer than any client's timeout
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One fault, for the next COUNT requests of a VERB ("": any).

        ``status`` answers STATUS, with RETRY_AFTER seconds unless 0; ``reset`` closes without an answer; ``garbage`` answers
        200 with invalid JSON; ``gone`` answers 410, a watch by an ERROR event; ``empty`` answers with an empty list;
        ``cut`` closes the connection after AFTER bytes of the answer, ``truncate`` ends it there as if it were complete, and
    ``stall`` sends nothing more from there on, not even a status if AFTER is 0, but keeps the connection open.
    """

    kind: str
    verb: str = ""
    count: int = 1
    status: int = 500
    retry_after: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind} is none of {', '.join(KINDS)}")
        if self.verb and self.verb not in VERBS:
            raise ValueError(f"verb {self.verb} is none of {', '.join(VERBS)}")


class Call(NamedTuple):
    """One hang-up with its number: what to send before the connection is closed."""

    number: int = 0
    last_word: bytes = b""


class Faults:
    """The pending faults, in order. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.call = Call()

    def add(self, fault: Fault) -> None:
        """Add FAULT after the pending ones."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Remove all faults; stalled connections are closed."""
        with self._lock:
            self._waiting.clear()
            self._released.set()
            self._released = threading.Event()

    def waiting(self) -> list[Fault]:
        """Return the pending faults with their remaining counts."""
        with self._lock:
            return list(self._waiting)

    def hang_up(self, last_word: bytes = b"") -> None:
        """Let each running watch send LAST_WORD (half a line, an ERROR event) and close its connection."""
        self.call = Call(self.call.number + 1, last_word)

    def take(self, verb: str) -> Fault | None:
        """Return the first fault for a request of VERB, and count it."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.verb in ("", verb):
                    left = [msgspec.structs.replace(fault, count=fault.count - 1)] if fault.count > 1 else []
                    self._waiting[index : index + 1] = left
                    return fault
        return None

    def spoil(self, fault: Fault, verb: str, response: Response) -> Response:
        """Apply FAULT to RESPONSE, the response to a request of VERB."""
        pieces = response.pieces
        if fault.kind == "status":
            return refuse(_refusal(fault))
        if fault.kind == "gone":
            gone = _refusal(msgspec.structs.replace(fault, status=410))
            return response._replace(pieces=[error(gone)]) if verb == "watch" else refuse(gone)
        if fault.kind == "garbage":
            return Response(200, [GARBAGE], response.length and len(GARBAGE), response.headers)
        if fault.kind == "reset":
            return response._replace(status=0, pieces=_then_close([]))
        if fault.kind == "truncate":
            length = response.length and min(response.length, fault.after)
            return response._replace(pieces=_first(pieces, fault.after), length=length)
        if fault.kind == "cut":
            return response._replace(pieces=_then_close(_first(pieces, fault.after)))
        if fault.kind == "stall":
            stalling = _then_close(self._stalling(_first(pieces, fault.after)))
            return response._replace(status=response.status if fault.after else 0, pieces=stalling)
        return response  # "empty" is applied by the list code

    def _stalling(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        released = self._released
        yield from pieces
        for _ in range(int(_STALL)):
            if released.wait(1.0):
                return
            yield b""


def decode(body: bytes) -> Fault:
    """Return the fault described by BODY, which is JSON. Raises Refusal 400 if it is invalid."""
    try:
        return msgspec.json.decode(body, type=Fault)
    except msgspec.DecodeError as error:  # ValueError of __post_init__ included
        raise bad_request(f"no fault: {error}") from None


def document(fault: Fault) -> Any:
    """Return FAULT as JSON values."""
    return msgspec.to_builtins(fault)


def _refusal(fault: Fault) -> Refusal:
    reason = _REASONS.get(fault.status, "InternalError")
    details = {"retryAfterSeconds": fault.retry_after} if fault.retry_after else None
    return Refusal(fault.status, reason, f"{reason}: a fault of the lab API, on purpose", details)


def _first(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the first SIZE bytes of PIECES."""
    if size <= 0:
        return
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _then_close(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from pieces
    raise Disconnect
