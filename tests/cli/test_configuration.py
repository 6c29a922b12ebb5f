"""An option on the command line counts before the environment, that before the user's file, that before the machine's."""

import json
import os
import stat
import subprocess

import pytest

from podroutes.cli import config_file, main
from podroutes.cli.parser import arguments, build_parser, subcommands
from support.users import unprivileged

NODES = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a function that writes the user's file, and one that writes the machine's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(config_file, "SYSTEM", str(tmp_path / "etc.conf"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "podroutes").mkdir()
    (tmp_path / "nodes.yaml").write_text(NODES)
    return tmp_path


@pytest.fixture
def say(capsys):
    def run(*words):
        return main(list(words)), *capsys.readouterr()

    return run


def user(home, text):
    (home / "podroutes/podroutes.conf").write_text(text)


def machine(home, text):
    (home / "etc.conf").write_text(text)


def all_options(parser):
    for action in arguments(parser):
        yield from (name[2:] for name in action.option_strings if name.startswith("--"))
    for command in subcommands(parser).values():
        yield from all_options(command)


def test_a_file_can_set_every_option_but_decisions_about_one_run():
    found = set(all_options(build_parser())) - {"version"}
    assert found - config_file.ONCE == config_file.OPTIONS
    assert found >= config_file.ONCE


def test_the_order_is_option_environment_user_machine(home, say, monkeypatch):
    machine(home, "inventory = nodes.yaml\nnode = worker-0\noutput = json\n")
    assert json.loads(say("plan", "--all")[1])["nodes"][0]["node"] == "worker-0"
    user(home, "# mine\n\n; and this\noutput = 'text'\n")
    assert say("plan", "--all")[1].startswith("worker-0\n")
    monkeypatch.setenv("PODROUTES_OUTPUT", "json")
    assert say("plan", "--all")[1].startswith("{")
    assert say("plan", "--all", "-o", "text")[1].startswith("worker-0\n")


def test_a_source_that_is_named_replaces_one_that_counts_less(home, say, monkeypatch):
    machine(home, "inventory = nowhere.yaml\n")
    assert "nowhere.yaml" in say("plan", "--all")[2]
    assert "kubeconfig nowhere.conf" in say("plan", "--kubernetes", "--kubeconfig", "nowhere.conf")[2]
    machine(home, "kubernetes = true\nkubeconfig = nowhere.conf\n")
    assert "kubeconfig nowhere.conf" in say("plan", "--all")[2]
    assert say("plan", "--all", "-i", "nodes.yaml")[0] == 2
    monkeypatch.setenv("PODROUTES_INVENTORY", "nodes.yaml")
    assert say("plan", "--all")[0] == 2
    assert "kubeconfig nowhere.conf" in say("plan", "--kubernetes", "--kubeconfig", "nowhere.conf")[2]
    assert "wanted one source" in say("plan", "--kubernetes", "-i", "nodes.yaml")[2]


def test_node_name_counts_before_a_file(home, say, monkeypatch, worker):
    machine(home, "inventory = nodes.yaml\nnode = worker-1\n")
    assert json.loads(say("plan", "-o", "json")[1])["node"] == "worker-1"
    monkeypatch.setenv("NODE_NAME", "worker-0")
    assert json.loads(say("plan", "-o", "json")[1])["node"] == "worker-0"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("inventroy = x", 'etc.conf:2: "inventroy" is not an option; did you mean inventory? (see `podroutes config`)'),
        ("inventory", 'etc.conf:2: "inventory": wanted OPTION = VALUE, such as inventory = /etc/podroutes/nodes.yaml'),
        ("yes = true", "etc.conf:2: yes is a decision about one run: give --yes on the command line"),
        ("allow-mass-delete = all", "etc.conf:2: allow-mass-delete is a decision about one run"),
        ("output = yam", "etc.conf:2: output is 'yam'; it can be text, json, yaml"),
        ("all = perhaps", "etc.conf:2: all is 'perhaps'; it can be 1 or 0"),
        ("pod-cidr = 10.200.1.7/24", "etc.conf:2: pod-cidr: "),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(home, say, line, said):
    machine(home, f"\n{line}\n")
    status, out, err = say("plan", "-i", "nodes.yaml", "--all")
    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_that_is_named_has_to_be_there_and_may_be_several(home, say, monkeypatch):
    monkeypatch.setenv("PODROUTES_CONFIG", "nowhere.conf")
    assert "PODROUTES_CONFIG names nowhere.conf, and there is no such file" in say("plan")[2]
    (home / "a").write_text("node = worker-1\n")
    (home / "b").write_text("node = worker-0\ninventory = nodes.yaml\n")
    monkeypatch.setenv("PODROUTES_CONFIG", "a:b")
    assert {name: each.value for name, each in config_file.read().items()} == {
        "node": "worker-1",
        "inventory": "nodes.yaml",
    }
    monkeypatch.setenv("PODROUTES_CONFIG", "")
    assert config_file.read() == {}


def test_a_file_that_another_user_can_write_is_not_used(home, say):
    user(home, "inventory = nodes.yaml\n")
    path = home / "podroutes/podroutes.conf"
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    status, out, err = say("plan", "--all")
    assert (status, out) == (1, "")
    assert "another user can write it" in err


def test_config_tells_what_is_set_where_and_what_counts_before_it(home, say, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PODROUTES_")]:
        monkeypatch.delenv(name)
    machine(home, "node = worker-0\ninventory = nodes.yaml\noutput = text\n")
    user(home, "node = worker-1\n")
    monkeypatch.setenv("PODROUTES_OUTPUT", "text")
    own = home / "podroutes/podroutes.conf"
    etc = home / "etc.conf"
    assert say("config")[1].splitlines() == [
        "PODROUTES_OUTPUT=text  --output",
        f"{own}:1: node = worker-1",
        f"{etc}:1: node = worker-0  ({own}:1 counts before it)",
        f"{etc}:2: inventory = nodes.yaml",
        f"{etc}:3: output = text  (PODROUTES_OUTPUT counts before it)",
    ]
    files = json.loads(say("config", "-o", "json")[1])["files"]
    assert [each["path"] for each in files] == [str(own), str(etc)]
    assert files[0]["options"] == [{"option": "--node", "value": "worker-1", "place": f"{own}:1", "replaced_by": None}]


def test_the_home_of_another_user_has_no_file_of_ours(tmp_path, readable, python):
    """As after setpriv(1), and for the root of a user namespace: HOME is what it was, and may not be looked into."""
    tmp_path.chmod(0o700)
    words = [*unprivileged(), python, "-m", "podroutes", "config"]
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(readable), "PATH": os.environ["PATH"]}
    done = subprocess.run(words, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
