"""Reads, merges and resolves kubeconfig files as kubectl does. Only ``read`` does I/O.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from podroutes.errors import KubernetesError
from podroutes.model.text import escaped, listing, printable

_LARGEST = 4 << 20  # bytes; a cluster and its user take 6 KB
_MOST = 200_000  # values in a file


class Extension(msgspec.Struct):
    """An extension, in which other programs keep data."""

    name: str = ""
    extension: Any = None


class Cluster(msgspec.Struct, rename="kebab"):
    """A cluster entry: server and certificate authority."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[Extension] | None = None


class Variable(msgspec.Struct):
    """An environment variable of an exec plugin."""

    name: str
    value: str = ""


class Plugin(msgspec.Struct, rename="camel"):
    """An exec credential plugin."""

    command: str = ""
    api_version: str = ""
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: Literal["", "Never", "IfAvailable", "Always"] = ""


class User(msgspec.Struct, rename="kebab"):
    """A user entry."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    impersonate: str = msgspec.field(default="", name="as")
    impersonate_uid: str = msgspec.field(default="", name="as-uid")
    impersonate_groups: list[str] | None = msgspec.field(default=None, name="as-groups")
    impersonate_extra: dict[str, list[str]] | None = msgspec.field(default=None, name="as-user-extra")
    auth_provider: Any = None
    exec: Plugin | None = None


class Context(msgspec.Struct):
    """A context: a cluster and a user."""

    cluster: str = ""
    user: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: Cluster | None = None


class _NamedUser(msgspec.Struct):
    name: str
    user: User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: Context | None = None


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current_context: str = ""


class Config(NamedTuple):
    """The merged content of one or more files. Paths are absolute or relative to the working directory."""

    origin: str  # its name in messages
    clusters: dict[str, Cluster]
    users: dict[str, User]
    contexts: dict[str, Context]
    current: str = ""


class Choice(NamedTuple):
    """One context of a Config. ``place`` is its name in messages."""

    place: str
    cluster: Cluster
    user: User


def read(paths: Sequence[str], *, missing_ok: bool) -> Config:
    """Read and merge the files at PATHS. With MISSING_OK, files that do not exist are skipped. Raises KubernetesError."""
    configs = []
    for path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123, pathlib costs 5 ms to import
                text = file.read(_LARGEST + 1)
        except FileNotFoundError:
            if missing_ok:
                continue
            raise KubernetesError(f"kubeconfig {escaped(path)}: there is no such file") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a path"
            raise KubernetesError(f"kubeconfig {escaped(path)}: cannot be read: {why}") from None
        if len(text) > _LARGEST:
            raise KubernetesError(
                f"kubeconfig {escaped(path)}: is larger than {_LARGEST >> 20} MiB, and no kubeconfig is"
            )
        configs.append(parse(text, path))
    return merge(configs)


def parse(text: bytes, path: str) -> Config:
    """Parse TEXT, the content of the file at PATH. Raises KubernetesError."""
    import yaml  # noqa: PLC0415, a pod has a service account and no kubeconfig

    origin = f"kubeconfig {escaped(path)}"
    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506, both are safe loaders
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise KubernetesError(f"{origin}{line}: is not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise KubernetesError(f"{origin}: is not valid YAML") from None
    try:
        file = msgspec.convert(_pruned(document, [_MOST]), _File)
    except (OverflowError, RecursionError):
        raise KubernetesError(f"{origin}: has more than {_MOST:,} values, once its YAML aliases are followed") from None
    except msgspec.ValidationError as error:
        raise KubernetesError(f"{origin}: is not a kubeconfig: {escaped(str(error))}") from None
    base = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120, see above
    return Config(
        origin,
        _first((one.name, _cluster(one.cluster or Cluster(), base)) for one in file.clusters or ()),
        _first((one.name, _user(one.user or User(), base)) for one in file.users or ()),
        _first((one.name, one.context or Context()) for one in file.contexts or ()),
        file.current_context,
    )


def merge(configs: Sequence[Config]) -> Config:
    """Merge CONFIGS. The first file that sets a name or value wins, as a whole."""
    return Config(
        " and ".join([config.origin for config in configs]) or "kubeconfig",
        _first(item for config in configs for item in config.clusters.items()),
        _first(item for config in configs for item in config.users.items()),
        _first(item for config in configs for item in config.contexts.items()),
        next((config.current for config in configs if config.current), ""),
    )


def choose(config: Config, context: str | None) -> Choice:
    """Return the cluster and user of CONTEXT, or of the current context. Raises KubernetesError."""
    name = context or config.current
    known = listing([printable(candidate) for candidate in config.contexts]) or "none"
    if not name:
        raise KubernetesError(f"{config.origin}: no current-context; choose with --context (there are: {known})")
    found = config.contexts.get(name)
    if found is None:
        raise KubernetesError(
            f"{config.origin}: no context {printable(name)}; choose with --context (there are: {known})"
        )
    place = f"{config.origin}: context {printable(name)}"
    cluster = config.clusters.get(found.cluster)
    if cluster is None:
        raise KubernetesError(f"{place}: its cluster {printable(found.cluster)} is not in the file; add it to clusters")
    user = config.users.get(found.user) if found.user else User()
    if user is None:
        raise KubernetesError(f"{place}: its user {printable(found.user)} is not in the file; add it to users")
    return Choice(place, cluster, user)


def _cluster(cluster: Cluster, base: str) -> Cluster:
    return msgspec.structs.replace(cluster, certificate_authority=_beside(base, cluster.certificate_authority))


def _user(user: User, base: str) -> User:
    plugin = user.exec
    if plugin and "/" in plugin.command:  # otherwise it is searched on PATH
        plugin = msgspec.structs.replace(plugin, command=_beside(base, plugin.command))
    return msgspec.structs.replace(
        user,
        client_certificate=_beside(base, user.client_certificate),
        client_key=_beside(base, user.client_key),
        token_file=_beside(base, user.token_file),
        exec=plugin,
    )


def _beside(base: str, path: str) -> str:
    return os.path.join(base, path) if path else ""  # noqa: PTH118, see above


def _first(items: Any) -> dict[str, Any]:
    first: dict[str, Any] = {}
    for name, value in items:
        first.setdefault(name, value)
    return first


def _pruned(value: Any, left: list[int]) -> Any:
    """Return VALUE without keys that are null: kubectl writes an empty list as `users: null`.

    LEFT is the remaining limit of values: an alias can expand to a billion. Raises OverflowError if there are more.
    """
    left[0] -= 1
    if left[0] < 0:
        raise OverflowError
    if isinstance(value, dict):
        return {key: _pruned(each, left) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_pruned(each, left) for each in value if each is not None]
    return {} if value is None else value
