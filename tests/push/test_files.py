"""``--persist`` over SSH: files that the machine's own tools have read, whole or not at all, confirmed like routes."""

import pytest

from push.test_confirmation import FIRST, QUICK
from push.test_push import ALL, logins, since
from support.waiting import until

HOOK = "/etc/network/if-up.d/podroutes"
PLACE = "rm -rf /etc/iproute2/rt_protos.d; mkdir -p /etc/network/if-up.d; printf 'auto ens18\\niface ens18 inet manual\\n' >/etc/network/interfaces"
PERSIST = ("--persist", "ifupdown")


@pytest.fixture
def machine(site):
    """Return what runs commands on worker-0, which has ifupdown."""
    site.on("worker-0", "sh", "-c", PLACE)
    yield lambda *words: site.on("worker-0", *words, check=False)
    site.on("worker-0", "sh", "-c", "rm -rf /etc/network /etc/netplan /etc/iproute2/rt_protos.d")


def left(machine):
    """Return every file in the places of ours, hidden ones too."""
    found = machine("find", "/etc/network/if-up.d", "/etc/iproute2/rt_protos.d", "/etc/netplan", "-type", "f")
    return sorted(line for line in found.splitlines() if line.startswith("/etc"))


def test_persist_writes_the_managers_file_and_a_second_push_nothing(site, machine):
    planned = site.push("plan", *FIRST, "--persist", "auto")
    assert [each["path"] for each in planned.nodes["worker-0"]["files"]] == [
        HOOK,
        "/etc/iproute2/rt_protos.d/podroutes.conf",
    ]
    assert left(machine) == []
    done = site.push("apply", *FIRST, *PERSIST)
    assert (done.status, done.nodes["worker-0"]["state"]) == (0, "applied")
    assert left(machine) == sorted(each["path"] for each in planned.nodes["worker-0"]["files"])
    assert machine("stat", "-c", "%a %u", HOOK) == "755 0"
    before = logins(site)
    assert site.push("apply", *FIRST).nodes["worker-0"]["in_sync"]
    assert since(site, before) == [1, 0, 0]
    site.on("worker-0", "ip", "route", "flush", "proto", "107")
    site.on("worker-0", "env", "IFACE=ens18", HOOK)
    assert site.routes("worker-0") == ALL["worker-0"]


def test_the_file_is_the_one_that_apply_writes(site, machine):
    site.push("apply", *FIRST, *PERSIST)
    pushed = machine("cat", HOOK)
    site.push("remove", *FIRST)
    python = f"{site.executable} -m podroutes apply --persist ifupdown -i {site.inventory} --node worker-0"
    site.on("worker-0", *python.split())
    assert machine("cat", HOOK) == pushed
    assert pushed


def test_remove_takes_files_away(site, machine):
    site.push("apply", *FIRST, *PERSIST)
    done = site.push("remove", *FIRST)
    assert (done.status, left(machine), site.routes("worker-0")) == (0, [], [])


def test_a_rollback_leaves_no_file(site, machine):
    site.gated("worker-0", "hang from 3")
    done = site.push("apply", *FIRST, *PERSIST, *QUICK)
    assert (done.nodes["worker-0"]["state"], left(machine), site.routes("worker-0")) == ("rolled-back", [], [])


def test_a_full_disk_is_found_before_anything_is_changed(site, machine):
    full = "mount -t tmpfs -o size=4k full /etc/network/if-up.d; head -c 4096 /dev/zero >/etc/network/if-up.d/other"
    site.again("worker-0", before=full)
    done = site.push("apply", *FIRST, *PERSIST)
    told = done.nodes["worker-0"]
    assert (done.status, told["state"], site.routes("worker-0"), left(machine)) == (1, "unchanged", [], [])
    assert "No space left on device; nothing was changed" in told["error"]


def test_a_disk_that_cannot_be_written_is_found_before_anything_is_changed(site, machine):
    read_only = "mount -t tmpfs full /etc/network/if-up.d; mount -o remount,ro /etc/network/if-up.d"
    site.again("worker-0", before=read_only)
    done = site.push("apply", *FIRST, *PERSIST)
    told = done.nodes["worker-0"]
    assert (done.status, told["state"], site.routes("worker-0")) == (1, "unchanged", [])
    assert "Read-only file system; nothing was changed" in told["error"]


NETPLAN = """mkdir -p /etc/netplan; chmod 755 /etc/netplan
cat >/etc/netplan/10-lan.yaml <<'YAML'
network:
  version: 2
  ethernets:
    ens18: {addresses: [192.168.8.20/24]}
YAML
"""


def test_with_netplan_routes_are_static_and_the_file_tells_whose(site, machine):
    site.on("worker-0", "sh", "-c", NETPLAN)
    site.on("worker-0", "rm", "-rf", "/etc/network")
    done = site.push("apply", *FIRST, "--persist", "auto")
    assert (done.status, done.nodes["worker-0"]["state"]) == (0, "applied")
    assert "proto static" in machine("ip", "route", "show", "10.200.1.0/24")
    assert "/etc/netplan/90-podroutes.yaml" in left(machine)
    assert site.push("plan", *FIRST).nodes["worker-0"]["in_sync"]
    site.gated("worker-0", "hang from 3")
    before = machine("cat", "/etc/netplan/90-podroutes.yaml")
    done = site.push("remove", *FIRST, *QUICK)
    assert done.nodes["worker-0"]["state"] == "rolled-back"
    assert "proto static" in machine("ip", "route", "show", "10.200.1.0/24")
    assert machine("cat", "/etc/netplan/90-podroutes.yaml") == before
    site.fault("worker-0", "")
    assert site.push("remove", *FIRST).status == 0
    assert machine("ip", "route", "show", "10.200.1.0/24") == ""
    assert left(machine) == ["/etc/netplan/10-lan.yaml"]


def test_a_first_netplan_file_goes_with_its_rollback(site, machine):
    site.on("worker-0", "sh", "-c", NETPLAN)
    site.gated("worker-0", "hang from 3")
    done = site.push("apply", *FIRST, "--persist", "netplan", *QUICK)
    assert done.nodes["worker-0"]["state"] == "rolled-back"
    assert left(machine) == ["/etc/netplan/10-lan.yaml"]
    until(lambda: machine("ip", "route", "show", "10.200.1.0/24") == "")


def test_what_the_machines_netplan_refuses_is_not_written(site, machine):
    site.on("worker-0", "sh", "-c", NETPLAN)
    tool = site.home / "tools"
    tool.mkdir()
    (tool / "netplan").write_text(
        "#!/bin/sh\ncat \"$3/etc/netplan/90-podroutes.yaml\" >/dev/null || exit\necho 'no good' >&2\nexit 1\n"
    )
    (tool / "netplan").chmod(0o755)
    site.again("worker-0", f"SetEnv=PATH={tool}:/usr/bin:/bin")
    told = site.push("apply", *FIRST, "--persist", "netplan").nodes["worker-0"]
    assert (told["state"], left(machine), site.routes("worker-0")) == ("unchanged", ["/etc/netplan/10-lan.yaml"], [])
    assert told["error"] == "its own tools refuse /etc/netplan/90-podroutes.yaml: no good"


def test_systemd_takes_podroutes_on_the_machine(site):
    done = site.push("plan", *FIRST, "--persist", "systemd")
    assert done.status == 1
    assert "which push does not install" in done.nodes["worker-0"]["error"]


def test_forwarding_is_written_down_without_a_manager(site, machine):
    done = site.push("apply", *FIRST, "--sysctl")
    assert (done.status, done.nodes["worker-0"]["state"]) == (0, "applied")
    assert "net.ipv4.ip_forward = 1" in machine("cat", "/etc/sysctl.d/90-podroutes.conf")
    assert site.push("plan", *FIRST).nodes["worker-0"]["in_sync"]
    assert site.push("remove", *FIRST).status == 0
    assert machine("ls", "/etc/sysctl.d/90-podroutes.conf") == ""


def test_the_administrators_own_line_is_named_and_not_doubled(site, machine):
    line = "up ip route add 10.200.1.0/24 via 192.168.8.21"
    site.on("worker-0", "sh", "-c", f"echo '{line}' >>/etc/network/interfaces")
    done = site.push("apply", *FIRST, *PERSIST)
    assert "10.200.1.0/24" not in machine("cat", HOOK)
    assert "10.200.2.0/24" in machine("cat", HOOK)
    (problem,) = [each for each in done.nodes["worker-0"]["problems"] if each["code"] == "also-configured"]
    assert "/etc/network/interfaces:3 makes 10.200.1.0/24" in problem["message"]
