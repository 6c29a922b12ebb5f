"""How a cluster is reached, as values: what a kubeconfig or a pod's service account comes to."""

from typing import NamedTuple, Protocol


class Identity(NamedTuple):
    """Who asks. ``certificate`` and ``key`` are PEM."""

    authorization: str = ""  # the header's value
    certificate: bytes = b""
    key: bytes = b""


class Credentials(Protocol):
    """Where an identity comes from, again and again: files rotate, and what plugins say expires."""

    def identity(self) -> Identity:
        """Return who asks now. Raises KubernetesError."""

    def refused(self) -> bool:
        """Take in that the server answered 401; return whether asking once more with a fresh identity may help."""


class Authority(Protocol):
    """Where the certificates come from that vouch for the server."""

    def read(self) -> bytes:
        """Return them as PEM, b"" for those of the system. Raises KubernetesError."""


class Access(NamedTuple):
    """One cluster. ``name`` is what to call it in messages."""

    name: str
    server: str  # a URL without a slash at its end
    credentials: Credentials
    authority: Authority
    verify: bool = True  # the server's certificate
    server_name: str = ""  # what its certificate has to say, "" for the host of the URL
    proxy: str = ""  # a URL
    headers: tuple[tuple[str, str], ...] = ()  # impersonation
