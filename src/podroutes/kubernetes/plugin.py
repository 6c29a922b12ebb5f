"""Runs exec credential plugins as kubectl does. Credentials are cached until they expire or the server rejects them.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Identity
from podroutes.kubernetes.credentials import fit_for_a_header
from podroutes.kubernetes.kubeconfig import Plugin
from podroutes.model.text import escaped, printable

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MOST = 1 << 20  # maximum bytes of output; tokens and certificates have some thousand
_BLOCK = 1 << 16  # bytes of a read, and of standard error that are kept
_LONGEST = 500  # characters of standard error in a message
_LIMIT = 60.0  # seconds for a plugin that cannot ask a person


class _CredentialStatus(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _CredentialStatus | None = None


class PluginCredentials:
    """The credentials from PLUGIN. CLUSTER is passed to it, None for nothing; CLOCK returns seconds since the epoch."""

    def __init__(
        self, place: str, plugin: Plugin, cluster: dict[str, Any] | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._place = f"{place}: exec plugin {printable(plugin.command)}"
        self._plugin = plugin
        self._cluster = cluster
        self._clock = clock
        self._known: Identity | None = None
        self._expires = float("inf")
        self._check()

    def identity(self) -> Identity:
        """Return the current identity; run the plugin if there is none. Raises KubernetesError."""
        if self._known is None or self._clock() >= self._expires:
            self._known = self._understood(self._run())
        return self._known

    def refused(self) -> bool:
        """Forget the rejected identity; a new one may be accepted."""
        self._known = None
        return True

    def _check(self) -> None:
        version, mode = self._plugin.api_version, self._plugin.interactive_mode
        if not self._plugin.command:
            raise KubernetesError(f"{self._place}: no command")
        if version not in _VERSIONS:
            raise KubernetesError(f"{self._place}: apiVersion {printable(version)}, wanted {' or '.join(_VERSIONS)}")
        if not mode and version == _VERSIONS[0]:
            raise KubernetesError(f"{self._place}: no interactiveMode; wanted Never, IfAvailable or Always")

    def _run(self) -> bytes:
        mode = self._plugin.interactive_mode or "IfAvailable"
        interactive = mode != "Never" and bool(sys.stdin) and sys.stdin.isatty()
        if mode == "Always" and not interactive:
            raise KubernetesError(f"{self._place}: it wants to ask questions, and there is no terminal to ask them on")
        spec: dict[str, Any] = {"interactive": interactive}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        exec_info = {"apiVersion": self._plugin.api_version, "kind": "ExecCredential", "spec": spec}
        environment = os.environ | {each.name: each.value for each in self._plugin.env or ()}
        environment["KUBERNETES_EXEC_INFO"] = msgspec.json.encode(exec_info).decode()
        try:
            process = subprocess.Popen(
                [self._plugin.command, *(self._plugin.args or ())],
                env=environment,
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if interactive else subprocess.PIPE,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            hint = f"; {escaped(' '.join(self._plugin.install_hint.split()))}" if self._plugin.install_hint else ""
            raise KubernetesError(f"{self._place}: cannot be run: {why}{hint}") from None
        try:
            output, complaint = self._read_output(process, None if interactive else time.monotonic() + _LIMIT)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        if process.returncode:
            words = complaint.decode(errors="replace").strip().splitlines()
            why = f": {escaped(words[-1][:_LONGEST])}" if words else ""
            raise KubernetesError(f"{self._place}: failed with status {process.returncode}{why}")
        return output

    def _read_output(self, process: "subprocess.Popen[bytes]", end: float | None) -> tuple[bytes, bytes]:
        """Return the output of PROCESS and the end of its standard error. Raises KubernetesError if it prints too much or END passes."""
        output, complaint = bytearray(), b""
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                if stream:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = end - time.monotonic() if end is not None else None
                ready = selector.select(left) if left is None or left > 0 else []
                if not ready:
                    raise KubernetesError(f"{self._place}: has not answered for {_LIMIT:.0f} s")
                for key, _ in ready:
                    data = os.read(key.fd, _BLOCK)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        output += data
                    else:
                        complaint = (complaint + data)[-_BLOCK:]
                if len(output) > _MOST:
                    raise KubernetesError(
                        f"{self._place}: printed more than {_MOST >> 20} MiB, and no credential is so long"
                    )
        try:
            process.wait(end - time.monotonic() if end is not None else None)
        except subprocess.TimeoutExpired:
            raise KubernetesError(f"{self._place}: has not ended for {_LIMIT:.0f} s") from None
        return bytes(output), complaint

    def _understood(self, output: bytes) -> Identity:
        try:
            credential = msgspec.json.decode(output, type=_ExecCredential)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KubernetesError(
                f"{self._place}: what it printed is not an ExecCredential: {escaped(str(error))}"
            ) from None
        if (credential.api_version, credential.kind) != (self._plugin.api_version, "ExecCredential"):
            got = printable(f"{credential.api_version} {credential.kind}")
            raise KubernetesError(f"{self._place}: it printed {got}, wanted {self._plugin.api_version} ExecCredential")
        status = credential.status or _CredentialStatus()
        certificate, key = status.client_certificate_data, status.client_key_data
        if bool(certificate) != bool(key) or not (status.token or certificate):
            raise KubernetesError(f"{self._place}: it gave neither a token nor a client certificate with its key")
        expires = status.expiration_timestamp
        self._expires = expires.timestamp() if expires else float("inf")
        authorization = f"Bearer {fit_for_a_header(self._place, status.token)}" if status.token else ""
        return Identity(authorization, certificate.encode(), key.encode())
