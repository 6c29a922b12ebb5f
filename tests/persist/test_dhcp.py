"""The routes come back where the address is a lease, too, which is there later than the link."""

import pytest

from persist.machine import SEED
from persist.managers import KEYFILE, Networkd, NetworkManager
from support import debian
from support.unpacked import unpack
from support.waiting import until

NETWORK = """\
[Match]
Name=ens18
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
PROFILE = KEYFILE.partition("[ipv4]")[0] + "[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n"
SERVER = """\
start 192.168.8.20
end 192.168.8.20
max_leases 1
interface wire
lease_file /run/leases
pidfile /run/udhcpd.pid
option subnet 255.255.255.0
option router 192.168.8.1
option lease 20
min_lease 10
"""


class Leased:
    """A manager that asks for its address, with somebody who gives it one."""

    def boot(self):
        """Have the server there before the machine."""
        self.machine.write("/etc/udhcpd.conf", SERVER)
        self.machine.write("/run/leases", "")
        beyond = self.machine.neighbours("192.168.8.1", "192.168.8.21", "192.168.8.22")
        self.machine.start("/bin/busybox", "udhcpd", "-f", "-I", "192.168.8.1", "/etc/udhcpd.conf", beyond=beyond)
        super().boot()

    def settled(self):
        """Whether the machine has its address."""
        return "192.168.8.20/24" in "".join(self.machine.show("-o addr show dev ens18"))


class LeasedNetworkd(Leased, Networkd):
    """systemd-networkd with DHCP."""

    def configure(self):
        """Write the administrator's file."""
        self.machine.write("/etc/systemd/network/20-lan.network", NETWORK)


class LeasedNetworkManager(Leased, NetworkManager):
    """NetworkManager with DHCP."""

    def configure(self):
        """Write the administrator's files."""
        super().configure()
        self.machine.write("/etc/NetworkManager/system-connections/lan.nmconnection", PROFILE, 0o600)


@pytest.mark.parametrize("kind", [LeasedNetworkd, LeasedNetworkManager], ids=["networkd", "networkmanager"])
def test_routes_wait_for_the_lease(machine, kind):
    try:
        unpack(debian.packages("dhcp"), machine.root)
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    manager = kind(machine)
    manager.configure()
    manager.boot()
    machine.podroutes("apply", "--persist", "auto")
    expected = [(route, "107") for route in SEED]
    assert machine.routes() == expected
    machine.reboot()
    manager.boot()
    machine.wait(lambda: machine.routes() == expected, "the routes", hold=0.7)
    assert machine.podroutes("plan").startswith("No changes.")
    renewed(machine, manager)
    machine.wait(lambda: manager.settled() and machine.routes() == expected, "the routes after a renewal", hold=0.7)
    assert machine.podroutes("plan").startswith("No changes.")


def renewed(machine, manager):
    """Have networkd renew the lease, or wait until NetworkManager, which has no command for that, has done so at half its time."""
    if isinstance(manager, Networkd):
        machine.chroot("networkctl", "renew", "ens18")
        return
    before = until(lambda: expiry(machine), "a lease")
    until(lambda: expiry(machine) not in (before, ""), "the lease is renewed")


def expiry(machine):
    """Return what NetworkManager says of the end of the lease, "" while it says nothing."""
    said = machine.chroot("nmcli", "-g", "DHCP4.OPTION", "device", "show", "ens18", check=False)
    return next((word.strip() for word in said.replace("|", "\n").splitlines() if "expiry" in word), "")
