"""The routes come back where the address is a lease, which is there later than the link, and stay when it is renewed: packets flow all the while."""

import pytest

from persist.machine import INVENTORY, MACHINES, SEED
from persist.managers import (
    DHCPCD,
    KEYFILE,
    NETPLAN,
    RELEASES,
    Dhcpcd,
    Ifupdown,
    NetplanNetworkd,
    Networkd,
    NetworkManager,
    lay_over,
    rows,
)
from persist.traffic import PODS, Flow, Segment
from support import debian
from support.unpacked import unpack

NETWORK = """\
[Match]
Name=ens18
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
PROFILE = KEYFILE.partition("[ipv4]")[0] + "[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n"
INTERFACES = "auto lo\niface lo inet loopback\nauto ens18\niface ens18 inet dhcp\n"
SERVER = """\
start 192.168.8.20
end 192.168.8.20
max_leases 1
interface sw
lease_file /run/leases
pidfile /run/udhcpd.pid
option subnet 255.255.255.0
option router 192.168.8.1
option lease 20
min_lease 10
"""
MOVED = (SEED[0].replace(".21", ".31"), SEED[1])


class Leased:
    """A manager that asks for its address."""

    def settled(self):
        """Whether the machine has its address."""
        return "192.168.8.20/24" in "".join(self.machine.show("-o addr show dev ens18"))

    def renew(self):
        """Have the lease renewed; where there is no command for it, the manager does it at half of its time."""


class LeasedNetworkd(Leased, Networkd):
    """systemd-networkd with DHCP."""

    def configure(self):
        """Write the administrator's file."""
        self.machine.write("/etc/systemd/network/20-lan.network", NETWORK)

    def renew(self):
        """Tell networkd."""
        self.machine.chroot("networkctl", "renew", "ens18")


class LeasedNetplan(LeasedNetworkd, NetplanNetworkd):
    """netplan with DHCP."""

    def configure(self):
        """Write the administrator's file."""
        text = NETPLAN.format(renderer="networkd", id="ens18").replace("dhcp4: false", "dhcp4: true")
        lines = [line for line in text.splitlines(keepends=True) if "addresses:" not in line]
        self.machine.write("/etc/netplan/00-installer-config.yaml", "".join(lines), 0o600)


class LeasedNetworkManager(Leased, NetworkManager):
    """NetworkManager with DHCP."""

    def configure(self):
        """Write the administrator's files."""
        super().configure()
        self.machine.write("/etc/NetworkManager/system-connections/lan.nmconnection", PROFILE, 0o600)


class LeasedIfupdown(Leased, Ifupdown):
    """ifupdown with dhclient."""

    def configure(self):
        """Write the administrator's file."""
        lay_over(self.machine, "dhclient")
        self.machine.write("/etc/network/interfaces", INTERFACES)

    def restart(self):
        """Take it down, which ends dhclient, and up."""
        self.machine.chroot("ifdown", "ens18")
        self.machine.chroot("ifup", "ens18")


class LeasedDhcpcd(Leased, Dhcpcd):
    """dhcpcd with DHCP."""

    def configure(self):
        """Write the administrator's file."""
        super().configure()
        self.machine.write("/etc/dhcpcd.conf", DHCPCD.partition("interface")[0] + "noipv6\n")

    def renew(self):
        """Tell dhcpcd."""
        self.machine.chroot("dhcpcd", "--rebind", "ens18")

    def restart(self):
        """Stop it alone, and start it again."""
        self.machine.chroot("dhcpcd", "--exit")
        self.machine.start("dhcpcd", "--nobackground")


KINDS = {
    "networkd": LeasedNetworkd,
    "netplan": LeasedNetplan,
    "networkmanager": LeasedNetworkManager,
    "ifupdown": LeasedIfupdown,
    "dhcpcd": LeasedDhcpcd,
}
STANDING = {  # the others with MATRIX=all
    ("system", "networkd"),
    ("trixie", "netplan"),
    ("system", "networkmanager"),
    ("trixie", "ifupdown"),
    ("system", "dhcpcd"),
}
ON = rows(KINDS, without={(release, kind) for release in RELEASES for kind in KINDS} - STANDING)


class Story:
    """A machine with a lease, the nodes beside it, and packets to their pods."""

    def __init__(self, kind, machine):
        self.machine, self.manager, self.wanted = machine, kind(machine), SEED
        machine.write("/etc/udhcpd.conf", SERVER)
        machine.write(INVENTORY, MACHINES)
        self.manager.configure()
        self.boot()

    def boot(self, *, away=False):
        """Have the server and the other nodes there before the machine."""
        self.segment = Segment(self.machine)
        self.segment.address("192.168.8.1/24")
        self.machine.write("/run/leases", "")
        self.segment.server("/bin/busybox", "udhcpd", "-f", "-I", "192.168.8.1", "/etc/udhcpd.conf")
        self.first = self.segment.node(["192.168.8.31" if away else "192.168.8.21"], PODS[:1])
        self.segment.node(["192.168.8.22"], PODS[1:2])
        self.manager.boot()

    def reboot(self, *, away=False):
        """Lose everything but files."""
        self.segment.close()
        self.machine.reboot()
        self.boot(away=away)

    def right(self, when, flow):
        """See that the routes are right, and that every pod answers."""
        expected = [(route, "107") for route in self.wanted]
        self.machine.wait(
            lambda: self.manager.settled() and self.machine.routes() == expected, f"the routes {when}", hold=0.7
        )
        start = flow.answered()
        self.machine.wait(lambda: all(flow.answered()[pod] > start[pod] + 10 for pod in start), f"answers {when}")
        assert self.machine.podroutes("plan").startswith("No changes.")

    def acknowledged(self):
        """Return how often the server has given or renewed the lease."""
        return self.machine.log(whole=True).count("sending ACK to 192.168.8.20")

    def renewed(self):
        """Have the lease renewed, and see that the server has done so."""
        before = self.acknowledged()
        self.manager.renew()
        self.machine.wait(lambda: self.acknowledged() > before, "the lease is renewed")

    def move(self):
        """Have worker-1 get another address, and the inventory say so."""
        self.segment.lose(self.first, PODS[:1])
        self.segment.node(["192.168.8.31"], PODS[:1])
        self.machine.write(INVENTORY, MACHINES.replace("192.168.8.21", "192.168.8.31"))
        self.wanted = MOVED
        self.machine.podroutes("apply")


@pytest.fixture
def story(machine, request):
    try:
        unpack(debian.packages("dhcp"), machine.root)
        made = Story(KINDS[request.param], machine)
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    yield made
    made.segment.close()


@pytest.mark.parametrize(("machine", "story"), ON, indirect=True)
def test_routes_wait_for_the_lease_and_outlive_its_renewal(story):
    story.machine.podroutes("apply", "--persist", "auto")
    flow = Flow(PODS[:2])
    try:
        story.right("at first", flow)
    finally:
        flow.stop()
    story.reboot()
    flow = Flow(PODS[:2])
    try:
        story.right("after the boot", flow)
        story.move()
        story.right("after a node has moved", flow)
    finally:
        flow.stop()
    flow = Flow(PODS[:2])
    try:
        story.right("before the renewal", flow)
        story.renewed()
        story.right("after the renewal", flow)
    finally:
        lost = flow.stop()
    assert lost == dict.fromkeys(PODS[:2], 0)
    flow = Flow(PODS[:2])
    try:
        story.manager.restart()
        story.right("after a restart", flow)
    finally:
        flow.stop()
    story.reboot(away=True)
    story.machine.wait(
        lambda: story.machine.routes() == [(route, "107") for route in MOVED], "the routes after the boot"
    )
