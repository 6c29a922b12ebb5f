"""The lab API without sockets: takes a request and returns a response."""

from collections.abc import Callable
from typing import Any

import msgspec

from podroutes.lab.api import discovery, faults, reading, watching, writing
from podroutes.lab.api.faults import Fault, Faults
from podroutes.lab.api.message import (
    Disconnect,
    Document,
    Refusal,
    Request,
    Response,
    answer,
    bad_request,
    conflict,
    encoded,
    not_found,
    refuse,
)
from podroutes.lab.api.patching import patcher
from podroutes.lab.api.printing import form
from podroutes.lab.api.resources import RESOURCES, selector
from podroutes.lab.api.routing import Target, not_allowed, target_of, verb_of
from podroutes.lab.api.store import HISTORY, Item, Raced, Store

_BOOKMARKS = 60.0  # seconds between them, about as often as the real API sends them
_HEALTH = ("/healthz", "/livez", "/readyz")


class NodeApi:
    """Nodes and Events in memory behind the documented protocol. Thread-safe.

    STREAMING enables streaming lists (else 422), BOOKMARK_EVERY is in seconds, TOKENS are the accepted bearer tokens (none:
        no authentication), HISTORY is the number of changes over which a watch can resume. All but the last may be changed at
        any time. ``store`` has the objects, ``faults`` the injected faults.
    """

    def __init__(
        self,
        *,
        streaming: bool = True,
        bookmark_every: float = _BOOKMARKS,
        tokens: frozenset[str] = frozenset(),
        history: int = HISTORY,
    ) -> None:
        self.streaming = streaming
        self.bookmark_every = bookmark_every
        self.tokens = tokens
        self.store = Store(history)
        self.faults = Faults()

    def add(self, document: Document) -> Item:
        """Create the object DOCUMENT like a POST. Raises Refusal."""
        resource = next(each for each in RESOURCES.values() if each.kind == document["kind"])
        namespace = document["metadata"].get("namespace", "default") if resource.namespaced else ""
        return self._create(Target(resource, namespace), document)

    def hang_up(self, last_word: bytes = b"") -> None:
        """End all running watches: LAST_WORD is sent, then the connection is closed."""
        self.faults.hang_up(last_word)
        self.store.wake()

    def answer(self, request: Request) -> Response:
        """Return the response to REQUEST. Its pieces may take as long as a watch, and may raise Disconnect."""
        try:
            if request.path == "/lab/faults":
                return self._faults(request)
            if request.path in _HEALTH:
                return Response(200, [b"ok"], 2, {"Content-Type": "text/plain; charset=utf-8"})
            self._authenticate(request)
            document = discovery.document(request.path)
            return answer(document) if document and request.method == "GET" else self._object(request)
        except Refusal as refusal:
            return refuse(refusal)

    def _object(self, request: Request) -> Response:
        """Return the response to REQUEST about an object or a collection, with a pending fault applied."""
        target = target_of(request.path)
        verb = verb_of(request, target)
        if request.query.get("dryRun"):
            raise bad_request("the lab API has no dry run: leave it out, and it is done")
        fault = self.faults.take(verb)
        if fault and fault.kind not in ("cut", "empty", "stall", "truncate"):
            unanswered = Response(200, [])
            return self.faults.spoil(fault, verb, unanswered)  # a failed request changes nothing
        response = self._respond(request, target, verb, fault)
        return self.faults.spoil(fault, verb, response) if fault else response

    def _respond(self, request: Request, target: Target, verb: str, fault: Fault | None) -> Response:
        resource, where = target.resource, (target.resource, target.namespace)
        shape, chosen = form(resource, request.headers, request.query), selector(resource, request.query)
        empty = fault is not None and fault.kind == "empty"
        if verb == "list":
            if empty:
                return Response(200, reading.nothing(self.store, shape))
            page = reading.page(self.store, request.query)
            return Response(200, reading.listed(self.store, where, page, chosen, shape))
        if verb == "watch":
            watch = watching.wanted(self.store, where, chosen, request.query, streaming=self.streaming)
            watch, every, check = watch._replace(blank=empty), self.bookmark_every, self._listening()
            return Response(200, watching.events(self.store, watch, shape, bookmark_every=every, check=check))
        if verb == "get":
            reading.fresh_enough(self.store, reading.number(request.query, "resourceVersion"))
            return encoded(shape.item(self._existing(target)) + b"\n")
        if verb == "create":
            return encoded(shape.item(self._create(target, _body(request))) + b"\n", 201)
        if verb == "delete":
            return answer(self._delete(target, _body(request) if request.body else {}))
        return encoded(shape.item(self._update(target, self._alteration(request))) + b"\n")

    def _alteration(self, request: Request) -> Callable[[Document], Any]:
        """Return the function that applies REQUEST, a PUT or a PATCH, to an object."""
        if request.method == "PUT":
            wanted = _body(request)
            return lambda _before: wanted
        patch, body = patcher(request.headers.get("content-type", "")), _body(request)
        return lambda before: patch(before, body)

    def _create(self, target: Target, document: Any) -> Item:
        fresh = writing.created(target.resource, target.namespace, document)
        name = fresh["metadata"]["name"]
        try:
            return self.store.write(target._replace(name=name).key, fresh, None)
        except Raced:
            kind = target.resource.name
            message, details = f'{kind} "{name}" already exists', {"name": name, "kind": kind}
            raise Refusal(409, "AlreadyExists", message, details) from None

    def _update(self, target: Target, alter: Callable[[Document], Any]) -> Item:
        while True:
            old = self._existing(target)
            before = old.document()
            after = writing.updated(target.resource, before, alter(old.document()), target.subresource)
            if after == before:  # an update without changes is no write, as in the real API
                return old
            try:
                if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
                    return self.store.delete(old, after)
                return self.store.write(target.key, after, old)
            except Raced:
                continue

    def _delete(self, target: Target, options: Any) -> Document:
        """Delete the object, or mark it if it has finalizers; return a Status, or the marked object."""
        while True:
            old = self._existing(target)
            before = old.document()
            _check_preconditions(target, before["metadata"], options)
            try:
                if not before["metadata"].get("finalizers"):
                    self.store.delete(old, before)
                    break
                after = writing.marked(before)
                return (self.store.write(target.key, after, old) if after != before else old).document()
            except Raced:
                continue
        details = {"name": target.name, "kind": target.resource.name, "uid": before["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _existing(self, target: Target) -> Item:
        item = self.store.get(target.key)
        if item is None:
            raise not_found(target.resource.name, target.name)
        return item

    def _listening(self) -> Callable[[], bytes]:
        """Return the function that a watch calls before it waits; it ends the watch after the next hang-up."""
        begun, told = self.faults.call.number, False

        def check() -> bytes:
            nonlocal told
            call = self.faults.call
            if call.number == begun:
                return b""
            if told or not call.last_word:
                raise Disconnect
            told = True
            return call.last_word

        return check

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.tokens and not (scheme.lower() == "bearer" and token.strip() in self.tokens):
            raise Refusal(401, "Unauthorized", "Unauthorized")

    def _faults(self, request: Request) -> Response:
        """Control faults over HTTP: GET lists the pending ones, POST adds one or hangs up, DELETE clears them."""
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            body = _decoded(request.body)  # regardless of the Content-Type, for curl
            if isinstance(body, dict) and body.get("kind") == "hang-up":
                self.hang_up(str(body.get("lastWord", "")).encode())
            else:
                self.faults.add(faults.decode(request.body))
        elif request.method != "GET":
            raise not_allowed(request.method)
        return answer({"faults": [faults.document(fault) for fault in self.faults.waiting()]})


def _body(request: Request) -> Any:
    """Return the body of REQUEST. Raises Refusal unless it is JSON."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if not media.endswith("json"):
        raise Refusal(415, "UnsupportedMediaType", f"the lab API reads JSON only, not {media}")
    return _decoded(request.body)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is not valid JSON: {error}") from None


def _check_preconditions(target: Target, metadata: Document, options: Any) -> None:
    """Raise Refusal if the preconditions name another uid or version."""
    wanted = options.get("preconditions") if isinstance(options, dict) else None
    for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        asked = wanted.get(key) if isinstance(wanted, dict) else None
        if asked and asked != metadata[key]:
            why = f"Precondition failed: {label} in precondition: {asked}, {label} in object meta: {metadata[key]}"
            raise conflict(target.resource.name, target.name, why)
