"""Faults on demand, and what else happens on a wire: seen by the client that podroutes is built on, and by bare sockets."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest
import urllib3

from lab.api.asking import NODES, STREAMING, Client, node
from podroutes.lab.api.faults import Fault
from podroutes.lab.api.server import Server
from podroutes.lab.api.watching import INITIAL_EVENTS_END

CHUNKED = b"POST /api/v1/nodes HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b'{"type":"MODIFIED","obj'


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=20) as found:
        yield found
        found.clear()


@pytest.fixture
def get(server, pool):
    """Return a function of a path to the response, whose body is still to be read."""

    def ask(path: str = NODES, method: str = "GET", **keywords) -> urllib3.BaseHTTPResponse:
        return pool.request(method, f"{server.url}{path}", preload_content=False, **keywords)

    return ask


def until_broken(pieces: Iterator[bytes]) -> bytes:
    """Return what comes before the connection breaks, which it has to."""
    found: list[bytes] = []
    with pytest.raises(urllib3.exceptions.ProtocolError):
        found.extend(pieces)
    return b"".join(found)


def test_a_list_and_a_watch_over_one_connection(get, filled):
    filled("a", "b")
    for _ in range(3):
        listed = json.loads(get().data)
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
        watched = get(f"{NODES}?{STREAMING}&timeoutSeconds=1").data.splitlines()
        assert [json.loads(line)["type"] for line in watched] == ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"]
        assert INITIAL_EVENTS_END.encode() in watched[2]


@pytest.mark.parametrize(("status", "reason"), [(500, "InternalError"), (429, "TooManyRequests"), (410, "Expired")])
def test_a_status_so_many_times(get, api, filled, status, reason):
    filled("a")
    api.faults.add(Fault(kind="status", verb="list", status=status, retry_after=2, count=2))
    for _ in range(2):
        refused = get()
        assert (refused.status, refused.headers["Retry-After"]) == (status, "2")
        assert json.loads(refused.data)["reason"] == reason
    assert get(f"{NODES}/a").status == 200
    assert get().status == 200
    assert api.faults.waiting() == []


def test_what_fails_was_not_done(get, api):
    for kind in ("status", "reset", "garbage", "gone"):
        api.faults.add(Fault(kind=kind, verb="create"))
    for _ in range(4):
        try:
            get(method="POST", json=node("a")).read()
        except urllib3.exceptions.ProtocolError:
            continue
    assert Client(api)("GET", NODES).names == []


def test_a_cut_answer_to_what_was_done(get, api):
    api.faults.add(Fault(kind="cut", verb="create", after=10))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        get(method="POST", json=node("a")).read()
    assert Client(api)("GET", NODES).names == ["a"]


def test_an_answer_is_cut_truncated_or_garbage(get, api, filled):
    filled("a", "b")
    whole = get().data
    api.faults.add(Fault(kind="cut", after=100))
    assert until_broken(get().stream()) == whole[:100]
    api.faults.add(Fault(kind="truncate", after=100))
    assert get().data == whole[:100]
    api.faults.add(Fault(kind="garbage"))
    response = get()
    assert response.status == 200
    with pytest.raises(ValueError):  # noqa: PT011  either no text or no JSON
        json.loads(response.data)
    api.faults.add(Fault(kind="reset"))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        get()
    assert get().data == whole


def test_nothing_where_there_is_something(get, api, filled):
    filled("a")
    api.faults.add(Fault(kind="empty", count=2))
    assert json.loads(get().data)["items"] == []
    streamed = get(f"{NODES}?{STREAMING}").stream()
    assert INITIAL_EVENTS_END.encode() in next(streamed)
    filled("b")  # what happens from now on is told
    assert b'"name":"b"' in next(streamed)
    assert len(json.loads(get().data)["items"]) == 2


def test_a_storm_of_410(get, api, filled):
    filled("a")
    api.faults.add(Fault(kind="gone", count=4))
    for _ in range(2):
        (line,) = get(f"{NODES}?watch=1&resourceVersion=2").data.splitlines()
        assert (json.loads(line)["type"], json.loads(line)["object"]["code"]) == ("ERROR", 410)
        assert get(f"{NODES}?limit=1").status == 410


def test_running_watches_are_hung_up_on_in_the_middle_of_a_line(get, api, filled):
    filled("a")
    watch = get(f"{NODES}?watch=1").stream()
    assert b'"ADDED"' in next(watch)
    api.hang_up(HALF)
    assert until_broken(watch) == HALF
    again = get(f"{NODES}?watch=1&resourceVersion=2").stream()
    api.hang_up()
    assert until_broken(again) == b""


def test_a_stall_lasts_until_faults_are_cleared(get, api, filled):
    filled("a")
    api.faults.add(Fault(kind="stall", verb="watch", after=20))
    watch = get(f"{NODES}?watch=1").stream(20)
    assert len(next(watch)) == 20
    get(f"{NODES}/a")  # meanwhile others are served
    api.faults.clear()
    assert until_broken(watch) == b""


def test_a_stall_before_anything_is_said(get, api):
    api.faults.add(Fault(kind="stall"))
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        get(timeout=0.1)
    assert get().status == 200


def test_a_truncated_watch_ends_in_the_middle_of_a_line(get, api, filled):
    filled("a")
    api.faults.add(Fault(kind="truncate", verb="watch", after=30))
    assert get(f"{NODES}?watch=1").data == b'{"type":"ADDED","object":{"kind'[:30]


def test_a_server_that_stops_breaks_and_refuses_connections_and_comes_back(get, api, server, filled):
    filled("a")
    url, watch = server.url, get(f"{NODES}?watch=1").stream()
    assert b'"ADDED"' in next(watch)
    server.stop()
    assert until_broken(watch) == b""
    with pytest.raises(urllib3.exceptions.HTTPError):
        get()
    server.start()
    assert server.url == url
    assert len(json.loads(get().data)["items"]) == 1


def test_faults_are_set_from_afar(get, api, filled):
    filled("a")
    fault = {"kind": "status", "verb": "list", "status": 503, "retryAfter": 1, "count": 3}
    assert json.loads(get("/lab/faults", "POST", json=fault).data) == {"faults": [{**fault, "after": 0}]}
    assert get().status == 503
    assert json.loads(get("/lab/faults").data)["faults"][0]["count"] == 2
    assert json.loads(get("/lab/faults", "DELETE").data) == {"faults": []}
    assert get().status == 200
    watch = get(f"{NODES}?watch=1&resourceVersion=2").stream()
    assert get("/lab/faults", "POST", json={"kind": "hang-up", "lastWord": HALF.decode()}).status == 200
    assert until_broken(watch) == HALF
    for wrong in ({"kind": "other"}, {"kind": "cut", "verb": "other"}, {"kind": "cut", "more": 1}, {}, 7):
        assert get("/lab/faults", "POST", json=wrong).status == 400
    assert get("/lab/faults", "PUT", json={}).status == 405


def test_a_client_that_leaves_ends_its_watch(api, server, filled, monkeypatch):
    """Its thread is not kept until the next event."""
    monkeypatch.setattr("podroutes.lab.api.watching._LOOK_UP", 0.01)
    before = set(threading.enumerate())  # those of earlier tests may still be ending
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET /api/v1/nodes?watch=1&resourceVersion=1 HTTP/1.1\r\nHost: lab\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        (thread,) = set(threading.enumerate()) - before
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"HEAD /api/v1/nodes HTTP/1.1\r\nHost: lab\r\n\r\n", b"405"),
        (b"OPTIONS /api/v1/nodes HTTP/1.1\r\nHost: lab\r\n\r\n", b"405"),
        (b"POST /api/v1/nodes HTTP/1.1\r\nHost: lab\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST /api/v1/nodes HTTP/1.1\r\nHost: lab\r\nContent-Length: x\r\n\r\n", b"400"),
        (CHUNKED + b"ffffff\r\n", b"413"),
        (CHUNKED + b"x\r\n", b"400"),
        (CHUNKED + b'2\r\n{"\r\n9;a=b\r\nkind":"X"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n', b"kind X in the body"),
        (b"BREW /pot HTTP/1.1\r\nHost: lab\r\n\r\n", b"501"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_unusual_requests_are_answered(server, request_, status):
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert status in answer
    if request_.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")


def test_tls_with_a_certificate(api, filled, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not here to make a certificate with")
    filled("a")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        Server(api, tls=context) as server,
        urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=20) as pool,
    ):
        assert server.url.startswith("https://")
        assert len(pool.request("GET", f"{server.url}{NODES}").json()["items"]) == 1
        watch = pool.request("GET", f"{server.url}{NODES}?watch=1", preload_content=False).stream()
        assert b'"ADDED"' in next(watch)
        api.faults.add(Fault(kind="stall", after=10))
        stalled = pool.request("GET", f"{server.url}{NODES}", preload_content=False).stream()
        assert len(next(stalled)) == 10
        server.stop()  # which waits for every connection to end
        assert until_broken(watch) == until_broken(stalled) == b""
