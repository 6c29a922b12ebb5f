"""What the agent tells over HTTP: /livez, /readyz, /metrics and /status, on an address of this machine unless told otherwise."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from podroutes.errors import AgentError
from podroutes.model.status import Status
from podroutes.views import agent as views

Answer = tuple[int, str, str]  # status, content type, body
_TEXT = "text/plain; charset=utf-8"


class Endpoint:
    """A server in threads of its own. STATUS tells how the agent is doing, ALIVE why its loop is stuck ("" when it is not)."""

    def __init__(self, listen: str, status: Callable[[], Status], alive: Callable[[], str]) -> None:
        host, _, port = listen.rpartition(":")
        if not (host and port.isdigit() and int(port) < 1 << 16):
            raise AgentError(f"--listen {listen}: wanted ADDRESS:PORT, such as 127.0.0.1:9107 or [::1]:9107, or none")
        handler = type("Handler", (_Handler,), {"status": staticmethod(status), "alive": staticmethod(alive)})
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host.strip("[]"), int(port)), handler)
        except OSError as error:
            raise AgentError(
                f"--listen {listen}: {error.strerror}; is another agent running here? (`podroutes status` asks it)"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away in the middle is no event."""


class _Server6(_Server):
    address_family = 10  # AF_INET6


class _Handler(BaseHTTPRequestHandler):
    status: Callable[[], Status]
    alive: Callable[[], str]
    protocol_version = "HTTP/1.1"
    server_version = "podroutes"
    sys_version = ""
    timeout = 10  # seconds for a client to say what it wants

    def do_GET(self) -> None:
        code, kind, body = self._answer(self.path.partition("?")[0])
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, path: str) -> Answer:
        if path == "/livez":
            return _verdict(self.alive())
        if path == "/readyz":
            return _verdict(self.status().ready)
        if path == "/metrics":
            lines = "\n".join(views.metrics(self.status()))
            return 200, "text/plain; version=0.0.4; charset=utf-8", f"{lines}\n"
        if path == "/status":
            return 200, "application/json", json.dumps(views.document(self.status()))
        return 404, _TEXT, "there are /livez, /readyz, /metrics and /status\n"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002, the name is the library's
        """Say nothing: probes come every few seconds."""


def _verdict(trouble: str) -> Answer:
    return (503, _TEXT, f"{trouble}\n") if trouble else (200, _TEXT, "ok\n")
