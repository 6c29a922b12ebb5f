"""The network managers, each as an administrator has set it up for ens18 and as the system starts it."""

# ruff: noqa: D102 - the first class says what each method does

import os
from collections.abc import Collection, Iterable

from persist.machine import Machine
from support import debian
from support.unpacked import unpack

RELEASES = {"system": "managers", "trixie": "trixie"}  # of Debian, and the set of packages with the managers of each
if debian.release() == "trixie":
    del RELEASES["trixie"]  # they are the system's
NETWORK = """\
[Match]
Name=ens18
[Network]
Address=192.168.8.20/24
Address=fd00::20/64
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
NETPLAN = """\
# This is the network config written by 'subiquity'
network:
  version: 2
  renderer: {renderer}
  ethernets:
    {id}:
      addresses: [192.168.8.20/24, "fd00::20/64"]
      dhcp4: false
      accept-ra: false
      link-local: []
"""
KEYFILE = """\
# the administrator's own words
[connection]
id=lan
uuid=4b1f4bd0-ee1d-4a0e-9bd8-0d1a0a1c6a10
type=ethernet
interface-name=ens18
[ipv4]
method=manual
address1=192.168.8.20/24
[ipv6]
method=manual
address1=fd00::20/64
addr-gen-mode=0
"""
INTERFACES = """\
auto lo
iface lo inet loopback
auto ens18
iface ens18 inet static
    address 192.168.8.20/24
iface ens18 inet6 static
    address fd00::20/64
    dad-attempts 0
    accept_ra 0
"""
CONNMAN = """\
[service_lan]
Type=ethernet
MAC=52:54:00:12:34:56
IPv4=192.168.8.20/255.255.255.0/192.168.8.1
IPv6=off
"""
DHCPCD = """\
denyinterfaces wire
interface ens18
static ip_address=192.168.8.20/24
static ip6_address=fd00::20/64
"""
ONE_STANZA = """\
auto lo
iface lo inet loopback
auto ens18
iface ens18
    address 192.168.8.20/24
    address fd00::20/64
"""


def rows(kinds: Iterable[str], *, without: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of a release and one of KINDS to run; those WITHOUT, which others stand for, only with MATRIX=all."""
    left_out = () if os.environ.get("MATRIX") == "all" else without
    return [(release, kind) for release in RELEASES for kind in kinds if (release, kind) not in left_out]


def lay_over(machine: Machine, name: str) -> None:
    """Unpack the packages NAME of the machine's release into it, without what it has."""
    if not machine.alone:
        unpack(debian.packages(name), machine.root)
        return
    there = {package.name for package in debian.packages("trixie")}
    unpack([each for each in debian.packages(f"trixie-{name}") if each.name not in there], machine.root)


class Manager:
    """What the tests ask of a manager."""

    dev = "ens18"  # what has the addresses

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def configure(self) -> None:
        """Write the administrator's files."""

    def boot(self) -> None:
        """Do what happens at boot, until the address is there."""

    def settled(self) -> bool:
        """Whether the machine has its addresses."""
        shown = "".join(self.machine.show(f"-o addr show dev {self.dev}"))
        return "192.168.8.20/24" in shown and "fd00::20/64" in shown and "tentative" not in shown

    def restore(self) -> None:
        """Give back addresses that the kernel has taken, where the manager does not."""
        self.wait()

    def wait(self) -> None:
        """Wait for the addresses."""
        self.machine.wait(self.settled, f"addresses on {self.dev}", hold=0.3)


class Networkd(Manager):
    """systemd-networkd with a .network file of the administrator's."""

    def configure(self) -> None:
        self.machine.write("/etc/systemd/network/20-lan.network", NETWORK)

    def boot(self) -> None:
        self.machine.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        self.machine.wait(lambda: self.machine.exists("/run/dbus/system_bus_socket"), "D-Bus")
        self._start()

    def _start(self) -> None:
        self.daemon = self.machine.start("/lib/systemd/systemd-networkd")
        self.wait()

    def settled(self) -> bool:
        if not self.machine.exists(f"/sys/class/net/{self.dev}"):
            return False
        path = f"/run/systemd/netif/links/{self.machine.index(self.dev)}"
        configured = self.machine.exists(path) and "ADMIN_STATE=configured" in self.machine.read(path)
        return configured and super().settled()

    def reload(self) -> None:
        self.machine.chroot("networkctl", "reload")

    def reconfigure(self) -> None:
        self.machine.chroot("networkctl", "reconfigure", "ens18")

    def restart(self) -> None:
        self.machine.stop(self.daemon)
        self._start()


class NetplanNetworkd(Networkd):
    """netplan, which leaves the work to systemd-networkd."""

    id = "ens18"

    def configure(self) -> None:
        self.machine.write(
            "/etc/netplan/00-installer-config.yaml", NETPLAN.format(renderer="networkd", id=self.id), 0o600
        )

    def boot(self) -> None:
        self.machine.chroot("netplan", "generate")
        super().boot()

    def reload(self) -> None:
        self.machine.chroot("netplan", "generate")
        super().reload()


class NetworkManager(Manager):
    """NetworkManager with a keyfile of the administrator's."""

    def configure(self) -> None:
        self.machine.write("/etc/NetworkManager/system-connections/lan.nmconnection", KEYFILE, 0o600)
        self.machine.write(
            "/etc/NetworkManager/conf.d/test.conf",
            "[main]\nauth-polkit=false\nplugins=keyfile\ndns=none\nno-auto-default=*\n[logging]\naudit=false\n",
        )

    def boot(self) -> None:
        self.machine.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        self.machine.wait(lambda: self.machine.exists("/run/dbus/system_bus_socket"), "D-Bus")
        self._start()

    def _start(self) -> None:
        places = ("/usr/libexec/nm-dispatcher", "/usr/lib/NetworkManager/nm-dispatcher")
        self.dispatcher = self.machine.start(next(filter(self.machine.exists, places)), "--persist")
        self.daemon = self.machine.start("/usr/sbin/NetworkManager", "--no-daemon")
        self.wait()
        self.machine.wait(self._connected, "NetworkManager has connected ens18")

    def _connected(self) -> bool:
        return "ens18:connected" in self.machine.chroot("nmcli", "-t", "-f", "DEVICE,STATE", "device", check=False)

    def reload(self) -> None:
        self.machine.chroot("nmcli", "connection", "reload")

    def reconfigure(self) -> None:
        self.machine.chroot("nmcli", "device", "reapply", "ens18")
        self.machine.chroot("nmcli", "connection", "up", "lan")

    def restart(self) -> None:
        self.machine.stop(self.daemon, self.dispatcher)
        self._start()


class Ifupdown(Manager):
    """ifupdown with the address in /etc/network/interfaces."""

    def configure(self) -> None:
        self.machine.write("/etc/network/interfaces", INTERFACES)

    def boot(self) -> None:
        self.machine.chroot("ifup", "-a")
        self.wait()

    def reload(self) -> None:
        self.machine.chroot("ifup", "-a")

    def restore(self) -> None:
        self.machine.ip("addr replace fd00::20/64 dev ens18 nodad")  # IPv6 addresses go with the link
        self.wait()

    def restart(self) -> None:
        self.machine.chroot("ifdown", "-a")
        self.boot()

    def reconfigure(self) -> None:
        self.machine.chroot("sh", "-c", "ifdown ens18; ifup ens18")


class Ifupdown2(Ifupdown):
    """ifupdown2: other programs for the same files, where one stanza can hold the addresses of both IP versions."""

    def configure(self) -> None:
        lay_over(self.machine, "ifupdown2")
        self.machine.chroot("chmod", "+x", "/usr/share/ifupdown2/__main__.py")  # as its postinst does
        self.machine.write("/etc/network/interfaces", ONE_STANZA)

    def reload(self) -> None:
        self.machine.chroot("ifreload", "-a")


class IfupdownNg(Ifupdown):
    """ifupdown-ng: other programs again, for the same files."""

    def configure(self) -> None:
        lay_over(self.machine, "ifupdown-ng")
        for name in ("ifup", "ifdown") if self.machine.exists("/usr/sbin/ifup-ng") else ():  # what Debian 13 calls them
            self.machine.chroot("ln", "-sf", f"{name}-ng", f"/usr/sbin/{name}")
        assert "ifupdown-ng" in self.machine.chroot("ifup", "-V", check=False)
        self.machine.write("/etc/network/interfaces", ONE_STANZA)


class Connman(Manager):
    """ConnMan, which has a service for each card."""

    def configure(self) -> None:
        lay_over(self.machine, "connman")
        self.machine.write("/etc/connman/main.conf", "[General]\nNetworkInterfaceBlacklist=wire,lo\n")
        self.machine.write("/var/lib/connman/lan.config", CONNMAN)

    def boot(self) -> None:
        self.machine.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        self.machine.wait(lambda: self.machine.exists("/run/dbus/system_bus_socket"), "D-Bus")
        self.start()

    def start(self) -> None:
        self.machine.chroot("mkdir", "-p", "/run/connman")
        self.daemon = self.machine.start("/usr/sbin/connmand", "--nodaemon", "--nodnsproxy")
        self.wait()

    def settled(self) -> bool:
        return "192.168.8.20/24" in "".join(self.machine.show("-o addr show dev ens18"))

    def restart(self) -> None:
        self.machine.stop(self.daemon)
        self.start()


class Dhcpcd(Manager):
    """dhcpcd for all interfaces, with fixed addresses for the one that matters."""

    def configure(self) -> None:
        lay_over(self.machine, "dhcpcd")
        self.machine.write("/etc/dhcpcd.conf", DHCPCD)
        self.machine.chroot(
            "sh", "-c", "grep -q ^dhcpcd: /etc/passwd || echo dhcpcd:x:999:65534::/var/lib/dhcpcd:/ >>/etc/passwd"
        )

    def boot(self) -> None:
        self.machine.chroot("mkdir", "-p", "/var/lib/dhcpcd", "/run/dhcpcd")
        self.machine.start("dhcpcd", "--nobackground")
        self.wait()

    def reload(self) -> None:
        self.machine.chroot("dhcpcd", "--rebind", "ens18")

    def restart(self) -> None:
        self.machine.stop()
        self.boot()

    def reconfigure(self) -> None:
        self.machine.chroot("dhcpcd", "--reconfigure", "ens18")
