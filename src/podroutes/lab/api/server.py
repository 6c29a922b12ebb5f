"""Serves the lab API on a TCP socket: HTTP/1.1 with persistent connections and chunked responses (RFC 9112)."""

import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from podroutes.lab.api.discovery import NAME
from podroutes.lab.api.message import Disconnect, Refusal, Request, Response, bad_request, refuse
from podroutes.lab.api.service import NodeApi

_LARGEST_BODY = 3 << 20  # bytes: the limit of the real server for JSON
_LONGEST_LINE = 1 << 16  # bytes; http.server's value
_ALLOWED = "GET, POST, PUT, PATCH, DELETE"


class Server:
    """Serves API at ADDRESS (host, port). Port 0 is any free one, which ``address`` then contains.

    ``stop`` closes the listener and all connections, like a server that crashes; ``start`` listens again at the same
        address. LISTENER is a socket that already listens, TLS the context of a server with a certificate.
    """

    def __init__(
        self,
        api: NodeApi,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        listener: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.api = api
        self.address: tuple[str, int] = listener.getsockname()[:2] if listener else address
        self._listener = listener
        self._tls = tls
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its URL, once it has been started."""
        host, port = self.address
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Start to listen. Raises the ``OSError`` of bind(2)."""
        self._http = _Http(self.api, self._listener or listen(self.address), self._tls)
        self._listener = None  # the server closes it
        self.address = self._http.socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="lab-api", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listener and all connections; return when the last thread has ended."""
        if self._http and self._thread:
            self._http.shutdown()
            self._thread.join()
            self._http.close()
            self._http = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def listen(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at ADDRESS. Raises the ``OSError`` of bind(2)."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=1024)  # all agents of a lab connect at once


class _Http(ThreadingHTTPServer):
    """Has one thread for each connection, and closes the connections on stop."""

    daemon_threads = False  # ``stop`` waits for them

    def __init__(self, api: NodeApi, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.api = api
        self._tls = tls
        self._connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, peer = self.socket.accept()
        if self._tls:  # the connection's thread does the handshake, which may be slow
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections.add(connection)
        return connection, peer[:2]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]  # TCP only
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        self.api.hang_up()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


def _size(text: str, base: int, before: int = 0) -> int:
    """Return the length in TEXT. Raises Refusal if it is invalid or too large after BEFORE bytes."""
    try:
        size = int(text, base)
    except ValueError:
        raise bad_request("the body has no length") from None
    if not 0 <= size <= _LARGEST_BODY - before:
        raise Refusal(413, "RequestEntityTooLarge", f"limit is {_LARGEST_BODY}")
    return size


class _Handler(BaseHTTPRequestHandler):
    """Reads requests of the API from a connection, and writes its responses."""

    server: _Http
    protocol_version = "HTTP/1.1"
    server_version = NAME
    sys_version = ""
    disable_nagle_algorithm = True  # send each event at once
    rbufsize = 1 << 16

    def do_GET(self) -> None:
        """Answer a request of any method."""
        try:
            body = self._body()
        except Refusal as refusal:
            self.close_connection = True  # the start of the next request is unknown
            self._send(refuse(refusal))
            return
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.api.answer(Request(self.command, unquote(url.path), query, headers, body)))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815  the names that http.server calls

    def _body(self) -> bytes:
        """Return the request's body. Raises Refusal if it is too large or has no length: RFC 9112 sections 6 and 7."""
        if "Transfer-Encoding" not in self.headers:
            return self.rfile.read(_size(self.headers.get("Content-Length") or "0", 10))
        body = b""
        while size := _size(self.rfile.readline(80).partition(b";")[0].decode("latin-1"), 16, len(body)):
            body += self.rfile.read(size)
            self.rfile.readline(3)
        while self.rfile.readline(_LONGEST_LINE).strip():  # trailers
            pass
        return body

    def _send(self, response: Response) -> None:
        try:
            if response.status:
                self._head(response)
            chunked = response.length is None
            for piece in self._pieces(response):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked and self.command != "HEAD":
                self.wfile.write(b"0\r\n\r\n")
        except (Disconnect, ConnectionError):
            self.close_connection = True

    def _head(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status == 405:
            self.send_header("Allow", _ALLOWED)
        if response.length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(response.length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _pieces(self, response: Response) -> Iterator[bytes]:
        """Yield the pieces to send, while the client is connected."""
        if self.command == "HEAD":
            return
        for piece in response.pieces:
            if piece:
                yield piece
            elif self._is_gone():
                raise Disconnect

    def _is_gone(self) -> bool:
        """Return whether the client has closed its side, as clients do to end a watch: poll(2)."""
        door = select.poll()
        door.register(self.connection, select.POLLRDHUP)
        return bool(door.poll(0))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name it has there
        """Log nothing: the lab has no terminal."""
