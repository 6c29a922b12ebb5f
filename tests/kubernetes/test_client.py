"""The door to the API: TLS, identities that rotate, proxies, refusals."""

import json
import select
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kubernetes.speaking import Asked, Say, Script, closed_port, node, page, serving, status
from podroutes.errors import KubernetesError
from podroutes.kubernetes import client as door
from podroutes.kubernetes.client import CertificateError, Client, RefusedError, Request, UnreachableError
from podroutes.kubernetes.credentials import Files, Material
from podroutes.kubernetes.kubeconfig import User
from podroutes.kubernetes.listing import load

OPENSSL = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


class Certificates:
    """Two self-signed pairs: the server's, for 127.0.0.1 and hidden.example, and a client's."""

    def __init__(self, directory):
        self.directory = directory
        names = "subjectAltName=IP:127.0.0.1,DNS:hidden.example"
        for who, extra in (("server", ["-addext", names]), ("client", [])):
            made = [
                *OPENSSL,
                "-subj",
                f"/CN={who}",
                "-keyout",
                self.path(f"{who}.key"),
                "-out",
                self.path(f"{who}.crt"),
            ]
            subprocess.run([*made, *extra], check=True, capture_output=True)

    def path(self, name):
        """Return the path of the file NAME."""
        return str(self.directory / name)

    @property
    def context(self):
        """What a server needs that lets only this client in."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.path("server.crt"), self.path("server.key"))
        made.load_verify_locations(self.path("client.crt"))
        made.verify_mode = ssl.CERT_OPTIONAL
        return made

    @property
    def authority(self):
        """Return who vouches for the server."""
        return Material("ca", path=self.path("server.crt"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


NODES = Say(body=page(node("a")))


def asked(script, **keywords):
    """Return the one request that a client makes of SCRIPT."""
    Client(script.access(**keywords)).ask(Request("/api"))
    return script.asked[-1]


def test_every_request_says_who_we_are_and_what_we_read():
    with serving(Script(Say())) as script:
        headers = asked(script).headers
    assert headers["User-Agent"].startswith("podroutes/")
    assert headers["Accept"] == "application/json"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("user", "header"),
    [(User(token="secret"), "Bearer secret"), (User(username="me", password="pä:ss"), "Basic bWU6cMOkOnNz")],  # noqa: S106  no secret
)
def test_tokens_and_passwords(user, header):
    with serving(Script(Say())) as script:
        assert asked(script, credentials=Files("test", user)).headers["Authorization"] == header


def test_a_token_in_a_file_is_read_again_when_the_server_refuses_it(tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")

    def answer(asked: Asked) -> Say:
        return Say() if asked.headers["Authorization"] == "Bearer new" else Say(401)

    with serving(Script(Say(), answer)) as script:
        client = Client(script.access(credentials=Files("test", User(token_file=str(token)))))
        client.ask(Request("/api"))
        token.write_text("new\n")
        client.ask(Request("/api"))
    assert [each.headers["Authorization"] for each in script.asked] == ["Bearer old", "Bearer old", "Bearer new"]


def test_a_token_in_a_file_is_read_again_every_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_REREAD", -1.0)
    token = tmp_path / "token"
    with serving(Script(Say())) as script:
        client = Client(script.access(credentials=Files("test", User(token_file=str(token)))))
        for word in ("one", "two"):
            token.write_text(word)
            client.ask(Request("/api"))
    assert [each.headers["Authorization"] for each in script.asked] == ["Bearer one", "Bearer two"]


def test_a_refused_password_is_not_tried_twice():
    with serving(Script(Say(401))) as script, pytest.raises(RefusedError, match="check the credentials"):
        asked(script, credentials=Files("test", User(token="wrong")))  # noqa: S106  no secret
    assert len(script.asked) == 1


def test_the_server_is_trusted_for_its_authority(certificates):
    with serving(Script(NODES), certificates.context) as script:
        assert load(script.access(authority=certificates.authority)).cluster.nodes[0].name == "a"


def test_a_server_that_nobody_vouches_for_is_not_asked(certificates):
    with serving(Script(NODES), certificates.context) as script:
        with pytest.raises(UnreachableError, match=r"test-cluster: .*self-signed certificate"):
            asked(script, authority=Material("ca"))
        assert script.asked == []
        asked(script, authority=Material("ca"), verify=False)
    assert len(script.asked) == 1


@pytest.mark.parametrize(("name", "fits"), [("hidden.example", True), ("other.example", False)])
def test_the_server_is_held_to_the_name_that_the_kubeconfig_wants(certificates, name, fits):
    with serving(Script(NODES), certificates.context) as script:
        if fits:
            asked(script, authority=certificates.authority, server_name=name)
        else:
            with pytest.raises(UnreachableError, match="other"):
                asked(script, authority=certificates.authority, server_name=name)


def test_a_client_certificate_is_presented(certificates):
    context = certificates.context
    context.verify_mode = ssl.CERT_REQUIRED
    user = User(client_certificate=certificates.path("client.crt"), client_key=certificates.path("client.key"))
    with serving(Script(NODES), context) as script:
        asked(script, authority=certificates.authority, credentials=Files("test", user))
        with pytest.raises(UnreachableError):
            asked(script, authority=certificates.authority)
    assert len(script.asked) == 1


@pytest.mark.parametrize("spoil", ["key of another", "no PEM", "encrypted"])
def test_a_client_certificate_that_does_not_do_is_one_line(certificates, tmp_path, spoil):
    key = certificates.path("server.key")
    if spoil == "no PEM":
        key = str(tmp_path / "key")
        (tmp_path / "key").write_text("hello")
    if spoil == "encrypted":
        key = str(tmp_path / "key")
        command = [
            "openssl",
            "pkcs8",
            "-topk8",
            "-in",
            certificates.path("client.key"),
            "-out",
            key,
            "-passout",
            "pass:x",
        ]
        subprocess.run(command, check=True, capture_output=True)
    user = User(client_certificate=certificates.path("client.crt"), client_key=key)
    script = Script(NODES)
    script.url = "https://127.0.0.1:1"
    with pytest.raises(
        KubernetesError, match=r"test-cluster: the client certificate and its key do not do: .* PEM pair"
    ):
        asked(script, authority=certificates.authority, credentials=Files("test", user))


def test_an_authority_that_is_none_is_one_line():
    script = Script(NODES)
    script.url = "https://127.0.0.1:1"
    with pytest.raises(KubernetesError, match="the certificate authority is not a certificate in PEM form"):
        asked(script, authority=Material("ca", data="aGVsbG8="))


def test_certificates_that_are_renewed_are_used(certificates, monkeypatch):
    """Another identity means other connections: the server of the second request lets only the client in."""
    monkeypatch.setattr(door, "_REREAD", -1.0)
    user = User(client_certificate=certificates.path("client.crt"), client_key=certificates.path("client.key"))
    identities = [Files("test", User()), Files("test", user)]

    class Rotating:
        def identity(self):
            return identities.pop(0).identity()

        def refused(self):
            return False

    with serving(Script(NODES), certificates.context) as script:
        client = Client(script.access(authority=certificates.authority, credentials=Rotating()))
        client.ask(Request("/api"))
        first = client._pool
        client.ask(Request("/api"))
        assert client._pool is not first


@contextmanager
def proxy(seen):
    """Run a proxy that tunnels, and writes down what it was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve():
        with suppress(OSError):
            inner, _ = listener.accept()
            with inner:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += inner.recv(4096)
                seen.append(head.decode())
                host, port = head.split()[1].decode().split(":")
                with socket.create_connection((host, int(port))) as outer:
                    inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=pump, args=(outer, inner))
                    back.start()
                    pump(inner, outer)
                    back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_through_a_proxy_tls_is_spoken_with_the_server(certificates):
    seen = []
    with serving(Script(NODES), certificates.context) as script, proxy(seen) as port:
        client = Client(script.access(authority=certificates.authority, proxy=f"http://me:secret@127.0.0.1:{port}"))
        client.ask(Request("/api"))
        client.close()
    assert seen[0].startswith(f"CONNECT {script.url.removeprefix('https://')} ")
    assert "roxy-authorization: Basic bWU6c2VjcmV0" in seen[0].replace("Proxy-A", "proxy-a").replace(
        "Proxy-a", "proxy-a"
    )


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (
            Say(403, json.dumps(status(403, "Forbidden", "no \x1b[31m way")).encode()),
            r"403: no \\x1b\[31m way; podroutes needs",
        ),
        (Say(404, b"not here"), "404: not here; is this the address"),
        (Say(302, headers={"Location": "/login"}), "302: no reason given"),
    ],
)
def test_a_refusal_is_one_line(say, words):
    with (
        serving(Script(say)) as script,
        pytest.raises(RefusedError, match=f"^test-cluster: the server answered {words}"),
    ):
        asked(script)


def test_a_retry_after_is_understood_from_header_and_status():
    body = json.dumps(status(429, "TooManyRequests", retryAfterSeconds=3)).encode()
    for headers, seconds in (({"Retry-After": "9"}, 9), ({}, 3), ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 3)):
        with serving(Script(Say(429, body, headers))) as script, pytest.raises(RefusedError) as caught:
            asked(script)
        assert caught.value.refusal.retry_after == seconds


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the server closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{", "the connection was cut in the middle of the answer"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
            "the connection was cut in the middle of the answer",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers does not speak HTTP"),
    ],
)
def test_what_is_no_whole_answer_is_told_in_plain_words(said, words):
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = Script()
        script.url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer():
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(said)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UnreachableError) as caught:
            asked(script)
        thread.join()
    assert str(caught.value) == f"test-cluster: {words}"


def test_a_renewed_authority_is_read_when_the_old_one_does_not_verify(certificates, tmp_path):
    authority = tmp_path / "ca.crt"
    authority.write_bytes(Path(certificates.path("client.crt")).read_bytes())
    with serving(Script(Say()), certificates.context) as script:
        client = Client(script.access(authority=Material("ca", path=str(authority))))
        with pytest.raises(CertificateError):
            client.ask(Request("/api"))
        authority.write_bytes(Path(certificates.path("server.crt")).read_bytes())
        client.ask(Request("/api"))


def test_a_certificate_that_does_not_verify_is_told_at_once(certificates):
    tries = []
    with serving(Script(NODES), certificates.context) as script, pytest.raises(CertificateError):
        load(script.access(), sleep=tries.append)
    assert tries == []


def test_an_answer_without_an_end_is_given_up():
    with (
        serving(Script(Say(body=b" " * 100_000))) as script,
        pytest.raises(UnreachableError, match="larger than 0 MiB"),
    ):
        Client(script.access()).ask(Request("/api", most=99_999))


def test_of_a_refusal_without_an_end_the_beginning_is_told():
    with serving(Script(Say(500, body=b"x" * 10_000_000))) as script, pytest.raises(RefusedError) as caught:
        Client(script.access()).ask(Request("/api"))
    assert len(str(caught.value)) < 1000
    long = json.dumps(status(500, "R", "x" * 50_000)).encode()
    with serving(Script(Say(500, body=long))) as script, pytest.raises(RefusedError) as caught:
        Client(script.access()).ask(Request("/api"))
    assert len(str(caught.value)) < 1000


def test_an_answer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(door, "_COMPLETE", -1.0)
    drip = Say(lines=(b" ",) * 9, then="hold")
    with serving(Script(drip)) as script, pytest.raises(UnreachableError, match="is not complete after"):
        Client(script.access()).ask(Request("/api"))


OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"H", b"T"),
        (OK + b"X: ", b"y"),
        (OK + CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    ],
    ids=["continue", "status", "header", "trailers"],
)
def test_bytes_that_never_make_an_answer_are_given_up(monkeypatch, first, again):
    """Each byte begins the socket's own timeout anew."""
    for name in ("ANSWER", "SILENCE", "_COMPLETE"):
        monkeypatch.setattr(door, name, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = Script()
        script.url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def drip():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                connection.sendall(first)
                while True:
                    connection.sendall(again)
                    select.select([connection], [], [], 0.01)

        thread = threading.Thread(target=drip)
        thread.start()
        client = Client(script.access())
        with pytest.raises(UnreachableError, match="no answer, or no more of it, for too long"):
            client.ask(Request("/api"))
        client.close()
        thread.join()


def test_who_waits_is_told_why():
    told = []
    with serving(Script(Say(503), Say(503), NODES)) as script:
        load(script.access(), sleep=lambda _: None, tell=told.append)
    assert [each.rpartition("; ")[2] for each in told] == ["trying again (2 of 5)", "trying again (3 of 5)"]
    assert told[0].startswith("test-cluster: the server answered 503")


def test_nobody_there_is_one_line():
    script = Script(NODES)
    script.url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(UnreachableError, match=r"^test-cluster: Connection refused$"):
        asked(script)


def test_connections_notice_a_server_that_vanished():
    script = Script(Say(lines=(b"x\n",), then="hold"))
    with serving(script), Client(script.access()).stream(Request("/api")) as stream:
        assert stream._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def sleeping(waits):
    return {"sleep": waits.append, "chance": lambda: 0.0}


def test_all_pages_are_read():
    with serving(Script(Say(body=page(node("a"), more="n")), Say(body=page(node("b"))))) as script:
        assert [each.name for each in load(script.access()).cluster.nodes] == ["a", "b"]


def test_an_overloaded_server_is_asked_again_when_it_wishes():
    waits = []
    with serving(Script(Say(429, headers={"Retry-After": "3"}), Say(503), NODES)) as script:
        assert len(load(script.access(), **sleeping(waits)).cluster.nodes) == 1
    assert waits == [3, 0]


def test_tries_come_to_an_end():
    waits = []
    with serving(Script(Say(500, b"boom"))) as script, pytest.raises(RefusedError, match="500: boom"):
        load(script.access(), **sleeping(waits))
    assert len(script.asked) == 5


@pytest.mark.parametrize("code", [401, 403, 404])
def test_what_asking_again_cannot_mend_is_told_at_once(code):
    with serving(Script(Say(code))) as script, pytest.raises(RefusedError, match=str(code)):
        load(script.access(), **sleeping([]))
    assert len(script.asked) == 1


def test_what_is_no_list_of_nodes_is_an_error_and_not_an_empty_cluster():
    with (
        serving(Script(Say(body=b"<html>"))) as script,
        pytest.raises(KubernetesError, match="test-cluster: a list is not"),
    ):
        load(script.access(), **sleeping([]))


def test_a_cluster_without_nodes_is_an_error():
    with serving(Script(Say(body=page()))) as script, pytest.raises(KubernetesError, match="has no nodes"):
        load(script.access())


def test_no_file_descriptor_is_left_behind(certificates):
    with serving(Script(NODES), certificates.context) as script:
        load(script.access(authority=certificates.authority))
        before = len(list(Path("/proc/self/fd").iterdir()))
        load(script.access(authority=certificates.authority))
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1  # the server may not have noticed yet


def test_a_stream_over_tls_can_be_interrupted_by_another_thread(certificates):
    said = Say(lines=(b"one\n",), then="hold")
    with serving(Script(said), certificates.context) as script:
        client = Client(script.access(authority=certificates.authority))
        with client.stream(Request("/api")) as stream:
            blocks = stream.blocks()
            assert next(blocks) == b"one\n"
            threading.Timer(0.05, stream.interrupt).start()
            with pytest.raises(UnreachableError):
                next(blocks)
