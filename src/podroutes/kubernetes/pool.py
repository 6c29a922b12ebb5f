"""The connections to an API server: TLS, proxies, and deadlines that a server cannot postpone.

A socket's timeout begins anew with each byte, and urllib3 and http.client limit neither the number of answers "100 Continue" nor the
trailers behind a body. So each step of a conversation has a deadline, and every read from the connection is held to it.
"""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from podroutes.kubernetes.access import Access

_DEAD = 30  # seconds without an acknowledgement after which TCP closes the connection

# TCP options that detect a vanished server within half a minute, tcp(7); each is set where the system has it.
_SOCKET_OPTIONS = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 15),
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", 15),  # macOS's name for TCP_KEEPIDLE
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _DEAD * 1000),  # Linux
    )
    if hasattr(socket, name)
)


class Deadline:
    """When the step that is under way has to be over."""

    def __init__(self) -> None:
        self._end = float("inf")

    def begin(self, seconds: float) -> None:
        """Give the next step SECONDS."""
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds are left. Raises TimeoutError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _pools(deadline: Deadline) -> dict[str, type[HTTPConnectionPool]]:
    """Return what a PoolManager makes connections with, by scheme, so that their reads are held to DEADLINE."""

    class Response(HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **more: Any) -> None:
            super().__init__(sock, *arguments, **more)
            self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock, deadline))

    class Plain(HTTPConnection):
        response_class = Response

    class Secure(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Reader(io.RawIOBase):
    """Reads RAW, which is a file of CONNECTION."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left, silence = self._deadline.left(), self._connection.gettimeout()
        self._connection.settimeout(left if silence is None else min(left, silence))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._connection.settimeout(silence)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def pool(access: Access, authority: bytes, certificate: bytes, key: bytes) -> tuple[urllib3.PoolManager, Deadline]:
    """Return connections to the cluster of ACCESS, and the deadline that they are held to."""
    options: dict[str, Any] = {"socket_options": _SOCKET_OPTIONS, "maxsize": 2}
    if access.server.startswith("https:"):
        from podroutes.kubernetes.tls import context  # noqa: PLC0415, ssl is as large as urllib3

        options["ssl_context"] = context(access, authority, certificate, key)
        if access.server_name:
            options |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
        if not access.verify:
            options["assert_hostname"] = False
            urllib3.disable_warnings(
                urllib3.exceptions.InsecureRequestWarning
            )  # insecure-skip-tls-verify in the kubeconfig
    if access.proxy:
        url = urllib3.util.parse_url(access.proxy)
        headers = urllib3.make_headers(proxy_basic_auth=url.auth) if url.auth else None
        manager: urllib3.PoolManager = urllib3.ProxyManager(
            url._replace(auth=None).url, proxy_headers=headers, **options
        )
    else:
        manager = urllib3.PoolManager(**options)
    deadline = Deadline()
    manager.pool_classes_by_scheme = _pools(deadline)
    return manager, deadline
