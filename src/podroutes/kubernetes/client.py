"""A small client of the Kubernetes API. urllib3 does HTTP, TLS, proxies and streams.

urllib3 is imported when the first client is made, so that commands that read a file start faster.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlencode

from podroutes import __version__
from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Access, Identity
from podroutes.kubernetes.decode import Refusal, refusal
from podroutes.model.text import escaped

if TYPE_CHECKING:
    import urllib3

    from podroutes.kubernetes.pool import Deadline

_Answer = TypeVar("_Answer")

NODES = "/api/v1/nodes"
CONNECT = 10.0  # seconds for TCP and TLS; a server on another continent needs one
ANSWER = 60.0  # seconds between two reads of a response; the API server's own request timeout
SILENCE = 90.0  # seconds without a line on a watch; the server sends a bookmark about every 60
_REREAD = 60.0  # seconds until an identity is read again; client-go's value for token files
_BLOCK = 1 << 18  # maximum bytes of a read
PAGE = 64 << 20  # maximum bytes of a page of 500 Nodes: ten times the usual size
LIST = 1 << 30  # maximum bytes of an unpaged list; 5,000 Nodes are 70 MB
_DEEPEST = 10  # nested exceptions
_REFUSAL = 1 << 16  # maximum bytes read of an error response; a Status has some hundred
_COMPLETE = 300.0  # seconds for a complete response that is not a stream; a page takes less than one

# By class name: http.client and urllib3 have equivalent classes of the same name.
_PLAIN = {
    "IncompleteRead": "the connection was cut in the middle of the answer",
    "InvalidChunkLength": "the connection was cut in the middle of the answer",
    "RemoteDisconnected": "the server closed the connection without an answer",
    "ReadTimeoutError": "no answer, or no more of it, for too long",
    "ConnectTimeoutError": f"no connection within {CONNECT:.0f} s",
    "TimeoutError": "no answer, or no more of it, for too long",
    "BadStatusLine": "what answers does not speak HTTP",
    "LineTooLong": "what answers does not speak HTTP",
}


class RefusedError(KubernetesError):
    """The server answered with an error."""

    def __init__(self, access: Access, refused: Refusal) -> None:
        self.refusal = refused
        what = escaped(refused.message or refused.reason) or "no reason given"
        super().__init__(f"{access.name}: the server answered {refused.status}: {what}{_advice(refused.status)}")


class UnreachableError(KubernetesError):
    """There was no response, or an incomplete one."""


class CertificateError(UnreachableError):
    """The server's certificate does not verify. Either the authority was renewed, or a person has to correct the configuration."""


class Request(NamedTuple):
    """A request. BODY is JSON of the media type KIND."""

    path: str
    query: Mapping[str, str] = {}
    method: str = "GET"
    body: bytes | None = None
    kind: str = "application/json"
    most: int = 16 << 20  # maximum bytes of the response; etcd stores no object of more than 1.5 MiB


class Stream:
    """A streamed response. ``interrupt`` may be called from any thread."""

    def __init__(self, access: Access, response: "urllib3.BaseHTTPResponse", deadline: "Deadline") -> None:
        self._access = access
        self._deadline = deadline
        self._response = response
        self._socket = socket.socket(fileno=socket.dup(response.fileno()))  # stays valid after urllib3 drops its socket
        self.bytes = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the response as it arrives, at least a byte at a time. Raises UnreachableError if the connection breaks."""
        while block := _guarded(self._access, self._block):
            self.bytes += len(block)
            yield block

    def _block(self) -> bytes:
        self._deadline.begin(SILENCE)
        return self._response.read1(_BLOCK, decode_content=False)

    def interrupt(self) -> None:
        """End ``blocks``, which then raises UnreachableError."""
        with suppress(OSError):  # already closed
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._socket.close()


class Client:
    """Sends requests to one cluster. Not thread-safe, except ``Stream.interrupt``."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._identity = Identity()
        self._known = float("-inf")  # when the identity was last read
        self._material: tuple[bytes, bytes, bytes] | None = None  # what the pool was created with
        self._pool: urllib3.PoolManager | None = None
        self._deadline: Deadline

    def ask(self, request: Request) -> bytes:
        """Return the complete response. Raises RefusedError, UnreachableError, or KubernetesError if there is no identity."""
        response = self._send(request, ANSWER)
        body = self._body(response, request.most)
        if len(body) > request.most:
            raise UnreachableError(f"{self._access.name}: the answer is larger than {request.most >> 20} MiB")
        return body

    def _body(self, response: "urllib3.BaseHTTPResponse", most: int) -> bytes:
        """Return the response; reading stops after MOST bytes. Raises UnreachableError."""
        body, end = bytearray(), time.monotonic() + _COMPLETE
        complete = False

        def read() -> bytes:
            self._deadline.begin(ANSWER)
            return response.read1(_BLOCK, decode_content=False)

        try:
            while block := _guarded(self._access, read):
                body += block
                if len(body) > most:
                    return bytes(body)
                if time.monotonic() > end:
                    raise UnreachableError(
                        f"{self._access.name}: the answer is not complete after {_COMPLETE:.0f} s ({len(body)} bytes)"
                    )
            complete = True
        finally:
            response.release_conn() if complete else response.close()
        return bytes(body)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Stream]:
        """Return the response to REQUEST as a stream. Raises the errors of ``ask``."""
        response = self._send(request, SILENCE)
        stream = Stream(self._access, response, self._deadline)
        try:
            yield stream
        finally:
            stream.close()

    def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.clear()

    def _send(self, request: Request, silence: float) -> "urllib3.BaseHTTPResponse":
        response = self._once(request, silence)
        if response.status == 401 and self._access.credentials.refused():
            response.close()
            self._known = float("-inf")
            response = self._once(request, silence)
        if response.status < 300:
            return response
        body = self._body(response, _REFUSAL)
        raise RefusedError(self._access, refusal(response.status, body, response.headers.get("Retry-After", "")))

    def _once(self, request: Request, silence: float) -> "urllib3.BaseHTTPResponse":
        import urllib3  # noqa: PLC0415, see above

        pool = self._ready()
        headers = urllib3.HTTPHeaderDict({"User-Agent": f"podroutes/{__version__}", "Accept": "application/json"})
        for name, value in self._access.headers:
            headers.add(name, value)
        if self._identity.authorization:
            headers["Authorization"] = self._identity.authorization
        if request.body is not None:
            headers["Content-Type"] = request.kind
        url = f"{self._access.server}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
        timeout = urllib3.Timeout(connect=CONNECT, read=silence)

        def send() -> urllib3.BaseHTTPResponse:
            self._deadline.begin(ANSWER)
            return pool.request(
                request.method,
                url,
                body=request.body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )

        try:
            return _guarded(self._access, send)
        except CertificateError:
            self._known = float("-inf")  # the authority's file may have been replaced
            raise

    def _ready(self) -> "urllib3.PoolManager":
        """Return a connection pool for the current identity: certificates and authorities rotate, too."""
        from podroutes.kubernetes.pool import pool  # noqa: PLC0415, see above

        now = time.monotonic()
        if self._pool is None or now - self._known > _REREAD:
            identity = self._access.credentials.identity()
            material = (self._access.authority.read(), identity.certificate, identity.key)
            if self._pool is None or material != self._material:
                self.close()
                self._pool, self._deadline = pool(self._access, *material)
            self._identity, self._material, self._known = identity, material, now
        return self._pool


def _guarded(access: Access, call: Callable[[], _Answer]) -> _Answer:
    """Return the result of CALL. Errors of urllib3 and of the system become UnreachableError."""
    import ssl  # noqa: PLC0415, urllib3 has loaded it

    from urllib3.exceptions import HTTPError  # noqa: PLC0415, see above

    try:
        return call()
    except (HTTPError, OSError, ValueError) as error:  # ValueError: a read from a file that an interrupt has closed
        cause = _cause(error)
        kind = CertificateError if isinstance(cause, ssl.SSLCertVerificationError) else UnreachableError
        raise kind(f"{access.name}: {_why(cause)}") from None


def _cause(error: BaseException) -> BaseException:
    """Return the innermost cause of ERROR: urllib3 wraps it several times."""
    for _ in range(_DEEPEST):
        inner = [getattr(error, "reason", None), error.__cause__, *error.args]
        cause = next((each for each in inner if isinstance(each, BaseException)), None)
        if cause is None:
            break
        error = cause
    return error


def _why(error: BaseException) -> str:
    """Return the reason of ERROR: the system's text or, for urllib3's own errors, a plain sentence."""
    name = type(error).__name__
    if name in _PLAIN:
        return _PLAIN[name]
    words = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__
    return escaped(str(words))


def _advice(status: int) -> str:
    if status == 401:
        return "; check the credentials of this user"
    if status == 403:
        return "; podroutes needs get, list and watch on nodes (a ClusterRole)"
    if status == 404:
        return "; is this the address of a Kubernetes API server?"
    return ""
