"""The commands, with a cluster for their inventory."""

import os

import pytest

from kubernetes.speaking import Say, Script, node, page, serving
from podroutes import cli

CONFIG = """\
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
contexts: [{{name: x, context: {{cluster: c}}}}, {{name: other, context: {{cluster: none}}}}]
current-context: x
"""
NODES = page(node("a", "10.200.0.0/24", "192.168.8.20"), node("b", "10.200.1.0/24", "192.168.8.21"))


@pytest.fixture
def kubeconfig(tmp_path):
    with serving(Script(Say(body=NODES))) as script:
        path = tmp_path / "config"
        path.write_text(CONFIG.format(url=script.url))
        yield str(path)


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def run(words):
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(cli.main(words.split()))
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_plan_from_a_cluster(run, kubeconfig):
    code, out, _ = run(f"plan --all --kubernetes --kubeconfig {kubeconfig} --interface ens18")
    assert code == 2
    assert "10.200.1.0/24 via 192.168.8.21 dev ens18" in out


def test_kubeconfig_of_the_environment(run, kubeconfig, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    assert run("plan --all --kubernetes --interface ens18")[0] == 2


def test_the_next_boot_asks_the_same_cluster(run, kubeconfig, monkeypatch):
    monkeypatch.chdir("/")
    words = f"render systemd --interface ens18 --kubernetes --kubeconfig {kubeconfig.lstrip('/')} --context x"
    code, out, _ = run(f"{words} --node a")
    assert code == 0
    assert "--kubernetes --kubeconfig /etc/podroutes/kubeconfig --context x --node a" in out, (
        "another machine has its own"
    )
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Linux", "a", "6.1", "1", "x86_64")))
    code, out, _ = run(words)
    assert code == 0
    assert f"--kubernetes --kubeconfig {kubeconfig} --context x --node a" in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--kubernetes -i x", "--inventory and --kubernetes: wanted one source"),
        ("--context x -i x", "--inventory and --context: wanted one source"),
        ("--context x", "--context without --kubernetes"),
        ("--kubeconfig x", "--kubeconfig without --kubernetes"),
        ("--kubernetes --kubeconfig /nowhere/x", "kubeconfig /nowhere/x: there is no such file"),
        ("", "no inventory"),
    ],
)
def test_what_cannot_be_meant_is_one_line(run, words, complaint):
    code, out, err = run(f"plan --all {words}")
    assert (code, out) == (1, "")
    assert err.startswith(f"podroutes: {complaint}")
    assert err.count("\n") == 1
