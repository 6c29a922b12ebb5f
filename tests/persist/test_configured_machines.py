"""Machines that were configured before podroutes came, with their real managers: one route each, the right one, after every boot."""

import pytest

from persist.machine import SEED
from persist.managers import Ifupdown, NetplanNetworkd

LINES = "up ip route add 10.200.1.0/24 via 192.168.8.21\nup ip route add 10.200.2.0/24 via 192.168.8.22\n"
ALIAS = """\
auto lo
iface lo inet loopback
auto ens18
iface ens18 inet static
    address 10.9.9.20/24
auto ens18:1
iface ens18:1 inet static
    address 192.168.8.20/24
"""


def table(machine):
    """Return the destinations and next hops of all routes to pods, whoever made them, each as often as it is there."""
    lines = machine.show("-4 route show")
    return tuple(sorted(" ".join(line.split()[:3]) for line in lines if line.startswith("10.200.")))


class Typed(NetplanNetworkd):
    """netplan as the tutorial's reader left it: the routes stand in the installer's file."""

    def configure(self) -> None:
        """Write the routes beside the address."""
        super().configure()
        path = "/etc/netplan/00-installer-config.yaml"
        routes = "".join(f"      - {{to: 10.200.{n}.0/24, via: 192.168.8.2{n}}}\n" for n in (1, 2))
        text = self.machine.read(path).replace("      routes:\n", f"      routes:\n{routes}")
        if "10.200.1.0" not in text:
            text = text.replace("    ens18:\n", f"    ens18:\n      routes:\n{routes}")
        self.machine.write(path, text, 0o600)


@pytest.mark.parametrize("arguments", [("--persist", "auto"), ("--adopt", "--persist", "auto"), ("--adopt",)])
def test_routes_in_the_installers_netplan_file_stay_one_each(machine, arguments):
    manager = Typed(machine)
    manager.configure()
    manager.boot()
    machine.wait(lambda: len(table(machine)) == 2, "netplan's routes")
    before = machine.files()
    machine.podroutes("apply", *arguments)
    assert machine.files() == before, "there is nothing to write"
    manager.reload()
    machine.reboot()
    manager.boot()
    machine.wait(lambda: len(table(machine)) >= 2, "netplan's routes", hold=0.7)
    assert table(machine) == SEED
    assert machine.podroutes("plan").startswith("No changes.")


def test_up_lines_at_the_end_of_interfaces_do_not_break_the_boot(machine):
    manager = Ifupdown(machine)
    manager.configure()
    machine.write("/etc/network/interfaces", machine.read("/etc/network/interfaces") + LINES)
    manager.boot()
    machine.podroutes("apply", "--adopt", "--persist", "auto")
    machine.reboot()
    manager.boot()  # which fails where ifup does
    assert table(machine) == SEED
    assert machine.podroutes("plan").startswith("No changes.")


def test_an_alias_that_carries_the_internal_ip_brings_the_routes(machine):
    manager = Ifupdown(machine)
    machine.write("/etc/network/interfaces", ALIAS)
    machine.chroot("ifup", "-a")
    machine.podroutes("apply", "--persist", "auto")
    machine.reboot()
    machine.chroot("ifup", "-a")
    assert table(machine) == SEED
    assert manager.machine.podroutes("plan").startswith("No changes.")


def test_the_tutorials_machine_is_moved_over_with_its_files_and_every_boot(machine):
    manager = Typed(machine)
    manager.configure()
    manager.boot()
    machine.wait(lambda: len(table(machine)) == 2, "netplan's routes")
    path = "/etc/netplan/00-installer-config.yaml"
    before = machine.read(path)
    machine.podroutes("apply", "--adopt", "--persist", "auto", "--edit-admin-config")
    assert "10.200." not in machine.read(path)
    assert machine.read("/etc/netplan/.00-installer-config.yaml.before-podroutes") == before
    assert [(route, "107") for route in SEED] == machine.routes()
    machine.chroot("netplan", "generate")
    machine.reboot()
    manager.boot()
    machine.wait(lambda: len(table(machine)) >= 2, "the routes", hold=0.7)
    assert [(route, "107") for route in SEED] == machine.routes()
    assert table(machine) == SEED
    assert machine.podroutes("plan").startswith("No changes.")


def test_up_lines_are_moved_over(machine):
    manager = Ifupdown(machine)
    manager.configure()
    machine.write("/etc/network/interfaces", machine.read("/etc/network/interfaces") + LINES)
    manager.boot()
    machine.podroutes("apply", "--adopt", "--persist", "auto", "--edit-admin-config")
    machine.reboot()
    manager.boot()
    assert table(machine) == SEED
    assert [(route, "107") for route in SEED] == machine.routes()[:2]
    assert machine.podroutes("plan").startswith("No changes.")


def test_lines_in_a_stanza_of_another_interface_are_the_same_routes(machine):
    """Typed at the end of the file they belong to whatever comes last there; the kernel takes the device by the gateway."""
    manager = Ifupdown(machine)
    manager.configure()
    text = (
        machine.read("/etc/network/interfaces") + "auto lo:9\niface lo:9 inet static\n    address 127.9.9.9/8\n" + LINES
    )
    machine.write("/etc/network/interfaces", text)
    manager.boot()
    before = machine.files()
    for words in (("apply", "--persist", "auto"), ("apply", "--adopt", "--persist", "auto")):
        assert "/etc/network/interfaces keeps every route" in machine.podroutes(*words)
    assert machine.files() == before
    machine.reboot()
    manager.boot()
    assert table(machine) == SEED


def test_a_script_that_may_make_the_routes_is_named_and_nothing_is_written_beside_it(machine):
    manager = Ifupdown(machine)
    manager.configure()
    manager.boot()
    loop = 'for i in 1 2; do ip route add "10.200.$i.0/24" via 192.168.8.2$i; done\n'
    machine.write(
        "/etc/network/if-up.d/zz-pods", f'#!/bin/sh\n[ "$IFACE$ADDRFAM" = ens18inet ] || exit 0\n{loop}', 0o755
    )
    before = machine.files()
    said = machine.podroutes("apply", "--persist", "auto", status=1)
    assert "/etc/network/if-up.d/zz-pods:3 may make these routes as well (10.200.*.0/24)" in said
    assert machine.files() == before
    machine.reboot()
    manager.boot()
    assert table(machine) == SEED, "the boot is as it was"


STANZAS = {
    "a mapping": "auto ens18\nmapping ens18\n    script /usr/local/bin/where\n\niface home inet static\n    address 192.168.8.20/24\n",
    "a pattern": "auto /en*/=home\niface home inet static\n    address 192.168.8.20/24\n",
}


@pytest.mark.parametrize("stanza", STANZAS)
def test_a_stanza_of_another_name_than_the_interface_brings_the_routes(machine, stanza):
    machine.write("/usr/local/bin/where", "#!/bin/sh\necho home\n", 0o755)
    machine.write("/etc/network/interfaces", f"auto lo\niface lo inet loopback\n{STANZAS[stanza]}")
    machine.chroot("ifup", "-a")
    machine.podroutes("apply", "--persist", "auto")
    assert machine.podroutes("show").splitlines()[0].endswith("  ok")
    machine.reboot()
    machine.chroot("ifup", "-a")
    assert table(machine) == SEED
    assert machine.podroutes("plan").startswith("No changes.")
