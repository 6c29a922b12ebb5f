"""The lab API as a client meets it: in values, and over a socket."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from podroutes.lab.api.message import Request, Response
from podroutes.lab.api.service import NodeApi

NODES = "/api/v1/nodes"
STREAMING = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    document: Any

    @property
    def version(self) -> str:
        """The resourceVersion of the object or list."""
        return self.document["metadata"]["resourceVersion"]

    @property
    def names(self) -> list[str]:
        """The names of a list's items, in its order."""
        return [item["metadata"]["name"] for item in self.document["items"]]


class Client:
    """Asks an API without a socket."""

    def __init__(self, api: NodeApi) -> None:
        self.api = api

    def send(self, method: str, target: str, body: Any = None, **headers: str) -> Response:
        """Return the response to a request, its pieces still to be taken."""
        url = urlsplit(target)
        content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.answer(Request(method, url.path, dict(parse_qsl(url.query)), named, content))

    def __call__(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Return the whole answer to a request."""
        response = self.send(method, target, body, **headers)
        content = b"".join(response.pieces)
        assert response.length in (None, len(content))
        return Answer(response.status, msgspec.json.decode(content))

    def patch(self, target: str, body: Any, kind: str = "merge-patch") -> Answer:
        """Return the answer to a PATCH of this kind."""
        return self("PATCH", target, body, content_type=f"application/{kind}+json")

    def watch(self, query: str, path: str = NODES) -> Iterator[dict[str, Any]]:
        """Yield the events of a watch as they come, and None whenever it waits."""
        response = self.send("GET", f"{path}?watch=1&{query}")
        assert response.status == 200
        for piece in response.pieces:
            yield from (msgspec.json.decode(line) for line in piece.splitlines())
            if not piece:
                yield None

    def seen(self, query: str, path: str = NODES) -> list[tuple[str, str, str]]:
        """Return type, name and resourceVersion of the events that a watch has for us at once."""
        found = []
        for event in self.watch(query, path):
            if event is None:
                break
            metadata = event["object"]["metadata"]
            found.append((event["type"], metadata.get("name", ""), metadata.get("resourceVersion", "")))
        return found


def node(name: str, *cidrs: str, **metadata: Any) -> dict[str, Any]:
    """Return a Node as somebody may create it."""
    spec = {"podCIDRs": list(cidrs)} if cidrs else {}
    status = {"addresses": [{"type": "InternalIP", "address": "192.168.8.20"}]}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, **metadata},
        "spec": spec,
        "status": status,
    }
