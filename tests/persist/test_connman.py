"""ConnMan has no place for routes: there the systemd unit brings them at a boot, and what takes them meanwhile is said and true."""

import re
import shlex

import pytest

from persist.machine import SEED
from persist.managers import Connman
from support import debian

UNIT = "/etc/systemd/system/podroutes.service"


def test_the_unit_brings_the_routes_at_a_boot_and_nothing_else_does(machine):
    manager = Connman(machine)
    try:
        manager.configure()
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    manager.boot()
    machine.chroot("mkdir", "-p", "/run/systemd/system")
    expected = [(route, "107") for route in SEED]
    said = machine.podroutes("apply", "--persist", "auto")
    assert "--persist auto is systemd: ConnMan keeps no routes, and drops those of ens18 when its carrier goes" in said
    assert machine.routes() == expected
    machine.flap("wire")
    machine.wait(lambda: manager.settled() and machine.routes() == [], "ConnMan has dropped the routes", hold=0.7)
    assert "2 to add" in machine.podroutes("plan", status=2)
    machine.podroutes("apply")
    manager.restart()
    machine.wait(lambda: machine.routes() == [], "a restart has dropped them", hold=0.7)
    machine.reboot()
    manager.boot()
    command = re.search(r"(?m)^ExecStart=(.*)$", machine.read(UNIT))
    machine.chroot(*shlex.split(command[1]))  # what systemd does then
    assert machine.routes() == expected
    assert machine.podroutes("plan").startswith("No changes.")
