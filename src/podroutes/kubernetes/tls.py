"""TLS contexts for a kubeconfig: authorities and client certificates from memory; on Linux without a file on disk."""

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Access


def context(access: Access, authority: bytes, certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return a context with AUTHORITY (b"": the system's) and a client's CERTIFICATE and KEY, all PEM.

    Raises KubernetesError if one of them is invalid.
    """
    try:
        made = ssl.create_default_context(cadata=authority.decode("latin-1") or None)
    except (ssl.SSLError, ValueError):
        raise KubernetesError(f"{access.name}: the certificate authority is not a certificate in PEM form") from None
    made.verify_flags &= (
        ~ssl.VERIFY_X509_STRICT
    )  # authorities of Kubernetes The Hard Way and of old kubeadm lack an extension
    made.set_alpn_protocols(["http/1.1"])
    if not access.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if certificate:
        _present(made, access, certificate + b"\n" + key)
    return made


def _present(made: ssl.SSLContext, access: Access, pem: bytes) -> None:
    """Load the client certificate and key of PEM into MADE."""
    try:
        with _file(pem) as path:
            made.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise KubernetesError(
            f"{access.name}: the client certificate and its key do not do: {why}; wanted an unencrypted PEM pair"
        ) from None


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Yield the path of a file with CONTENT, since OpenSSL reads keys only from files. On Linux the file is in memory.

    Elsewhere it is a temporary file that only this user can read, mkstemp(3); it is deleted after the read.
    """
    if sys.platform == "linux":
        file = os.memfd_create("podroutes")
        try:
            os.write(file, content)
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
    else:
        import tempfile  # noqa: PLC0415, Linux does without

        with tempfile.NamedTemporaryFile(prefix="podroutes-") as temporary:
            temporary.write(content)
            temporary.flush()
            yield temporary.name


def _no_password() -> str:
    raise ValueError("the key is encrypted")
