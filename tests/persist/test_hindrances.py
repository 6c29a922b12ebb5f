"""What stands in the way of a file of ours at the next boot is said: `show` has no plain ok that a boot undoes."""

import pytest

from persist.machine import INVENTORY, SEED
from persist.managers import INTERFACES, Ifupdown, NetplanNetworkd, Networkd, NetworkManager

HOOK = "/etc/network/if-up.d/podroutes"
DISPATCHER = "/etc/NetworkManager/dispatcher.d/50-podroutes"
DROP_INS = "/etc/systemd/network/20-lan.network.d"
UNIT = "/etc/systemd/system/podroutes.service"
NETPLAN = "/etc/netplan/00-installer-config.yaml"


def boot_flag(machine):
    """Say that systemd is the init, sd_booted(3)."""
    machine.chroot("mkdir", "-p", "/run/systemd/system")


def mask(machine, unit):
    boot_flag(machine)
    machine.chroot("ln", "-s", "/dev/null", f"/etc/systemd/system/{unit}")


def disable(machine, unit):
    boot_flag(machine)
    machine.write(f"/lib/systemd/system/{unit}", "[Service]\nExecStart=/bin/true\n")
    machine.chroot("sh", "-c", f"rm -f /etc/systemd/system/*.wants/{unit} /lib/systemd/system/*.wants/{unit}")


def rename_id(machine):
    text = machine.read(NETPLAN).replace("    ens18:\n", "    id0:\n      match: {name: ens18}\n")
    machine.write(NETPLAN, text, 0o600)


def without_auto(machine):
    machine.write("/etc/network/interfaces", INTERFACES.replace("auto ens18\n", ""))


CASES = {
    "no auto line": (
        Ifupdown,
        without_auto,
        "no `auto ens18` or `allow-hotplug ens18` in /etc/network/interfaces: nothing brings it up",
    ),
    "ifupdown is told to do nothing": (
        Ifupdown,
        lambda machine: machine.write("/etc/default/networking", "CONFIGURE_INTERFACES=no\n"),
        "/etc/default/networking says CONFIGURE_INTERFACES=no",
    ),
    "a hook that is not executable": (
        Ifupdown,
        lambda machine: machine.chroot("chmod", "-x", HOOK),
        f"{HOOK} is not executable: mode 0644",
    ),
    "a hook that somebody has edited": (
        Ifupdown,
        lambda machine: machine.write(HOOK, machine.read(HOOK).replace("PATH=", "exit 0\nPATH="), 0o755),
        f"{HOOK} is not as podroutes writes it",
    ),
    "a masked service": (Ifupdown, lambda machine: mask(machine, "networking.service"), "networking.service is masked"),
    "a script that others may write": (
        NetworkManager,
        lambda machine: machine.chroot("chmod", "g+w", DISPATCHER),
        f"the dispatcher runs no {DISPATCHER} that others than root may write: mode 0775",
    ),
    "a drop-in for root alone": (
        Networkd,
        lambda machine: machine.chroot("chmod", "600", f"{DROP_INS}/50-podroutes.conf"),
        f"{DROP_INS}/50-podroutes.conf can be read by root alone: mode 0600",
    ),
    "a directory for root alone": (
        Networkd,
        lambda machine: machine.chroot("chmod", "700", DROP_INS),
        f"systemd-networkd cannot read {DROP_INS}: mode 0700",
    ),
    "a service that nothing starts": (
        Networkd,
        lambda machine: disable(machine, "systemd-networkd.service"),
        "systemd-networkd.service is not enabled",
    ),
    "a netplan id that is called something else by now": (
        NetplanNetworkd,
        rename_id,
        "netplan makes 10-netplan-id0.network of its files now, and 10-netplan-ens18.network is gone after the boot",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_in_the_way_stands_behind_ok(machine, case):
    kind, spoil, why = CASES[case]
    manager = kind(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "auto")
    lines = machine.podroutes("show").splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == ["ok", "ok"]
    spoil(machine)
    document = machine.json("show")
    assert [(each["state"], each["survives_reboot"], each["boot"]) for each in document["routes"]] == [
        ("ok", False, why)
    ] * 2
    shown = machine.podroutes("show").splitlines()
    assert [line.rpartition("  ")[2] for line in shown[:2]] == [f"ok, but {why}"] * 2


@pytest.mark.parametrize(
    "case", ["no auto line", "a hook that is not executable", "a netplan id that is called something else by now"]
)
def test_what_is_said_to_be_in_the_way_is(machine, case):
    """After the boot the routes are gone, and `apply` brings back what can be."""
    kind, spoil, _ = CASES[case]
    manager = kind(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "auto")
    spoil(machine)
    machine.reboot()
    if case == "no auto line":
        machine.chroot("ifup", "-a")
        machine.chroot("ifup", "ens18", check=False)  # somebody does it by hand, and then the hook runs
        assert machine.routes() == [(route, "107") for route in SEED]
        return
    manager.boot()
    assert machine.routes() == []
    machine.podroutes("apply")
    machine.reboot()
    manager.boot()
    machine.wait(lambda: machine.routes() == [(route, "107") for route in SEED], "the routes", hold=0.7)


@pytest.mark.parametrize("place", ["/tmp/machines.txt", "/run/machines.txt"])  # noqa: S108  the machine's
def test_a_unit_that_reads_what_a_boot_empties_is_said_to(machine, place):
    manager = Ifupdown(machine)
    manager.configure()
    manager.boot()
    machine.write(place, machine.read(INVENTORY))
    words = ("apply", "--persist", "systemd", "-i", place, "--node", "worker-0")
    done = machine.chroot(machine.python, "-m", "podroutes", *words)
    assert f"podroutes.service reads {place}, and a boot empties {place.split('/')[1]}" in done
    assert f"ok, but podroutes.service reads {place}" in machine.podroutes("show")


def test_a_unit_of_which_a_part_is_gone_is_said_to_be(machine):
    manager = Ifupdown(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "systemd")
    assert machine.podroutes("show").splitlines()[0].endswith("  ok")
    (machine.root / UNIT.lstrip("/")).unlink()
    assert f"ok, but {UNIT} is missing" in machine.podroutes("show")
    machine.podroutes("apply")
    assert machine.podroutes("show").splitlines()[0].endswith("  ok")


def test_a_route_that_a_line_of_the_administrator_brings_back_is_said_to_be_theirs(machine):
    manager = Ifupdown(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply")
    assert machine.podroutes("show").splitlines()[0].endswith("ok, until reboot")
    text = INTERFACES + "    up ip route add 10.200.1.0/24 via 192.168.8.21\n"
    machine.write("/etc/network/interfaces", text)
    line = len(text.splitlines())
    assert machine.podroutes("show").splitlines()[0].endswith(f"  ok, by /etc/network/interfaces:{line}")


def test_a_netplan_id_of_ours_that_no_other_file_has_is_said_before_it_costs_the_address(machine):
    manager = NetplanNetworkd(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "netplan")
    assert machine.podroutes("show").splitlines()[0].endswith("  ok")
    rename_id(machine)
    why = "/etc/netplan/90-podroutes.yaml is for ethernets.ens18, and ens18 is ethernets.id0 by now"
    assert f"ok, but {why}" in machine.podroutes("show")
    assert why in machine.podroutes("doctor", status=2)
    machine.podroutes("apply")
    assert machine.podroutes("show").splitlines()[0].endswith("  ok")
    machine.reboot()
    manager.boot()
    machine.wait(lambda: machine.routes() == [(route, "static") for route in SEED], "the routes", hold=0.7)
