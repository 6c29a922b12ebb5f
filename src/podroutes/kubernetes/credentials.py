"""Identities and authorities that are in a kubeconfig or in files that rotate."""

import binascii
from base64 import b64decode, b64encode
from typing import NamedTuple

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Identity
from podroutes.kubernetes.kubeconfig import User
from podroutes.model.text import escaped


class Material(NamedTuple):
    """PEM material: base64 DATA in the kubeconfig, which has precedence, or the file at PATH."""

    place: str  # its name in messages
    data: str = ""
    path: str = ""

    def read(self) -> bytes:
        """Return the PEM bytes, b"" if there are none. Raises KubernetesError."""
        if not self.data:
            return read_file(self.place, self.path) if self.path else b""
        try:
            return b64decode("".join(self.data.split()), validate=True)  # some tools wrap base64 into lines
        except (binascii.Error, ValueError):
            raise KubernetesError(f"{self.place}-data is not base64") from None


class Files:
    """Credentials of a kubeconfig's user that has no plugin. Files are read again on each call."""

    def __init__(self, place: str, user: User) -> None:
        self._place = place
        self._user = user
        self._certificate = Material(
            f"{place}: client-certificate", user.client_certificate_data, user.client_certificate
        )
        self._key = Material(f"{place}: client-key", user.client_key_data, user.client_key)

    def identity(self) -> Identity:
        """Return the current identity. Raises KubernetesError."""
        certificate, key = self._certificate.read(), self._key.read()
        if bool(certificate) != bool(key):
            there, missing = ("client-certificate", "client-key")[:: 1 if certificate else -1]
            raise KubernetesError(f"{self._place}: a {there} but no {missing}; give both or none")
        return Identity(self._authorization(), certificate, key)

    def refused(self) -> bool:
        """Return whether there is a file, which may have changed since."""
        return bool(self._user.token_file)

    def _authorization(self) -> str:
        user = self._user
        if user.token_file or user.token:
            return f"Bearer {self._token()}"
        if user.username or user.password:
            pair = f"{user.username}:{user.password}".encode()
            return f"Basic {b64encode(pair).decode()}"
        return ""

    def _token(self) -> str:
        """Return the token of the file, which has precedence, or the one in the kubeconfig."""
        user, place = self._user, f"{self._place}: tokenFile"
        if not user.token_file:
            return fit_for_a_header(f"{self._place}: token", user.token)
        try:
            return fit_for_a_header(place, read_file(place, user.token_file).decode(errors="replace"))
        except KubernetesError:
            if user.token:
                return fit_for_a_header(f"{self._place}: token", user.token)
            raise


def read_file(place: str, path: str) -> bytes:
    """Return the content of the file at PATH, which messages call PLACE. Raises KubernetesError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123, pathlib costs 5 ms to import
            return file.read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise KubernetesError(f"{place}: {escaped(path)} cannot be read: {why}") from None


def fit_for_a_header(place: str, token: str) -> str:
    """Return TOKEN without surrounding white space. Raises KubernetesError if it is not a token."""
    token = token.strip()
    if not token:
        raise KubernetesError(f"{place}: is empty; wanted a bearer token")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise KubernetesError(f"{place}: is not a bearer token: it holds spaces or characters that no header may have")
    return token
