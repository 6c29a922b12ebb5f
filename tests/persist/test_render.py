"""What `render` prints for the seed's cluster is held by golden files, IPv4 and dual-stack, one for each format."""

import io
from pathlib import Path

import pytest
import yaml

from podroutes.cli import main
from podroutes.model.persisted import PersistedRoute, RenderContext
from podroutes.persist import BACKENDS, backend
from podroutes.persist.file_format import recorded
from support.notation import route

GOLDEN = Path(__file__).parent / "golden"
INVENTORIES = {
    "seed": """\
192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24
192.168.8.21 worker-1.kubernetes.local worker-1 10.200.1.0/24
192.168.8.22 worker-2.kubernetes.local worker-2 10.200.2.0/24
""",
    "dual": """\
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00::20"], podCIDRs: [10.200.0.0/24, "fd00:10:200::/64"], interface: ens18}
- {name: worker-1, internalIPs: [192.168.8.21, "fd00::21"], podCIDRs: [10.200.1.0/24, "fd00:10:201::/64"], interface: ens18}
- {name: worker-2, internalIPs: [192.168.8.22, "fd00::22"], podCIDRs: [10.200.2.0/24, "fd00:10:202::/64"], interface: ens18}
""",
}
# worker-0's file in the tutorial, as far as it is about routes.
TUTORIAL = """\
network:
  ethernets:
    ens18:
      routes:
      - to: 10.200.1.0/24
        via: 192.168.8.21
      - to: 10.200.2.0/24
        via: 192.168.8.22
  version: 2
"""


@pytest.fixture
def rendered(tmp_path, capsys, monkeypatch):
    """Render FORMAT for worker-0 of an inventory, with whatever else the command line shall have."""
    monkeypatch.chdir(tmp_path)

    def render(form, inventory="seed", *words, status=0):
        Path("nodes").write_text(INVENTORIES[inventory])
        which = [] if "--all" in words else ["--node", "worker-0"]
        assert main(["render", form, "-i", "nodes", "--interface", "ens18", *which, *words]) == status
        return capsys.readouterr().out.replace(str(tmp_path), "")

    return render


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize("form", ["ip", *BACKENDS])
def test_the_text_is_the_golden_one(rendered, form, inventory):
    assert rendered(form, inventory) == (GOLDEN / f"{inventory}.{form}").read_text()


def test_netplan_carries_exactly_the_routes_of_the_tutorial(rendered):
    assert yaml.safe_load(rendered("netplan")) == yaml.safe_load(TUTORIAL)


def test_all_writes_each_nodes_files_where_they_would_be(rendered):
    out = rendered("netplan", "seed", "--all", "--directory", "out")
    assert out.splitlines() == [f"out/worker-{number}/etc/netplan/90-podroutes.yaml" for number in range(3)]
    written = Path("out/worker-0/etc/netplan/90-podroutes.yaml")
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text() == rendered("netplan")


@pytest.mark.parametrize("name", [name for name in BACKENDS if backend(name).ROUTE])
def test_what_is_written_can_be_read_back(name):
    """Whose a route is can hang on it: destination, next hop, metric and device come back as they are in the kernel."""
    routes = [
        route("10.200.1.0/24 via 192.168.8.21 dev ens18"),
        route("10.200.2.0/24 via 192.168.8.22 dev ens18 metric 300"),
        route("fd00:10:201::/64 via fd00::21 dev ens18"),
        route("fd00:10:202::/64 via fd00::22 dev ens18 metric 7"),
    ]
    chosen = backend(name)
    (file,) = chosen.render(
        [PersistedRoute(each, "w\\\n1 # to: 10.9.9.0/24 dev x") for each in routes],
        RenderContext({"ens18": chosen.away("ens18")}),
    )
    assert list(recorded(chosen.ROUTE, file.text)) == [((each.dst, each.via, each.metric), "ens18") for each in routes]


def test_a_device_that_is_not_known_is_asked_for(tmp_path, capsys):
    (tmp_path / "nodes").write_text(INVENTORIES["seed"])
    assert main(["render", "networkd", "-i", str(tmp_path / "nodes"), "--node", "worker-0"]) == 1
    assert "name it with --interface" in capsys.readouterr().err


def test_a_device_name_made_to_be_misread_is_refused(rendered, capsys):
    Path("nodes").write_text(INVENTORIES["seed"])
    assert main(["render", "ifupdown", "-i", "nodes", "--node", "worker-0", "--interface", "x)\nreboot;"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_unit_for_another_machine_has_no_path_of_this_one(rendered, tmp_path):
    text = rendered("systemd")
    assert "ExecStart=podroutes apply --inventory /etc/podroutes/nodes --node worker-0\n" in text
    assert str(tmp_path) not in text


def test_the_inventory_from_standard_input_lies_elsewhere_under_a_name_of_its_own(rendered, capsys, monkeypatch):
    data = io.TextIOWrapper(io.BytesIO(INVENTORIES["seed"].encode()))
    monkeypatch.setattr("sys.stdin", data)
    assert main(["render", "systemd", "-i", "-", "--node", "worker-0"]) == 0
    assert "--inventory /etc/podroutes/inventory " in capsys.readouterr().out


def test_all_nodes_on_standard_output_are_told_apart(rendered):
    out = rendered("netplan", "seed", "--all")
    parts = out.split("---\n")[1:]
    assert [part.splitlines()[0] for part in parts] == ["# worker-0", "# worker-1", "# worker-2"]
    assert parts[0].removeprefix("# worker-0\n") == rendered("netplan")


@pytest.mark.parametrize(
    "word", ["a\nExecStartPost=reboot", "tab\there", 'q"uote', "100%", "$HOME", "a b", "back\\slash"]
)
def test_a_word_of_the_command_is_one_line_and_one_word_of_the_unit(word):
    (unit, _) = backend("systemd").render([], RenderContext({}, ("podroutes", word)))
    (line,) = [line for line in unit.text.splitlines() if line.startswith("Exec")]
    assert line.startswith("ExecStart=podroutes ")
    quoted = line.removeprefix("ExecStart=podroutes ").strip('"')
    plain = quoted.replace("%%", "%").replace("$$", "$").encode().decode("unicode_escape")
    assert plain == word
