"""What an API server says, in the fewest words: lines of a watch, pages of a list, and a server that follows a script."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from podroutes.kubernetes.access import Access
from podroutes.kubernetes.credentials import Files, Material
from podroutes.kubernetes.kubeconfig import User


def node(
    name: str, cidr: str = "10.200.0.0/24", ip: str = "192.168.8.20", *, uid: str = "", rv: int = 1
) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "uid": uid or f"{name}-uid", "resourceVersion": str(rv)},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}], "conditions": [{"type": "Ready"}]},
    }


def event(kind: str, *arguments: Any, **keywords: Any) -> bytes:
    return json.dumps({"type": kind, "object": node(*arguments, **keywords)}).encode()


def bookmark(rv: int, *, end: bool = False) -> bytes:
    meta = {"resourceVersion": str(rv)} | ({"annotations": {"k8s.io/initial-events-end": "true"}} if end else {})
    return json.dumps({"type": "BOOKMARK", "object": {"kind": "Node", "metadata": meta}}).encode()


def status(code: int, reason: str = "", message: str = "no", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def error(code: int, reason: str = "", **details: Any) -> bytes:
    return json.dumps({"type": "ERROR", "object": status(code, reason, **details)}).encode()


def page(*nodes: dict[str, Any], rv: int = 10, more: str = "") -> bytes:
    return json.dumps(
        {"kind": "NodeList", "metadata": {"resourceVersion": str(rv), "continue": more}, "items": nodes}
    ).encode()


class Asked(NamedTuple):
    """One request that a scripted server got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Say(NamedTuple):
    """One answer: STATUS with BODY, or LINES in chunks; afterwards the connection is kept open, ended or cut."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012  never written to
    lines: tuple[bytes, ...] | None = None
    then: str = "end"  # or "hold", "cut"


class Script:
    """What a server answers, one after the other; the last answer again and again. ``asked`` is what it was asked.

    Whether it knows a resourceVersion is answered with yes and counted apart, in ``versions``, unless it is FORGETFUL.
    """

    def __init__(self, *answers: Say | Callable[[Asked], Say], forgetful: bool = False) -> None:
        self.answers = list(answers)
        self.forgetful = forgetful
        self.versions: list[str] = []
        self.asked: list[Asked] = []
        self.url = ""
        self.released = threading.Event()
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Say:
        """Return what is answered to ASKED."""
        if not self.forgetful and "watch" not in asked.query and "resourceVersionMatch" in asked.query:
            self.versions.append(asked.query["resourceVersion"])
            return Say(body=page(node("any"), rv=int(self.versions[-1]), more="next"))
        with self._lock:
            self.asked.append(asked)
            found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return found if isinstance(found, Say) else found(asked)

    def access(self, **keywords: Any) -> Access:
        """Return how to reach it as nobody in particular."""
        values = {"credentials": Files("test", User()), "authority": Material("test")} | keywords
        return Access("test-cluster", self.url, **values)


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Script]:  # noqa: C901  two classes
    """Serve SCRIPT on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            say = script.answer(Asked(self.command, url.path, dict(parse_qsl(url.query)), headers, body))
            self.send_response(say.status)
            for name, value in say.headers.items():
                self.send_header(name, value)
            self.send_header(
                *(("Content-Length", str(len(say.body))) if say.lines is None else ("Transfer-Encoding", "chunked"))
            )
            self.end_headers()
            self.wfile.write(say.body)
            for line in say.lines or ():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            if say.then == "hold":
                script.released.wait(60)
            if say.then == "end" and say.lines is not None:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = say.then != "end"

        do_GET = do_POST = do_PATCH = answer  # noqa: N815  the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self) -> Any:
            connection, peer = super().get_request()
            wrapped = (
                tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) if tls else connection
            )
            return wrapped, peer

        def finish_request(self, request: Any, client_address: Any) -> None:
            with suppress(OSError):  # the client went away, or did not like our certificate
                super().finish_request(request, client_address)

        def shutdown_request(self, request: Any) -> None:
            with suppress(OSError):
                super().shutdown_request(request)

    server = Server(("127.0.0.1", 0), Handler)
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def lines(*each: bytes) -> tuple[bytes, ...]:
    """Return EACH with the end of a line."""
    return tuple(line + b"\n" for line in each)


def closed_port() -> int:
    """Return a port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
