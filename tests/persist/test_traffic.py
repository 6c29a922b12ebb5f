"""Packets flow while machines that were configured before podroutes came go through everything, on real managers.

After each event there is exactly one route for each pod CIDR, the right one, and its pod answers. No packet is lost where routes are
moved over, nor where the manager reads its files again, but by networkd 252, which takes the addresses of the link away for a moment.
"""

import pytest

from persist.machine import INVENTORY, MACHINES, SEED
from persist.managers import INTERFACES, KEYFILE, NETWORK, Ifupdown, NetplanNetworkd, Networkd, NetworkManager
from persist.traffic import PODS, Flow, Segment

MOVED = ("10.200.1.0/24 via 192.168.8.31", SEED[1])


class TypedNetplan(NetplanNetworkd):
    """The tutorial's machine: the routes stand in the installer's file."""

    file, backend = "/etc/netplan/00-installer-config.yaml", "networkd"

    def configure(self):
        """Write the routes beside the address."""
        super().configure()
        routes = "".join(f"      - to: 10.200.{n}.0/24\n        via: 192.168.8.2{n}\n" for n in (1, 2))
        self.machine.write(self.file, f"{self.machine.read(self.file)}      routes:\n{routes}", 0o600)


class TypedNetworkd(Networkd):
    """A .network file with the routes."""

    file, backend = "/etc/systemd/network/20-lan.network", "networkd"

    def configure(self):
        """Write them as sections."""
        routes = (f"[Route]\nDestination=10.200.{n}.0/24\nGateway=192.168.8.2{n}\n" for n in (1, 2))
        self.machine.write(self.file, NETWORK + "".join(routes))


class TypedProfile(NetworkManager):
    """A profile with the routes."""

    file, backend = "/etc/NetworkManager/system-connections/lan.nmconnection", "networkmanager"

    def configure(self):
        """Write them as keys."""
        super().configure()
        address = "address1=192.168.8.20/24\n"
        routes = "".join(f"route{n}=10.200.{n}.0/24,192.168.8.2{n}\n" for n in (1, 2))
        self.machine.write(self.file, KEYFILE.replace(address, address + routes), 0o600)


class TypedUp(Ifupdown):
    """Lines at the end of /etc/network/interfaces."""

    file, backend = "/etc/network/interfaces", "ifupdown"

    def configure(self):
        """Write them where `tee -a` does."""
        lines = "".join(f"up ip route add 10.200.{n}.0/24 via 192.168.8.2{n}\n" for n in (1, 2))
        self.machine.write(self.file, INTERFACES + lines)


KINDS = {"netplan": TypedNetplan, "networkd": TypedNetworkd, "networkmanager": TypedProfile, "ifupdown": TypedUp}
SMOOTH = {"moving over", "left alone", "reload"}  # in which no packet is lost, with the exception that stands above


class Story:
    """One machine, what happens to it, and the packets meanwhile."""

    def __init__(self, kind, machine):
        self.machine, self.manager = machine, kind(machine)
        self.blips = isinstance(self.manager, Networkd) and machine.version() < 255
        self.wanted = SEED
        self.segment = None
        self.plug()
        self.manager.configure()
        self.manager.boot()
        machine.wait(lambda: self.table() == SEED, "the administrator's routes")

    def plug(self):
        """Give the wire another end, with worker-1 and worker-2 on it."""
        self.segment = Segment(self.machine)
        first = "192.168.8.31" if self.wanted == MOVED else "192.168.8.21"
        self.first = self.segment.node(first, PODS[0])
        self.segment.node("192.168.8.22", PODS[1])

    def table(self):
        """Return destination and next hop of every route to pods, whoever made it, each as often as it is there."""
        lines = self.machine.show("-4 route show")
        return tuple(sorted(" ".join(line.split()[:3]) for line in lines if line.startswith("10.200.")))

    def happens(self, event, do, *, in_sync=True):
        """Have packets flow while DO is done; return how many were lost."""
        flow = Flow()
        try:
            self._answered(flow, f"before: {event}")
            do()
            self.machine.wait(
                lambda: self.manager.settled() and self.table() == self.wanted, f"the routes after: {event}", hold=0.7
            )
            self._answered(flow, f"after: {event}")
        finally:
            lost = flow.stop()
        if event in SMOOTH and not self.blips:
            assert lost == dict.fromkeys(PODS, 0), event
        if in_sync:
            assert self.machine.podroutes("plan").startswith("No changes.")
        return lost

    def _answered(self, flow, when):
        """Wait until every pod has answered more packets."""
        start = flow.answered()
        self.machine.wait(lambda: all(flow.answered()[pod] > start[pod] + 10 for pod in PODS), f"answers {when}")

    def boot(self):
        """Boot, and see the routes and answers come back."""
        self.segment.close()
        self.machine.reboot()
        self.plug()
        self.manager.boot()
        self.machine.wait(lambda: self.table() == self.wanted, "the routes after the boot", hold=0.7)
        self.happens("boot", lambda: None)

    def carrier(self):
        """Pull the cable and plug it in again."""
        self.segment.carrier("down")
        self.machine.wait(lambda: "NO-CARRIER" in self.machine.show("link show dev ens18")[0], "no carrier")
        if isinstance(
            self.manager, Networkd
        ):  # 252 fails where the carrier is back before it has taken everything away
            self.machine.wait(lambda: self.table() == (), "networkd has noticed")
        self.segment.carrier("up")

    def move(self):
        """Have worker-1 get another address, and the inventory say so."""
        self.segment.lose(self.first, PODS[0])
        self.segment.node("192.168.8.31", PODS[0])
        self.machine.write(INVENTORY, MACHINES.replace("192.168.8.21", "192.168.8.31"))
        self.wanted = MOVED
        self.machine.podroutes("apply")


@pytest.fixture
def story(machine, request):
    made = Story(KINDS[request.param], machine)
    yield made
    made.segment.close()


def through_everything(story):
    story.happens("reload", story.manager.reload)
    story.happens("restart", story.manager.restart)
    story.happens("carrier", story.carrier)
    story.boot()


@pytest.mark.parametrize("story", KINDS, indirect=True)
def test_what_the_administrator_typed_stays_theirs(story):
    before = story.machine.files()
    story.happens("left alone", lambda: story.machine.podroutes("apply", "--persist", "auto"))
    through_everything(story)
    assert story.machine.files() == before
    story.machine.write(INVENTORY, MACHINES.replace("192.168.8.21", "192.168.8.31"))
    said = story.machine.podroutes("apply", status=1)
    assert f"out of {story.manager.file}:" in said
    assert story.machine.files() == before | {INVENTORY.lstrip("/"): story.machine.read(INVENTORY)}


@pytest.mark.parametrize("story", KINDS, indirect=True)
def test_moving_over_loses_no_packet_and_nothing_that_follows_a_route(story):
    path = story.manager.file
    before = story.machine.read(path)
    words = ("apply", "--adopt", "--persist", "auto", "--edit-admin-config")
    story.happens("moving over", lambda: story.machine.podroutes(*words))
    assert "10.200." not in story.machine.read(path)
    head, _, name = path.rpartition("/")
    assert story.machine.read(f"{head}/.{name}.before-podroutes") == before
    # Until networkd has read its files it adds the static routes of before again: one each, and our file keeps them for the boot.
    story.happens("carrier", story.carrier)
    files = story.machine.files()
    story.machine.podroutes("apply")
    story.machine.podroutes("apply", "--adopt")
    assert story.machine.files() == files
    through_everything(story)
    story.happens("a node moves", story.move)
    story.boot()
    assert story.machine.routes() == [(route, "107") for route in MOVED]
