"""Kubeconfig files, what they come to, and what is said when they do not do."""

import json
from textwrap import dedent

import pytest

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Identity
from podroutes.kubernetes.proxy import proxy_for
from podroutes.kubernetes.settings import connect

ONE = """\
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
contexts: [{name: here, context: {cluster: c, user: u}}, {name: there, context: {cluster: c2, user: u}}]
users: [{name: u, user: {token: first}}]
"""
OTHER = """\
current-context: there
clusters: [{name: c2, cluster: {server: "https://10.0.0.2:6443/"}}, {name: c, cluster: {server: "https://wrong"}}]
users: [{name: u, user: {token: second, username: x}}]
contexts: null
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="config"):
        path = tmp_path / name
        path.write_text(dedent(text))
        return str(path)

    return write


def config(user="{}", cluster='{server: "https://10.0.0.1:6443"}'):
    return f"""\
clusters: [{{name: c, cluster: {cluster}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
users: [{{name: u, user: {user}}}]
"""


def reached(write, **parts):
    return connect(write(config(**parts)), environment={})


def test_of_several_files_the_first_that_says_something_counts(write):
    paths = ":".join(["", write(ONE), "/nowhere/config", write(OTHER, "other")])
    access = connect(environment={"KUBECONFIG": paths})
    assert (access.server, access.credentials.identity()) == ("https://10.0.0.1:6443", Identity("Bearer first"))
    assert connect(context="there", environment={"KUBECONFIG": paths}).server == "https://10.0.0.2:6443"


def test_a_file_that_is_named_is_the_only_one(write):
    assert (
        connect(
            write(OTHER.replace("contexts: null", "contexts: [{name: there, context: {cluster: c2}}]")),
            environment={"KUBECONFIG": "/x"},
        ).server
        == "https://10.0.0.2:6443"
    )


def test_the_file_at_home_is_for_those_who_name_none(write, tmp_path):
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_text(ONE)
    assert (
        connect(environment={"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "1.2.3.4"}).server
        == "https://10.0.0.1:6443"
    )


def test_a_pod_has_a_service_account(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "ca.crt").write_text("PEM")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    access = connect(environment=environment, service_account=str(tmp_path))
    assert (access.server, access.authority.read(), access.verify) == ("https://[fd00::1]:443", b"PEM", True)
    assert access.credentials.identity() == Identity("Bearer abc")
    (tmp_path / "token").write_text("def\n")
    assert access.credentials.identity() == Identity("Bearer def")


def test_paths_are_relative_to_their_file(write, tmp_path):
    for name in ("ca", "cert", "key", "token"):
        (tmp_path / name).write_text(name)
    access = reached(
        write,
        user="{client-certificate: cert, client-key: key, tokenFile: token}",
        cluster='{server: "https://10.0.0.1:6443", certificate-authority: ca}',
    )
    assert access.credentials.identity() == Identity("Bearer token", b"cert", b"key")
    assert access.authority.read() == b"ca"


def test_data_counts_before_files(write):
    user = "{client-certificate: /x, client-certificate-data: Y2VydA==, client-key: /x, client-key-data: a2V5}"
    assert reached(write, user=user).credentials.identity() == Identity("", b"cert", b"key")


def test_everything_about_the_server(write):
    access = reached(
        write,
        cluster='{server: "10.0.0.1:6443/prefix/", insecure-skip-tls-verify: true, tls-server-name: n, proxy-url: "http://p:1"}',
    )
    assert (access.server, access.verify, access.server_name, access.proxy) == (
        "https://10.0.0.1:6443/prefix", False, "n", "http://p:1",
    )  # fmt: skip


def test_impersonation(write):
    user = "{as: jane, as-groups: [dev, ops], as-uid: '7', as-user-extra: {Acme/Scope: [a, b]}}"
    assert reached(write, user=user).headers == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-acme%2Fscope", "a"),
        ("Impersonate-Extra-acme%2Fscope", "b"),
    )


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"user": "{as-groups: [dev]}"}, "without as"),
        ({"user": "{auth-provider: {name: gcp}}"}, "auth-provider was removed .* exec plugin"),
        ({"cluster": "{}"}, r'context "x": server is "", wanted a URL'),
        ({"cluster": "{server: 'ftp://x'}"}, "wanted a URL"),
        ({"cluster": "{server: 'https://x:99999'}"}, "wanted a URL"),
        ({"cluster": "{server: 'https://x', proxy-url: 'socks5://p'}"}, 'a proxy of the kind "socks5"'),
        ({"user": "{token: 123}"}, "is not a kubeconfig: Expected `str`, got `int`"),
        (
            {"user": "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}"},
            "wanted client.authentication.k8s.io/v1 or",
        ),
        ({"user": "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1}}"}, "no interactiveMode"),
        ({"user": "{exec: {apiVersion: client.authentication.k8s.io/v1}}"}, "no command"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_file(write, parts, words):
    with pytest.raises(KubernetesError, match=rf"^kubeconfig /\S+/config: .*{words}") as caught:
        reached(write, **parts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("{client-certificate-data: Y2VydA==}", "a client-certificate but no client-key"),
        ("{client-key-data: Y2VydA==}", "a client-key but no client-certificate"),
        (
            "{client-certificate: missing, client-key: missing}",
            "client-certificate: /.*/missing cannot be read: No such file",
        ),
        ("{client-certificate-data: '!', client-key-data: '!'}", "client-certificate-data is not base64"),
        ("{tokenFile: missing}", "tokenFile: /.*/missing cannot be read"),
        ('{token: "a\\nb"}', "token: is not a bearer token"),
    ],
)
def test_an_identity_that_cannot_be_told_is_one_line(write, user, words):
    credentials = reached(write, user=user).credentials
    with pytest.raises(KubernetesError, match=f'^kubeconfig .*: context "x": {words}'):
        credentials.identity()


@pytest.mark.parametrize(
    ("text", "context", "words"),
    [
        (
            ONE.replace("current-context: here", ""),
            None,
            r'no current-context; choose with --context \(there are: "here" and "there"\)',
        ),
        (ONE, "nowhere", 'no context "nowhere"; choose with --context'),
        (ONE, "there", 'its cluster "c2" is not in the file'),
        (ONE.replace("name: u,", "name: v,"), None, 'its user "u" is not in the file'),
        ("{", None, ":2: is not valid YAML"),
        ("x:\n\t- y", None, "is not valid YAML"),
        ("[]", None, "is not a kubeconfig"),
        ("", None, "no current-context"),
        ("clusters: 7", None, "is not a kubeconfig"),
    ],
)
def test_files_and_contexts_that_do_not_do(write, text, context, words):
    with pytest.raises(KubernetesError, match=f"^kubeconfig .*{words}"):
        connect(write(text), context, environment={})


def test_a_cluster_that_nobody_names_is_one_line(tmp_path):
    for environment, words in (
        ({}, "no kubeconfig and no pod"),
        ({"KUBECONFIG": "/nowhere/a:/nowhere/b"}, "KUBECONFIG is .* no such file"),
    ):
        with pytest.raises(KubernetesError, match=words):
            connect(environment=environment)
    with pytest.raises(KubernetesError, match="there is no such file"):
        connect(str(tmp_path / "missing"), environment={})


PROXY = {"HTTPS_PROXY": "proxy:3128"}


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("https://api.example:6443", PROXY, "http://proxy:3128"),
        ("https://api.example:6443", {"https_proxy": "http://low:1"}, "http://low:1"),
        ("http://api.example", PROXY, ""),
        ("https://127.0.0.1:6443", PROXY, ""),
        ("https://localhost:6443", PROXY, ""),
        ("https://10.1.2.3:6443", PROXY | {"NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3:6443", PROXY | {"NO_PROXY": "10.0.0.0/8, 11.1.2.4"}, "http://proxy:3128"),
        ("https://[fd00::1]:6443", PROXY | {"NO_PROXY": "fd00::/8"}, ""),
        ("https://api.example:6443", PROXY | {"NO_PROXY": "example"}, ""),
        ("https://api.example:6443", PROXY | {"NO_PROXY": ".api.example"}, "http://proxy:3128"),
        ("https://api.example:6443", PROXY | {"NO_PROXY": "xample"}, "http://proxy:3128"),
        ("https://api.example:6443", PROXY | {"no_proxy": "API.example:6443"}, ""),
        ("https://api.example:6443", PROXY | {"NO_PROXY": "api.example:443"}, "http://proxy:3128"),
        ("https://api.example:6443", PROXY | {"NO_PROXY": "*"}, ""),
    ],
)
def test_which_proxy_the_environment_names(server, environment, proxy):
    assert proxy_for(server, environment) == proxy


PLUGIN = """\
#!/bin/sh
echo run >> "$0.runs"
printf '%s' "$KUBERNETES_EXEC_INFO" > "$0.info"
cat "$0.answer"
exit "${STATUS:-0}"
"""


class Plugin:
    """A plugin that is a real program, and the kubeconfig that names it."""

    def __init__(self, write, directory, **more):
        self.program = directory / "plugin"
        self.program.write_text(PLUGIN)
        self.program.chmod(0o755)
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "interactiveMode": "Never",
        } | more
        cluster = '{server: "https://10.0.0.1:6443", certificate-authority-data: Y2E=, extensions: [{name: client.authentication.k8s.io/exec, extension: {a: 1}}]}'
        self.credentials = connect(write(config(json.dumps({"exec": plugin}), cluster)), environment={}).credentials

    def answer(self, version="client.authentication.k8s.io/v1", **status):
        """Have it print this status."""
        document = {"apiVersion": version, "kind": "ExecCredential", "status": status}
        self.program.with_name("plugin.answer").write_text(json.dumps(document))
        return self

    @property
    def runs(self):
        """How often it was run."""
        return self.program.with_name("plugin.runs").read_text().count("run")

    @property
    def info(self):
        """Return what it was told."""
        return json.loads(self.program.with_name("plugin.info").read_text())


def test_a_plugin_says_who_asks_until_that_expires_or_is_refused(write, tmp_path):
    plugin = Plugin(write, tmp_path).answer(token="one", expirationTimestamp="2999-01-01T00:00:00Z")  # noqa: S106  no secret
    for _ in range(3):
        assert plugin.credentials.identity() == Identity("Bearer one")
    assert plugin.runs == 1
    plugin.answer(token="two", expirationTimestamp="2001-01-01T00:00:00Z")  # noqa: S106  no secret
    assert plugin.credentials.refused()
    for runs in (2, 3):
        assert plugin.credentials.identity() == Identity("Bearer two")
        assert plugin.runs == runs


def test_a_plugin_may_give_a_certificate(write, tmp_path):
    plugin = Plugin(write, tmp_path).answer(clientCertificateData="C", clientKeyData="K")
    assert plugin.credentials.identity() == Identity("", b"C", b"K")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_is_told_what_it_asks_for(write, tmp_path, version):
    version = f"client.authentication.k8s.io/{version}"
    plugin = Plugin(write, tmp_path, apiVersion=version, provideClusterInfo=True).answer(version, token="x")  # noqa: S106  no secret
    plugin.credentials.identity()
    assert plugin.info == {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {"server": "https://10.0.0.1:6443", "certificate-authority-data": "Y2E=", "config": {"a": 1}},
        },
    }


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"env": [{"name": "STATUS", "value": "3"}]}, {"token": "x"}, "failed with status 3"),
        (
            {"command": "./none", "installHint": "get it\nthere"},
            {},
            "cannot be run: No such file or directory; get it there",
        ),
        ({"interactiveMode": "Always"}, {"token": "x"}, "there is no terminal"),
        ({}, {"version": "v9", "token": "x"}, 'it printed "v9 ExecCredential", wanted client'),
        ({}, {}, "neither a token nor"),
        ({}, {"clientKeyData": "K", "token": "x"}, "neither a token nor"),
        ({}, {"token": 7}, "what it printed is not an ExecCredential"),
    ],
)
def test_a_plugin_that_does_not_do_is_one_line(write, tmp_path, monkeypatch, *, more, status, words):
    monkeypatch.setattr("sys.stdin", None)
    plugin = Plugin(write, tmp_path, **more).answer(**status)
    with pytest.raises(KubernetesError, match=f'^kubeconfig .*: context "x": exec plugin .*: .*{words}'):
        plugin.credentials.identity()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exec yes", "printed more than 1 MiB"),
        ("exec yes >&2", "has not answered for 0 s"),
        ("sleep 60 & echo; exit", "has not answered for 0 s"),
        ("exec >&- 2>&-; exec sleep 60", "has not ended for 0 s"),
    ],
)
def test_a_plugin_without_an_end_is_ended(write, tmp_path, monkeypatch, script, words):
    if words.endswith("0 s"):
        monkeypatch.setattr("podroutes.kubernetes.plugin._LIMIT", 0.3)
    plugin = Plugin(write, tmp_path)
    plugin.program.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(KubernetesError, match=words):
        plugin.credentials.identity()


def test_aliases_that_stand_for_a_billion_are_refused(write):
    laughs = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 10))
    path = write(f"l0: &l0 [lol]\n{laughs}")
    with pytest.raises(KubernetesError, match="has more than 200,000 values, once its YAML aliases are followed"):
        connect(path, environment={})


def test_a_kubeconfig_without_an_end_is_refused():
    with pytest.raises(KubernetesError, match="kubeconfig /dev/zero: is larger than 4 MiB, and no kubeconfig is"):
        connect("/dev/zero", environment={})
