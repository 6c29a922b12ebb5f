"""Chooses the cluster and the user: from a kubeconfig, or from the service account of a pod."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Access, Credentials
from podroutes.kubernetes.credentials import Files, Material
from podroutes.kubernetes.kubeconfig import Choice, Cluster, User, choose, read
from podroutes.kubernetes.proxy import proxy_for
from podroutes.model.text import printable

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_PLUGIN_CONFIG = "client.authentication.k8s.io/exec"  # the cluster extension that is passed to exec plugins


def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    environment: Mapping[str, str] = os.environ,
    service_account: str = SERVICE_ACCOUNT,
) -> Access:
    """Return how to reach the cluster of CONTEXT in the file KUBECONFIG.

    Without a file: the files in the environment variable KUBECONFIG, then ~/.kube/config, then the pod's service account.
    Without a context: the current one. Nothing is sent. Raises KubernetesError.
    """
    paths = [path for path in environment.get("KUBECONFIG", "").split(":") if path]
    if kubeconfig:
        config = read([kubeconfig], missing_ok=False)
    elif paths:
        config = read(paths, missing_ok=True)
        if config.origin == "kubeconfig":
            raise KubernetesError(f"KUBECONFIG is {printable(':'.join(paths))}, and there is no such file")
    else:
        home = environment.get("HOME", "")
        config = read([f"{home}/.kube/config"] if home else [], missing_ok=True)
        if not config.contexts and not context:
            return in_pod(environment, service_account)
    return reach(choose(config, context), environment)


def in_pod(environment: Mapping[str, str], directory: str = SERVICE_ACCOUNT) -> Access:
    """Return how a pod reaches its own cluster. Raises KubernetesError outside of a pod.

    https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    if not (host and port):
        raise KubernetesError("no kubeconfig and no pod: name a file with --kubeconfig (or KUBECONFIG)")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    place = "service account"
    return Access(
        server,
        server,
        Files(place, User(token_file=f"{directory}/token")),
        Material(f"{place}: certificate authority", path=f"{directory}/ca.crt"),
        proxy=_proxy(place, "", server, environment),
    )


def reach(choice: Choice, environment: Mapping[str, str]) -> Access:
    """Return how to reach the cluster of CHOICE as its user. Raises KubernetesError."""
    place, cluster, user = choice
    server = _server(place, cluster.server)
    return Access(
        server,
        server,
        _credentials(choice),
        Material(f"{place}: certificate-authority", cluster.certificate_authority_data, cluster.certificate_authority),
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy=_proxy(place, cluster.proxy_url, server, environment),
        headers=impersonation(place, user),
    )


def impersonation(place: str, user: User) -> tuple[tuple[str, str], ...]:
    """Return the impersonation headers of USER.

    https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
    """
    if not user.impersonate:
        if user.impersonate_groups or user.impersonate_uid or user.impersonate_extra:
            raise KubernetesError(f"{place}: as-groups, as-uid or as-user-extra without as; name the user, too")
        return ()
    from urllib.parse import quote  # noqa: PLC0415, hardly anybody does

    headers = [("Impersonate-User", user.impersonate)]
    headers += [("Impersonate-Group", group) for group in user.impersonate_groups or ()]
    headers += [("Impersonate-Uid", user.impersonate_uid)] if user.impersonate_uid else []
    for key, values in (user.impersonate_extra or {}).items():
        headers += [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", value) for value in values]
    for name, value in headers:
        if not value.isprintable():
            raise KubernetesError(f"{place}: {name} cannot be {printable(value)}")
    return tuple(headers)


def _credentials(choice: Choice) -> Credentials:
    place, cluster, user = choice
    if user.auth_provider is not None:
        raise KubernetesError(f"{place}: auth-provider was removed from Kubernetes in 1.26; use an exec plugin instead")
    if user.exec is None or user.token or user.token_file or user.username:
        return Files(place, user)
    from podroutes.kubernetes.plugin import PluginCredentials  # noqa: PLC0415, loads subprocess

    return PluginCredentials(place, user.exec, _described(place, cluster) if user.exec.provide_cluster_info else None)


def _described(place: str, cluster: Cluster) -> dict[str, Any]:
    """Return the client.authentication.k8s.io/v1 Cluster that is passed to a plugin."""
    from base64 import b64encode  # noqa: PLC0415, few plugins ask

    authority = Material(
        f"{place}: certificate-authority", cluster.certificate_authority_data, cluster.certificate_authority
    )
    description: dict[str, Any] = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": b64encode(authority.read()).decode(),
        "proxy-url": cluster.proxy_url,
        "config": next(
            (extension.extension for extension in cluster.extensions or () if extension.name == _PLUGIN_CONFIG), None
        ),
    }
    return {key: value for key, value in description.items() if value}


def _server(place: str, server: str) -> str:
    """Return the normalized URL. Raises KubernetesError if it is not a URL."""
    try:
        url = urlsplit(server if "://" in server else f"https://{server}")
        if url.scheme in ("http", "https") and url.hostname and url.port != 0 and not (url.query or url.username):
            return url.geturl().rstrip("/")
    except ValueError:  # an invalid port, or a bracket that is not closed
        pass
    raise KubernetesError(f"{place}: server is {printable(server)}, wanted a URL: https://HOST:PORT")


def _proxy(place: str, configured: str, server: str, environment: Mapping[str, str]) -> str:
    proxy = configured or proxy_for(server, environment)
    if proxy and not proxy.startswith(("http://", "https://")):
        scheme = proxy.partition("://")[0]
        raise KubernetesError(f"{place}: a proxy of the kind {printable(scheme)}; wanted http:// or https://")
    return proxy
