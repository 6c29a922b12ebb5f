"""Values that describe how to reach a cluster, from a kubeconfig or a pod's service account."""

from typing import NamedTuple, Protocol


class Identity(NamedTuple):
    """The identity of the client. ``certificate`` and ``key`` are PEM."""

    authorization: str = ""  # the value of the Authorization header
    certificate: bytes = b""
    key: bytes = b""


class Credentials(Protocol):
    """A source of identities. It is asked repeatedly, since files rotate and tokens of plugins expire."""

    def identity(self) -> Identity:
        """Return the current identity. Raises KubernetesError."""

    def refused(self) -> bool:
        """Handle a 401 response; return whether a retry with a new identity may succeed."""


class Authority(Protocol):
    """The certificate authority of the server."""

    def read(self) -> bytes:
        """Return its certificates as PEM, or b"" for the system's. Raises KubernetesError."""


class Access(NamedTuple):
    """How to reach one cluster. ``name`` is used in messages."""

    name: str
    server: str  # a URL without a trailing slash
    credentials: Credentials
    authority: Authority
    verify: bool = True  # the server's certificate
    server_name: str = ""  # the name expected in its certificate, "" for the host of the URL
    proxy: str = ""  # a URL
    headers: tuple[tuple[str, str], ...] = ()  # impersonation
