"""A plain user looks at a machine whose netplan files are root's alone: everything that only reads works, and says what it cannot read."""

import re

import pytest

from persist.machine import CHECKOUT, INVENTORY
from persist.managers import NetplanNetworkd
from support.users import NOBODY

OURS, THEIRS = "/etc/netplan/90-podroutes.yaml", "/etc/netplan/00-installer-config.yaml"
AS_NOBODY = f"""
import os
import runpy
import sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
runpy.run_module("podroutes", run_name="__main__")
"""


def plain(machine, *words):
    """Run podroutes on the machine as a plain user; return status and output."""
    program = f"{AS_NOBODY.strip()}\n"
    said = machine.chroot(
        "sh", "-c", '"$@"; echo "status $?"', "sh", machine.python, "-c", program, *words, "-i", INVENTORY, "--node", "worker-0"
    )  # fmt: skip
    output, _, status = said.partition("status ")
    return int(status.split()[0]), output + status.partition("\n")[2]


@pytest.fixture
def written(machine):
    """Return a machine whose routes are in netplan's directory."""
    manager = NetplanNetworkd(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "netplan")
    for directory in CHECKOUT.relative_to("/").parents[:-1]:  # such as /root, closed to others
        (machine.root / directory).chmod(0o755)
    return machine


def test_what_only_reads_works_and_names_what_it_cannot_read(written):
    status, said = plain(written, "plan")
    assert status == 0
    assert said.startswith("No changes.")
    assert re.findall(r"^warning files-not-read: (\S+): Permission denied", said, re.MULTILINE) == [OURS, THEIRS]
    status, said = plain(written, "show")
    assert status == 0
    assert [line.endswith(f"ok, but {OURS}: Permission denied: what it says is not known") for line in said.splitlines()[:2]] == [True] * 2  # fmt: skip
    _, said = plain(written, "doctor")
    assert f"not examined: what is written down for the next boot: {OURS}: Permission denied" in said
    for backend in ("auto", "netplan", "networkd"):
        assert plain(written, "plan", "--persist", backend)[0] == 0


def test_a_route_that_is_not_as_wanted_is_shown_to_a_plain_user_too(written):
    written.ip("route del 10.200.1.0/24")
    status, said = plain(written, "plan")
    assert status == 2
    assert "+ 10.200.1.0/24 via 192.168.8.21 dev ens18" in said
    written.ip("route add 10.200.1.0/24 via 192.168.8.99 proto static")
    status, said = plain(written, "plan")
    assert status == 1
    assert "error foreign-route" in said


def test_nothing_is_carried_out_without_the_files(written):
    before = written.show("route")
    status, said = plain(written, "apply")
    assert (status, written.show("route")) == (1, before)
    assert f"{OURS}: Permission denied; run it with sudo" in said
