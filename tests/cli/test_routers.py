"""The routes of a cluster for a router: BIRD and FRR read them, and a script makes those of a cloud network."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from podroutes.cli import main
from support.unpacked import over, packages_or_skip
from support.waiting import until

INVENTORY = """\
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00:8::20"], podCIDRs: [10.200.0.0/24, "fd00:200::/64"]}
- {name: "worker 1; #", internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""
MOVED = INVENTORY.replace("192.168.8.21", "192.168.8.99")
SHRUNK = "".join(INVENTORY.splitlines(keepends=True)[:2])
MISTYPED = INVENTORY.replace("10.200.1.0/24", "10.200.1.7/24")

# An emulator of the three gcloud commands that the script uses: routes are lines "NAME DST VIA" of a file.
GCLOUD = """\
#!/bin/sh
set -eu
[ "$1 $2" = "compute routes" ]
case $3 in
    list) cut -d' ' -f1 "$ROUTES" ;;
    create)
        ! grep -q "^$4 " "$ROUTES"
        printf '%s %s %s\\n' "$4" "${6#--destination-range=}" "${7#--next-hop-address=}" >>"$ROUTES"
        ;;
    delete) sed -i "/^$4 /d" "$ROUTES" ;;
esac
printf '%s\\n' "$3 $4" >>"$ROUTES.calls"
"""


@pytest.fixture
def rendered(tmp_path, capsys):
    """Return a function of a format and an inventory that returns the path of what `render` prints."""

    def render(form: str, text: str = INVENTORY, status: int = 0) -> Path:
        (tmp_path / "nodes.yaml").write_text(text)
        assert main(["render", form, "-i", str(tmp_path / "nodes.yaml")]) == status
        path = tmp_path / form
        path.write_text(capsys.readouterr().out)
        return path

    return render


def programs(name: str, directory: Path) -> list[str]:
    """Return the words that start a program of Debian's packages NAME."""
    return over(packages_or_skip(name), directory / "tree")


def test_bird_makes_the_routes_of_the_file(rendered, bare, tmp_path):
    words = programs("bird", tmp_path)
    for line in ("link set lo up", "link add eth0 type veth peer name far", "link set eth0 up", "link set far up"):
        subprocess.run(["ip", *line.split()], check=True)
    for address in ("192.168.8.1/24", "fd00:8::1/64"):
        subprocess.run(["ip", "addr", "add", address, "dev", "eth0", "nodad"], check=True)
    config = tmp_path / "bird.conf"
    kernel = "\n".join(f"protocol kernel {{ ipv{version} {{ export all; }}; }}" for version in (4, 6))
    config.write_text(f'router id 192.168.8.1;\nprotocol device {{}}\n{kernel}\ninclude "{rendered("bird")}";\n')
    daemon = subprocess.Popen([*words, "bird", "-f", "-c", str(config), "-s", str(tmp_path / "control")])

    def routes() -> set[str]:
        shown = [
            subprocess.run(
                ["ip", f"-{version}", "route", "show", "proto", "bird"], capture_output=True, text=True, check=True
            ).stdout
            for version in (4, 6)
        ]
        return {" ".join(line.split()[:3]) for line in "".join(shown).splitlines()}

    wanted = {
        "10.200.0.0/24 via 192.168.8.20",
        "10.200.1.0/24 via 192.168.8.21",
        "fd00:200::/64 via fd00:8::20",
    }
    try:
        until(lambda: routes() == wanted, "bird makes the routes")
    finally:
        daemon.kill()
        daemon.wait()


def test_frr_reads_the_file(rendered, bare, tmp_path):
    words = programs("frr", tmp_path)
    group = tmp_path / "tree/etc/group"  # FRR's package would add its own
    group.write_text(Path("/etc/group").read_text() + "frrvty:x:4242:root\n")
    path = rendered("frr")

    def complaint() -> str:
        checked = subprocess.run([*words, "vtysh", "-C", "-f", str(path)], capture_output=True, text=True, check=False)
        return checked.stdout + checked.stderr + f"status {checked.returncode}"

    assert complaint() == "status 0"
    assert "ip route 10.200.1.0/24 192.168.8.21" in path.read_text()
    path.write_text("ip route 10.200.1.0/24 nowhere-at-all-and-too-many words here\n")
    assert "Unknown command" in complaint()


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """Return a function that runs a script against the emulated cloud, and returns its routes and what was asked of it."""
    tool = tmp_path / "bin/gcloud"
    tool.parent.mkdir()
    tool.write_text(GCLOUD)
    tool.chmod(0o755)
    routes = tmp_path / "routes"
    routes.write_text("default-route-1 0.0.0.0/0 10.0.0.1\n")
    environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}", "ROUTES": str(routes)}

    def run(script: Path) -> tuple[set[str], list[str]]:
        (tmp_path / "routes.calls").write_text("")
        subprocess.run(["sh", str(script), "default"], env=environment, check=True)
        calls = [line.split()[0] for line in (tmp_path / "routes.calls").read_text().splitlines()]
        return {line.partition(" ")[2] for line in routes.read_text().splitlines()}, calls

    return run


BOTH = {"0.0.0.0/0 10.0.0.1", "10.200.0.0/24 192.168.8.20", "fd00:200::/64 fd00:8::20"}


def test_a_cloud_network_gets_the_routes_and_a_second_run_changes_nothing(rendered, cloud):
    routes, calls = cloud(rendered("gcloud"))
    assert routes == BOTH | {"10.200.1.0/24 192.168.8.21"}
    assert calls == ["list", "create", "create", "create"]
    assert cloud(rendered("gcloud")) == (routes, ["list"])


def test_a_moved_node_gets_its_new_route_before_the_old_one_goes(rendered, cloud):
    cloud(rendered("gcloud"))
    routes, calls = cloud(rendered("gcloud", MOVED))
    assert routes == BOTH | {"10.200.1.0/24 192.168.8.99"}
    assert calls == ["list", "create", "delete"]
    assert cloud(rendered("gcloud", SHRUNK))[0] == BOTH, "and others' routes stay"


def test_a_mistyped_podcidr_deletes_nothing(rendered, cloud):
    cloud(rendered("gcloud"))
    routes, calls = cloud(rendered("gcloud", MISTYPED, status=1))
    assert routes == BOTH | {"10.200.1.0/24 192.168.8.21"}
    assert calls == ["list"]


def test_an_inventory_without_podcidrs_is_an_error(rendered):
    rendered("gcloud", "nodes: [{name: a, internalIP: 192.168.8.20}]", status=1)


@pytest.mark.parametrize("options", [["--node", "worker-0"], ["--all"], ["--interface", "eth0"]])
def test_options_of_a_node_do_not_go_with_a_router(tmp_path, capsys, options):
    (tmp_path / "nodes.yaml").write_text(INVENTORY)
    assert main(["render", "bird", "-i", str(tmp_path / "nodes.yaml"), *options]) == 1
    assert "leave out --node, --all and --interface" in capsys.readouterr().err


def document(path: Path) -> dict:
    """Return the Terraform of a file: its JSON form is JSON."""
    return json.loads(path.read_text())


def test_terraform_has_a_route_of_a_google_network_for_each_ipv4_podcidr(rendered):
    found = document(rendered("terraform-google"))
    assert found["locals"]["podroutes"] == {
        "10.200.0.0/24": {"via": "192.168.8.20", "node": "worker-0"},
        "10.200.1.0/24": {"via": "192.168.8.21", "node": "worker 1; #"},
    }
    assert "1 of IPv6 left out" in found["//"]
    route = found["resource"]["google_compute_route"]["podroutes"]
    assert (route["dest_range"], route["next_hop_ip"]) == ("${each.key}", "${each.value.via}")
    assert "${each.value.via}" in route["name"], (
        "a moved node has a route of another name, made before the old one goes"
    )
    assert route["lifecycle"] == {"create_before_destroy": True}


def test_terraform_has_a_route_of_each_table_of_a_vpc_for_each_podcidr(rendered):
    found = document(rendered("terraform-aws"))
    assert set(found["locals"]["podroutes"]) == {"10.200.0.0/24", "10.200.1.0/24", "fd00:200::/64"}
    route = found["resource"]["aws_route"]["podroutes"]
    assert (
        route["network_interface_id"]
        == "${data.aws_network_interface.podroutes[local.podroutes[each.value.dst].via].id}"
    )
    assert found["data"]["aws_network_interface"]["podroutes"]["for_each"] == {
        "192.168.8.20": "addresses.private-ip-address",
        "192.168.8.21": "addresses.private-ip-address",
        "fd00:8::20": "ipv6-addresses.ipv6-address",
    }
    assert set(found["variable"]) == {"podroutes_vpc", "podroutes_route_tables"}
    assert "lifecycle" not in route


@pytest.mark.parametrize("form", ["terraform-google", "terraform-aws"])
def test_terraform_destroys_nothing_where_a_podcidr_is_mistyped_and_takes_no_name_for_a_template(rendered, form):
    found = document(rendered(form, MISTYPED, status=1))
    (kind,) = found["resource"].values()
    assert kind["podroutes"]["lifecycle"]["prevent_destroy"] is True
    assert "Not complete" in found["//"]
    named = document(rendered(form, INVENTORY.replace("worker 1; #", "${file(1)}%{x}")))
    assert named["locals"]["podroutes"]["10.200.1.0/24"]["node"] == "$${file(1)}%%{x}"
