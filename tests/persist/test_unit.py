"""The systemd unit, where no network manager keeps routes: what the table of the documentation says of it."""

import shlex

from persist.machine import DUAL, INVENTORY, SEED, SIX
from podroutes.persist import GONE, THERE, systemd

EXPECTED = sorted((route, "107") for route in (*SEED, *SIX))


def boot(machine):
    """Give the machine its addresses as a kernel's command line or a cloud's agent does, then do what the unit does."""
    machine.ip("link set ens18 up", "addr add 192.168.8.20/24 dev ens18", "addr add fd00::20/64 dev ens18 nodad")
    machine.wait(lambda: "tentative" not in "".join(machine.show("addr show dev ens18")), "addresses")
    if machine.exists(systemd.UNIT):
        lines = machine.read(systemd.UNIT).splitlines()
        (command,) = (line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart="))
        machine.chroot(*shlex.split(command))


def test_a_boot_brings_the_routes_back_and_a_carrier_takes_none(machine):
    machine.write(INVENTORY, DUAL)
    boot(machine)
    machine.podroutes("apply", "--persist", "systemd")
    assert machine.routes() == EXPECTED
    assert systemd.SURVIVES["reboot"] == THERE
    machine.reboot()
    assert machine.routes() == []
    boot(machine)
    assert machine.routes() == EXPECTED
    assert machine.podroutes("plan").startswith("No changes.")
    machine.ip("link set wire down")
    machine.wait(lambda: "NO-CARRIER" in machine.show("link show dev ens18")[0], "no carrier")
    machine.ip("link set wire up")
    machine.wait(lambda: "NO-CARRIER" not in machine.show("link show dev ens18")[0], "the carrier")
    assert machine.routes() == EXPECTED, "without a manager a carrier takes no route"


def test_a_link_that_is_taken_down_by_hand_takes_the_routes_until_apply(machine):
    boot(machine)
    machine.podroutes("apply", "--persist", "systemd")
    assert systemd.SURVIVES["link"] == GONE
    machine.ip("link set ens18 down", "link set ens18 up")
    assert machine.routes() == []
    machine.podroutes("apply")
    assert machine.routes() == [(route, "107") for route in SEED]
