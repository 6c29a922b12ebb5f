"""From the first apply to remove, on machines with real managers: one plan of kernel and files, and nothing left behind."""

from pathlib import Path

import pytest

from persist.machine import INVENTORY, MACHINES, SEED
from persist.managers import Ifupdown, NetplanNetworkd, Networkd, NetworkManager

OURS = {
    "networkd": "/etc/systemd/network/20-lan.network.d/50-podroutes.conf",
    "netplan": "/etc/netplan/90-podroutes.yaml",
    "networkmanager": "/etc/NetworkManager/dispatcher.d/50-podroutes",
    "ifupdown": "/etc/network/if-up.d/podroutes",
    "systemd": "/etc/systemd/system/podroutes.service",
}
KINDS = {
    "networkd": Networkd,
    "netplan": NetplanNetworkd,
    "networkmanager": NetworkManager,
    "ifupdown": Ifupdown,
    "systemd": Networkd,
}
WANTS = "/etc/systemd/system/multi-user.target.d/50-podroutes.conf"
FORWARDS = Path("/proc/sys/net/ipv4/ip_forward")  # of the network namespace that we are in
NAME = "/etc/iproute2/rt_protos.d/podroutes.conf"


@pytest.fixture
def booted(machine):
    """Boot the machine with a manager of the kind."""

    def boot(kind):
        manager = kind(machine)
        manager.configure()
        manager.boot()
        return manager

    return boot


@pytest.mark.parametrize("backend", KINDS)
def test_what_apply_writes_remove_takes_back(machine, booted, backend):
    booted(KINDS[backend])
    before = machine.files()
    kept = [OURS[backend], WANTS] if backend == "systemd" else [OURS[backend]]
    assert machine.json("plan", "--persist", backend)["files"] == [
        *({"action": "create", "path": path, "backend": backend} for path in kept),
        {"action": "create", "path": NAME, "backend": None},
    ]
    assert (machine.files(), machine.routes()) == (before, []), "a plan touches nothing"
    machine.podroutes("apply", "--persist", backend, "--sysctl")
    assert "ip_forward = 1" in machine.read("/etc/sysctl.d/90-podroutes.conf")
    written = machine.stamps()
    assert machine.podroutes("apply", "--persist", backend).startswith(
        "Apply complete: 0 added, 0 replaced, 0 deleted, 2 unchanged."
    )
    assert machine.stamps() == written, "a run that changes nothing writes nothing"
    assert [each["survives_reboot"] for each in machine.json("show")["routes"]] == [True, True]

    machine.write(INVENTORY, "".join(MACHINES.splitlines(keepends=True)[:2]))  # worker-2 has left
    plan = machine.podroutes("plan", status=2)
    assert "  - 10.200.2.0/24 via 192.168.8.22 dev ens18  not wanted\n" in plan
    assert (f"  ~ {OURS[backend]}  {backend}\n" in plan) == (backend != "systemd"), (
        "its routes follow from the inventory"
    )
    machine.podroutes("apply")
    assert [route for route, _ in machine.routes()] == [SEED[0]]
    assert "10.200.2.0/24" not in machine.read(OURS[backend])
    assert machine.podroutes("plan").startswith("No changes.")

    there = (machine.files(), machine.routes())
    dry = machine.podroutes("remove", "--dry-run")
    assert f"1 to delete, 0 unchanged; {len(kept) + 2} files to change; 1 setting to change." in dry
    assert (machine.files(), machine.routes()) == there
    machine.podroutes("remove")
    assert (machine.files(), machine.routes()) == (before | {"etc/podroutes/nodes": machine.read(INVENTORY)}, [])
    assert machine.podroutes("show", status=2).count("missing") == 1


def test_without_persist_nothing_is_written_and_show_says_what_that_means(machine, booted):
    booted(Networkd)
    before = machine.files()
    machine.podroutes("apply")
    assert machine.files() == before
    assert machine.podroutes("show").count("ok, until reboot") == 2
    assert "files" not in machine.json("plan")


def test_another_next_hop_is_one_route_before_and_after_netplan_reads_it(machine, booted):
    manager = booted(NetplanNetworkd)
    machine.podroutes("apply", "--persist", "netplan")
    manager.reload()
    manager.wait()
    machine.write(INVENTORY, MACHINES.replace("192.168.8.22", "192.168.8.99"))
    assert "via 192.168.8.99 dev ens18  worker-2  was via 192.168.8.22" in machine.podroutes("apply")
    expected = [(SEED[0], "static"), ("10.200.2.0/24 via 192.168.8.99", "static")]
    assert machine.routes() == expected
    manager.reload()
    machine.wait(lambda: machine.routes() == expected, "netplan's routes")
    machine.reboot()
    manager.boot()
    machine.wait(lambda: machine.routes() == expected, "netplan's routes")
    assert machine.podroutes("plan").startswith("No changes.")


def test_routes_move_from_one_place_to_another_and_are_never_in_both(machine, booted):
    """The number goes with the place: netplan knows none, so its routes are static in the kernel, too."""
    manager = booted(NetplanNetworkd)
    drop_in = "/etc/systemd/network/10-netplan-ens18.network.d/50-podroutes.conf"
    said = machine.podroutes("apply", "--persist", "auto")
    assert "--persist auto is networkd: /run/systemd/netif/links/" in said
    assert "10-netplan-ens18.network, made by netplan" in said
    assert "networkd applies this at the next boot; to apply it now: networkctl reload" in said
    assert machine.exists(drop_in)
    machine.podroutes("apply", "--persist", "netplan")
    assert (machine.exists(drop_in), machine.exists(OURS["netplan"])) == (False, True)
    assert machine.routes() == [(route, "static") for route in SEED]
    manager.reload()
    manager.wait()
    machine.podroutes("apply", "--persist", "networkd")
    assert (machine.exists(drop_in), machine.exists(OURS["netplan"])) == (True, False)
    assert machine.routes() == [(route, "107") for route in SEED]
    manager.reload()
    manager.wait()
    machine.wait(lambda: machine.routes() == [(route, "107") for route in SEED], "networkd's routes")
    machine.podroutes("apply", "--persist", "none")
    assert (machine.exists(drop_in), machine.routes()) == (False, [(route, "107") for route in SEED])


def test_what_is_removed_is_gone_for_good_once_the_manager_has_been_told(machine, booted):
    """The manager keeps in mind what it has read, and would bring it back with the link."""
    manager = booted(Networkd)
    machine.podroutes("apply", "--persist", "auto")
    manager.reload()
    manager.wait()
    said = machine.podroutes("remove")
    (command,) = (line.partition("to apply it now: ")[2] for line in said.splitlines() if "to apply it now" in line)
    machine.chroot(*command.split())
    manager.wait()
    machine.flap("ens18")
    machine.wait(lambda: manager.settled() and machine.routes() == [], "no route of ours", hold=1)


def test_static_routes_of_somebody_else_stay_theirs_beside_our_netplan_file(machine, booted):
    booted(NetplanNetworkd)
    machine.ip(
        "route add 10.200.1.0/24 via 192.168.8.21 proto static", "route add 10.99.0.0/24 via 192.168.8.9 proto static"
    )
    assert "foreign-route" in machine.podroutes("apply", "--persist", "netplan")
    assert "10.200.1.0/24" not in machine.read(OURS["netplan"])
    machine.podroutes("remove")
    assert machine.routes() == [("10.200.1.0/24 via 192.168.8.21", "static")]
    assert any("10.99.0.0/24" in line for line in machine.show("route"))


def test_netplan_ids_are_not_interface_names(machine):
    """With `match` the id is another word; the generated file is named after it, and so is the drop-in's directory."""
    manager = NetplanNetworkd(machine)
    manager.configure()
    theirs = "/etc/netplan/00-installer-config.yaml"
    machine.write(theirs, machine.read(theirs).replace("    ens18:", "    lan:\n      match: {name: ens1*}"), 0o600)
    manager.boot()
    machine.podroutes("apply", "--persist", "netplan")
    assert '    "lan":\n' in machine.read(OURS["netplan"])
    manager.reload()
    manager.wait()
    machine.wait(lambda: machine.routes() == [(route, "static") for route in SEED], "netplan's routes")
    machine.podroutes("apply", "--persist", "networkd")
    assert machine.exists("/etc/systemd/network/10-netplan-lan.network.d/50-podroutes.conf")


STACKED = {
    "br0": "bridges: {br0: {interfaces: [ens18], ADDRESSES}}",
    "bond0": "bonds: {bond0: {interfaces: [ens18], parameters: {mode: active-backup}, ADDRESSES}}",
    "lan7": "vlans: {lan7: {id: 7, link: ens18, ADDRESSES}}",
}


@pytest.mark.parametrize("dev", STACKED)
def test_netplan_gives_the_routes_to_what_it_puts_onto_a_card(machine, dev):
    """What it makes of our file is looked at, as not every kernel has bonds and VLANs."""
    text = STACKED[dev].replace("ADDRESSES", "addresses: [192.168.8.20/24]")
    machine.write("/etc/netplan/01.yaml", f"network: {{version: 2, ethernets: {{ens18: {{}}}}, {text}}}\n", 0o600)
    machine.ip(f"link add {dev} type veth peer name wire7", f"link set {dev} up", "link set wire7 up")
    machine.ip(f"addr add 192.168.8.20/24 dev {dev}")
    machine.podroutes("apply", "--persist", "netplan")
    machine.chroot("netplan", "generate")
    made = machine.read(f"/run/systemd/network/10-netplan-{dev}.network")
    assert made.count("[Route]") == 2
    assert "Destination=10.200.1.0/24" in made


@pytest.mark.parametrize("backend", ["netplan", "auto"])
def test_a_bridge_of_netplans_has_the_routes_after_a_reboot(machine, backend):
    addresses = "addresses: [192.168.8.20/24, 'fd00::20/64'], link-local: []"
    machine.write(
        "/etc/netplan/01.yaml",
        f"network: {{version: 2, ethernets: {{ens18: {{}}}}, {STACKED['br0'].replace('ADDRESSES', addresses)}}}\n",
        0o600,
    )
    manager = NetplanNetworkd(machine)
    manager.dev = "br0"
    manager.boot()
    machine.podroutes("apply", "--persist", backend)
    machine.reboot()
    manager.boot()
    expected = [(route, "static" if backend == "netplan" else "107") for route in SEED]
    machine.wait(lambda: machine.routes() == expected, "the routes", hold=0.7)
    assert machine.podroutes("plan").startswith("No changes.")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "network: {version: 2, ethernets: {eth0: {addresses: [10.0.0.2/24]}}}",
            'no interface of /etc/netplan is "ens18"',
        ),
        ("network: {version: 2, ethernets: {ens18: {adresses: [192.168.8.20/24]}}}", "netplan refuses the file"),
        ("network: [", "is not YAML"),
        (
            "network: {version: 2, ethernets: {ens18: {}, a: {match: {name: 'ens*'}}}}",
            "ethernets.ens18 and ethernets.a",
        ),
    ],
)
def test_what_netplan_would_not_take_is_refused_before_anything_is_changed(machine, booted, text, complaint):
    booted(Networkd)
    machine.write("/etc/netplan/01.yaml", text, 0o600)
    before = machine.files()
    said = machine.podroutes("apply", "--persist", "netplan", status=1)
    assert complaint in said
    assert "Traceback" not in said
    assert (machine.files(), machine.routes()) == (before, [])


def test_a_file_of_somebody_elses_in_our_place_is_not_touched(machine, booted):
    booted(Ifupdown)
    machine.write(OURS["ifupdown"], "#!/bin/sh\necho mine\n", 0o755)
    assert "is not ours" in machine.podroutes("apply", "--persist", "auto", status=1)
    machine.podroutes("remove")
    assert machine.read(OURS["ifupdown"]) == "#!/bin/sh\necho mine\n"


def test_the_unit_brings_the_routes_back_at_boot(machine, booted):
    """systemd-analyze has read it; what it would run is run here as it would be, with nothing in its environment."""
    manager = booted(Ifupdown)
    machine.podroutes("apply", "--persist", "systemd")
    assert "Wants=podroutes.service" in machine.read("/etc/systemd/system/multi-user.target.d/50-podroutes.conf")
    (command,) = (line for line in machine.read(OURS["systemd"]).splitlines() if line.startswith("ExecStart="))
    machine.reboot()
    manager.boot()
    assert machine.routes() == []
    machine.chroot("env", "-i", f"PYTHONPATH={machine.source}", *command.removeprefix("ExecStart=").split())
    assert machine.routes() == [(route, "107") for route in SEED]
    assert machine.podroutes("plan").startswith("No changes.")
    assert "until reboot" not in machine.podroutes("show")


def test_when_the_place_is_lost_the_kernel_is_kept_up_all_the_same(machine, booted):
    manager = booted(Networkd)
    machine.podroutes("apply", "--persist", "auto")
    machine.stop(manager.daemon)
    machine.chroot("sh", "-c", "rm -f /run/systemd/netif/links/*")
    machine.ip("route del 10.200.1.0/24")
    said = machine.podroutes("apply", status=1)
    assert "error not-persistent: systemd-networkd has no .network file" in said
    assert machine.routes() == [(route, "107") for route in SEED]


def test_activate_has_the_manager_take_the_routes_up(machine, booted):
    manager = booted(Networkd)
    machine.neighbours("192.168.8.21", "192.168.8.22")
    manager.wait()
    FORWARDS.write_text("0")
    machine.podroutes("apply", "--persist", "auto", "--sysctl")
    assert FORWARDS.read_text() == "1\n", "the sysctl is set at once, too"
    machine.podroutes("apply", "--activate")
    assert FORWARDS.read_text() == "1\n"
    machine.flap("ens18")  # networkd 252 gives up where the link is back before it has noticed that it went
    machine.wait(lambda: machine.routes() == [(route, "107") for route in SEED], "networkd's own routes")


def test_activate_puts_everything_back_when_a_node_stops_answering(machine, booted):
    manager = booted(Networkd)
    machine.neighbours("192.168.8.21", "192.168.8.22")
    manager.wait()
    machine.ip("route add 10.200.1.0/24 via 192.168.8.99 proto 107")
    FORWARDS.write_text("0")
    before = machine.files()
    spoil = "[ -e /run/once ] && ip route del unreachable 192.168.8.22 || ip route add unreachable 192.168.8.22"
    machine.write("/usr/local/bin/networkctl", f"#!/bin/sh\n{spoil}\ntouch /run/once\n", 0o755)
    said = machine.podroutes(
        "apply", "--persist", "auto", "--sysctl", "--activate", status=1, PATH="/usr/local/bin:/usr/sbin:/usr/bin"
    )
    assert "everything put back as it was: 192.168.8.22 answered before" in said
    assert machine.files() == before
    assert machine.routes() == [("10.200.1.0/24 via 192.168.8.99", "107")]
    assert FORWARDS.read_text() == "0\n"


def test_forwarding_can_be_written_down_alone(machine, booted):
    booted(Networkd)
    machine.podroutes("apply", "--sysctl")
    assert "\nnet.ipv4.ip_forward = 1\n" in machine.read("/etc/sysctl.d/90-podroutes.conf")
    assert not machine.exists(NAME)
    assert machine.podroutes("show").count("until reboot") == 2
    assert machine.podroutes("plan").startswith("No changes.")
    assert "goes with --persist" in machine.podroutes("apply", "--sysctl", "--activate", status=1)
    machine.podroutes("remove")
    assert not machine.exists("/etc/sysctl.d/90-podroutes.conf")


def test_auto_says_what_it_chose_and_why(machine, booted):
    booted(Ifupdown)
    said = machine.podroutes("plan", "--persist", "auto", status=2)
    assert "podroutes: --persist auto is ifupdown: /run/network/ifstate has ens18" in said
    assert machine.json("plan", "--persist", "auto")["files"][0]["backend"] == "ifupdown"
