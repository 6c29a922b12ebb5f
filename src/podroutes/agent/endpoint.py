"""The agent's HTTP endpoint: /livez, /readyz, /metrics and /status, by default on a loopback address.

One thread serves a bounded number of connections, with one request each. If all are in use, the oldest is closed for a new one,
so that open connections cannot block a probe. If it cannot listen, it retries; the routes do not wait for it.
"""

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from podroutes import __version__
from podroutes.agent.log import Logger
from podroutes.model.listening import parse_listen
from podroutes.model.status import Status
from podroutes.views import status as views

_TEXT = "text/plain; charset=utf-8"
_MOST = 32  # connections: probes, Prometheus and a few people
_PATIENCE = 10.0  # seconds for a client to send its request and to read the response
_LARGEST = 8192  # bytes of a request
_BLOCK = 1 << 16  # maximum bytes of a read or write
_PAUSE = 1.0  # seconds before accept(2) is tried again where this process has no descriptor left
_RETRY = 10.0  # seconds until an address in use is tried again
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """The response to a request."""

    status: int
    kind: str
    body: str


class _Connection:
    """A client. ``answer`` is the unsent rest of the response, None while its request is incomplete."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.socket = connection
        self.until = until  # monotonic seconds: when it is closed
        self.request = b""
        self.answer: memoryview | None = None


class Endpoint:
    """A server in a thread of its own, from ``start`` to ``close``.

    STATUS returns the agent's status, STUCK_REASON why its loop is stuck (None if it is not).
    """

    def __init__(
        self, listen: str, status: Callable[[], Status], stuck_reason: Callable[[], str | None], log: Logger
    ) -> None:
        self.refused = 0  # connections that were closed without a response
        self.error = "not listening yet"  # why it does not listen
        self._listen = listen
        self._host, self._port = parse_listen(listen, ", or none")
        self._status, self._stuck_reason, self._log = status, stuck_reason, log
        self._connections: dict[int, _Connection] = {}  # by file descriptor, oldest first
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._bell, self._ear = socket.socketpair()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._closing = False
        if _is_address(self._host):  # a name server that does not answer would delay the routes
            self._open()
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)

    def start(self) -> None:
        """Start to serve; earlier connections wait until then."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._closing = True
        self._bell.send(b"\0")
        self._thread.join(_PATIENCE)

    def _open(self) -> None:
        """Listen, or record why that is impossible."""
        try:
            self._listener = _listener(self._host, self._port)
        except OSError as error:
            why = f"--listen {self._listen}: {error.strerror}; the routes are kept, and it is tried again"
            if why != self.error:
                self._log("warning", "endpoint unavailable", error=why)
            self.error = why
            return
        self._selector.register(self._listener, selectors.EVENT_READ)
        if self.error.startswith("--"):
            self._log("info", "endpoint available", listen=self._listen)
        self.error = ""

    def _run(self) -> None:
        again = time.monotonic() + (_RETRY if self.error.startswith("--") else 0.0)
        while not self._closing:
            now = time.monotonic()
            if self._listener is None and now >= again:
                self._open()
                again = now + _RETRY
            ends = [client.until for client in self._connections.values()]
            ends += [again] if self._listener is None else []
            for key, _ in self._selector.select(max(0.0, min(ends) - now) if ends else None):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd in self._connections:
                    self._go_on(self._connections[key.fd])
            now = time.monotonic()
            for client in [client for client in self._connections.values() if client.until <= now]:
                self._drop(client, refused=client.answer is None)
        for client in list(self._connections.values()):
            self._drop(client, refused=False)
        for end in (self._listener, self._bell, self._ear):
            if end:
                end.close()
        self._selector.close()

    def _accept(self) -> None:
        if self._listener is None:
            return
        if len(self._connections) >= _MOST:
            self._drop(next(iter(self._connections.values())), refused=True)
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # the client is gone
            return
        except OSError:  # no file descriptors left: close one of our connections
            if self._connections:
                self._drop(next(iter(self._connections.values())), refused=True)
            else:
                time.sleep(_PAUSE)
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)
        self._connections[connection.fileno()] = _Connection(connection, time.monotonic() + _PATIENCE)

    def _drop(self, client: _Connection, *, refused: bool) -> None:
        self.refused += refused
        del self._connections[client.socket.fileno()]
        self._selector.unregister(client.socket)
        client.socket.close()

    def _go_on(self, client: _Connection) -> None:
        """Continue to read a request, or to write its response."""
        try:
            if client.answer is None:
                data = client.socket.recv(_BLOCK)
                client.request += data
                if b"\r\n\r\n" in client.request or b"\n\n" in client.request or len(client.request) > _LARGEST:
                    client.answer = memoryview(self._answered(client.request))
                    self._selector.modify(client.socket, selectors.EVENT_WRITE)
                elif not data:
                    self._drop(client, refused=False)
                return
            client.answer = client.answer[client.socket.send(client.answer[:_BLOCK]) :]
            if not client.answer:
                with suppress(OSError):
                    client.socket.shutdown(socket.SHUT_WR)
                self._drop(client, refused=False)
        except BlockingIOError:
            return
        except OSError:  # the client disconnected
            self._drop(client, refused=False)

    def _answered(self, request: bytes) -> bytes:
        """Return the response to REQUEST."""
        head, _, rest = request.decode("latin-1").partition("\n")
        words = head.split()
        method = words[0] if words else ""
        if len(request) > _LARGEST or len(words) != 3 or not words[2].startswith("HTTP/1."):
            answer = Answer(400, _TEXT, "that is not an HTTP request\n")
        elif method not in ("GET", "HEAD"):
            answer = Answer(405, _TEXT, "only GET and HEAD are supported\n")
        elif not self._is_meant(rest):
            answer = Answer(421, _TEXT, "the Host header must be this address or localhost\n")
        else:
            answer = self._answer(words[1].partition("?")[0])
        body = answer.body.encode(errors="backslashreplace")
        lines = [
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
            f"Server: podroutes/{__version__}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(["Allow: GET, HEAD"] if answer.status == 405 else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)

    def _is_meant(self, headers: str) -> bool:
        """Return whether the Host in HEADERS may be ours.

        On a loopback address it must be an address or localhost; otherwise it may be a web page that uses DNS rebinding. On other
                addresses any name is accepted.
        """
        fields = (line.partition(":") for line in headers.splitlines())
        hosts = {value.strip() for name, _, value in fields if name.strip().lower() == "host"}
        if len(hosts) > 1:
            return False
        host = next(iter(hosts), "")
        name = (host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]).strip("[]")
        return not host or name.lower() in ("localhost", self._host) or _is_address(name) or not _is_local(self._host)

    def _answer(self, path: str) -> Answer:
        if path == "/livez":
            return _verdict(self._stuck_reason())
        if path == "/readyz":
            status = self._status()
            return _verdict(status.not_ready_reason, note=status.source.error)
        if path == "/metrics":
            lines = "\n".join(views.metrics(self._status()))
            return Answer(200, "text/plain; version=0.0.4; charset=utf-8", f"{lines}\n")
        if path == "/status":
            return Answer(200, "application/json", json.dumps(views.document(self._status())))
        return Answer(404, _TEXT, "the paths are /livez, /readyz, /metrics and /status\n")


def _listener(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_MOST)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(name))
    return False


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _verdict(reason: str | None, *, note: str = "") -> Answer:
    """Return 503 with REASON, or 200 with NOTE where there is no reason against it."""
    if reason is not None:
        return Answer(503, _TEXT, f"{reason}\n")
    return Answer(200, _TEXT, f"ok; the last good nodes are in force: {note}\n" if note else "ok\n")
