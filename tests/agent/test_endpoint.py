"""The endpoint serves a bounded number of connections, each for a bounded time, and only who means it."""

import errno
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from podroutes.agent import endpoint
from podroutes.agent.endpoint import Endpoint
from podroutes.errors import AgentError
from podroutes.model.status import SourceStatus, Status
from support.waiting import until

WELL = Status("1.2.3", "worker-0", 42, 1000.0, SourceStatus("lab.yaml", connected=True, synced=True), last_pass=1995.0)


@pytest.fixture
def served(worker):
    """Serve at 127.0.0.1:9107 of a namespace; yield the endpoint."""
    found = Endpoint("127.0.0.1:9107", lambda: WELL, lambda: None, lambda *_, **__: None)
    found.start()
    yield found
    found.close()


def connect():
    return socket.create_connection(("127.0.0.1", 9107), timeout=60)


def ask(request: bytes) -> tuple[bytes, bytes]:
    """Return first line and body of the answer to REQUEST."""
    with connect() as client:
        client.sendall(request)
        with client.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("request_", "line", "body"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:9107\r\n\r\n", b"HTTP/1.1 200 OK", b"ok\n"),
        (b"GET /readyz?verbose HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200 OK", b"ok\n"),
        (b"GET /livez HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK", b"ok\n"),
        (b"GET /livez HTTP/1.1\r\nHost: [::1]:9107\r\n\r\n", b"HTTP/1.1 200 OK", b"ok\n"),
        (b"HEAD /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 200 OK", b""),
        (b"GET /livez HTTP/1.1\r\nhost:evil.example:9107\r\n\r\n", b"HTTP/1.1 421 Misdirected Request", None),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"HTTP/1.1 421 Misdirected Request", None),
        (b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 405 Method Not Allowed", None),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 404 Not Found", None),
        (b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 400 Bad Request", None),
        (b"GET /livez HTTP/1.1\r\n" + b"a" * 10000, b"HTTP/1.1 400 Bad Request", None),
    ],
)
def test_answers(request_, line, body):
    found = ask(request_)
    assert found[0] == line
    assert body is None or found[1] == body


def test_a_name_server_that_does_not_answer_keeps_nobody_waiting(monkeypatch, worker):
    asked, answered = threading.Event(), threading.Event()

    def resolve(*arguments, **more):
        asked.set()
        answered.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9107))]

    monkeypatch.setattr(endpoint.socket, "getaddrinfo", resolve)
    found = Endpoint("worker-0.example:9107", lambda: WELL, lambda: None, lambda *_, **__: None)
    found.start()
    assert asked.wait(60)
    answered.set()
    until(lambda: not found.error)
    found.close()


def test_without_a_descriptor_left_it_waits_and_goes_on(worker, monkeypatch):
    waits = []
    monkeypatch.setattr(endpoint.time, "sleep", waits.append)

    class Listener:
        def accept(self):
            raise OSError(errno.EMFILE, "Too many open files")

    found = Endpoint("127.0.0.1:9107", lambda: WELL, lambda: None, lambda *_, **__: None)
    real, found._listener = found._listener, Listener()
    found._accept()
    assert waits == [1.0]
    found._listener = real
    found.start()
    assert ask(b"GET /livez HTTP/1.1\r\n\r\n") == (b"HTTP/1.1 200 OK", b"ok\n")
    found.close()


def test_on_other_addresses_people_have_names_for_it(worker):
    found = Endpoint("192.168.8.20:9107", lambda: WELL, lambda: None, lambda *_, **__: None)
    found.start()
    with socket.create_connection(("192.168.8.20", 9107), timeout=60) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: worker-0.example:9107\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    found.close()


def test_a_thousand_slow_clients_neither_fill_it_nor_keep_anybody_out(served):
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect()).sendall(b"GET /livez HT")
        assert ask(b"GET /livez HTTP/1.1\r\n\r\n")[1] == b"ok\n"
        assert served.refused >= 1000 - endpoint._MOST
        assert len(served._connections) <= endpoint._MOST


def test_who_drips_is_given_up(served, monkeypatch):
    monkeypatch.setattr(endpoint, "_PATIENCE", 0.0)
    with connect() as client, suppress(ConnectionResetError):  # it may be closed before what came was read
        client.sendall(b"G")
        assert client.recv(1) == b""
    until(lambda: served.refused == 1)


@pytest.mark.parametrize("listen", ["9107", ":9107", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:²"])
def test_what_is_no_address_is_an_error(listen):
    with pytest.raises(AgentError, match="wanted ADDRESS:PORT"):
        Endpoint(listen, lambda: WELL, lambda: None, lambda *_, **__: None)
