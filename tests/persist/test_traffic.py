"""Packets flow while machines that were configured before podroutes came go through everything, on real managers.

After each event there is exactly one route for each pod CIDR, the right one, and its pod answers. No packet is lost where routes are
moved over, nor where the manager reads its files again, but by networkd 252, which takes the addresses of the link away for a moment.
"""

import pytest

from persist.machine import CHECKOUT, DUAL, INVENTORY, MACHINES, PROGRAMS, SEED, SIX
from persist.managers import (
    DHCPCD,
    INTERFACES,
    KEYFILE,
    NETWORK,
    ONE_STANZA,
    Dhcpcd,
    Ifupdown,
    Ifupdown2,
    IfupdownNg,
    NetplanNetworkd,
    Networkd,
    NetworkManager,
    rows,
)
from persist.traffic import PODS, Flow, Segment
from support import debian

WANTED = (*SEED, *SIX)
AWAY = {"192.168.8.21": "192.168.8.31", "fd00::21": "fd00::31"}  # where worker-1 moves
UP = "".join(f"    up ip route add {route}\n" for route in SEED)
UP_SIX = "".join(f"    up ip -6 route add {route}\n" for route in SIX)


def moved(text):
    """Return TEXT with the other addresses of worker-1."""
    for old, new in AWAY.items():
        text = text.replace(old, new)
    return text


MOVED = tuple(map(moved, WANTED))


def pairs(*routes):
    """Return destination and next hop of each of ROUTES."""
    return [route.split(" via ") for route in routes]


class TypedNetplan(NetplanNetworkd):
    """The tutorial's machine: the routes stand in the installer's file."""

    file = "/etc/netplan/00-installer-config.yaml"

    def configure(self):
        """Write the routes beside the address."""
        super().configure()
        routes = "".join(f'      - to: "{dst}"\n        via: "{via}"\n' for dst, via in pairs(*WANTED))
        self.machine.write(self.file, f"{self.machine.read(self.file)}      routes:\n{routes}", 0o600)


class TypedNetworkd(Networkd):
    """A .network file with the routes."""

    file = "/etc/systemd/network/20-lan.network"

    def configure(self):
        """Write them as sections."""
        routes = (f"[Route]\nDestination={dst}\nGateway={via}\n" for dst, via in pairs(*WANTED))
        self.machine.write(self.file, NETWORK + "".join(routes))


class TypedProfile(NetworkManager):
    """A profile with the routes."""

    file = "/etc/NetworkManager/system-connections/lan.nmconnection"

    def configure(self):
        """Write them as keys."""
        super().configure()
        text = KEYFILE
        for address, routes in (("192.168.8.20/24", SEED), ("fd00::20/64", SIX)):
            keys = "".join(f"route{n}={dst},{via}\n" for n, (dst, via) in enumerate(pairs(*routes), 1))
            text = text.replace(f"address1={address}\n", f"address1={address}\n{keys}")
        self.machine.write(self.file, text, 0o600)


class TypedUp(Ifupdown):
    """Lines at the end of /etc/network/interfaces."""

    file = "/etc/network/interfaces"

    def configure(self):
        """Write them where `tee -a` does."""
        self.machine.write(self.file, INTERFACES + UP + UP_SIX)


class TypedUp2(Ifupdown2):
    """The same for ifupdown2."""

    file = "/etc/network/interfaces"

    def configure(self):
        """Write them into the one stanza."""
        super().configure()
        self.machine.write(self.file, ONE_STANZA + UP + UP_SIX)


class TypedUpNg(IfupdownNg):
    """The same for ifupdown-ng."""

    file = "/etc/network/interfaces"

    def configure(self):
        """Write them into the one stanza."""
        super().configure()
        self.machine.write(self.file, ONE_STANZA + UP + UP_SIX)


class TypedDhcpcd(Dhcpcd):
    """Lines of dhcpcd.conf, which has no word for routes of IPv6."""

    file = "/etc/dhcpcd.conf"

    def configure(self):
        """Write them into the block of the interface."""
        super().configure()
        self.machine.write(self.file, DHCPCD + "".join(f"static routes={dst} {via}\n" for dst, via in pairs(*SEED)))


KINDS = {
    "netplan": TypedNetplan,
    "networkd": TypedNetworkd,
    "networkmanager": TypedProfile,
    "ifupdown": TypedUp,
    "ifupdown2": TypedUp2,
    "ifupdown-ng": TypedUpNg,
    "dhcpcd": TypedDhcpcd,
}
MOST = {("trixie", "ifupdown2"), ("system", "ifupdown-ng"), ("system", "dhcpcd")}
STAYING = rows(KINDS, without=MOST | {("system", "ifupdown2"), ("trixie", "ifupdown-ng")})
MOVING = rows([kind for kind in KINDS if kind != "dhcpcd"], without=MOST)
SMOOTH = {"moving over", "left alone", "reload"}  # in which no packet is lost, with the exception that stands above


class Story:
    """One machine, what happens to it, and the packets meanwhile."""

    def __init__(self, kind, machine, *, typed=False):
        """Boot it; with TYPED the routes are typed first and written into netplan's file then."""
        self.machine, self.manager = machine, kind(machine)
        self.blips = isinstance(self.manager, Networkd) and machine.version() < 255
        self.pods = PODS[:2] if kind is TypedDhcpcd else PODS
        self.wanted = WANTED[: len(self.pods)]
        self.segment = None
        machine.write(INVENTORY, self.inventory())
        self.plug()
        try:
            self.manager.configure()
        except debian.UnavailableError as error:
            pytest.skip(str(error))
        self.manager.boot()
        if typed:
            machine.ip(*(f"route add {route}" for route in self.wanted))
            TypedNetplan(machine).configure()
        machine.wait(lambda: self.table() == self.wanted, "the administrator's routes")

    def inventory(self):
        """Return the nodes, with podCIDRs of both IP versions where the routes have them."""
        return DUAL if len(self.pods) == len(PODS) else MACHINES

    def plug(self, *, away=False):
        """Give the wire another end, with worker-1 and worker-2 on it, worker-1 AWAY from where it was or not."""
        self.segment = Segment(self.machine)
        self.first = self.segment.node([*(AWAY.values() if away else AWAY)], PODS[::2])
        self.segment.node(["192.168.8.22", "fd00::22"], PODS[1::2])

    def table(self):
        """Return destination and next hop of every route to pods, whoever made it, each as often as it is there."""
        lines = [line for version in "46" for line in self.machine.show(f"-{version} route show")]
        return tuple(sorted(" ".join(line.split()[:3]) for line in lines if line.startswith(("10.200.", "fd00:10:"))))

    def happens(self, event, do, *, in_sync=True):
        """Have packets flow while DO is done; return how many were lost."""
        flow = Flow(self.pods)
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
            assert lost == dict.fromkeys(self.pods, 0), event
        if in_sync:
            assert self.machine.podroutes("plan").startswith("No changes.")
        return lost

    def _answered(self, flow, when):
        """Wait until every pod has answered more packets."""
        start = flow.answered()
        self.machine.wait(lambda: all(flow.answered()[pod] > start[pod] + 10 for pod in self.pods), f"answers {when}")

    def boot(self):
        """Boot, and see the routes and answers come back."""
        self.segment.close()
        self.machine.reboot()
        self.plug(away=self.is_away())
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
            self.machine.wait(
                lambda: not any(route.startswith("10.") for route in self.table()), "networkd has noticed"
            )  # the routes of IPv6 stay
        self.segment.carrier("up")

    def move(self):
        """Have worker-1 get another address, and the inventory say so."""
        self.segment.lose(self.first, PODS[::2])
        self.segment.node([*AWAY.values()], PODS[::2])
        self.machine.write(INVENTORY, moved(self.inventory()))
        self.wanted = MOVED[: len(self.pods)]
        self.machine.podroutes("apply")

    def is_away(self):
        """Whether worker-1 has moved."""
        return self.wanted == MOVED[: len(self.pods)]

    def move_back_meanwhile(self):
        """Boot, and find that worker-1 has its first addresses again: the file brings the routes of before, until `apply` is run."""
        self.segment.close()
        self.machine.reboot()
        self.plug(away=False)
        self.manager.boot()
        self.machine.wait(lambda: self.table() == self.wanted, "the routes of before after the boot", hold=0.7)
        self.machine.write(INVENTORY, self.inventory())
        self.wanted = WANTED[: len(self.pods)]
        self.machine.podroutes("apply")
        self.happens("moved back", lambda: None)


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


@pytest.mark.parametrize(("machine", "story"), STAYING, indirect=True)
def test_what_the_administrator_typed_stays_theirs(story):
    before = story.machine.files()
    story.happens("left alone", lambda: story.machine.podroutes("apply", "--persist", "auto"))
    through_everything(story)
    assert story.machine.files() == before
    story.machine.write(INVENTORY, moved(story.inventory()))
    said = story.machine.podroutes("apply", status=1)
    assert f"out of {story.manager.file}:" in said
    assert story.machine.files() == before | {INVENTORY.lstrip("/"): story.machine.read(INVENTORY)}


@pytest.mark.parametrize(("machine", "story"), MOVING, indirect=True)
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
    story.move_back_meanwhile()
    story.happens("reload", story.manager.reload)
    assert story.machine.routes() == [(route, "107") for route in story.wanted]


def test_a_route_that_dhcpcd_makes_with_a_source_address_is_not_taken_over(machine):
    manager = TypedDhcpcd(machine)
    try:
        manager.configure()
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    manager.boot()
    machine.wait(lambda: len(machine.routes()) == 2, "dhcpcd's routes")
    before = machine.files()
    said = machine.podroutes("apply", "--adopt", "--persist", "auto", "--edit-admin-config", status=1)
    assert "2 wanted are somebody else's, and none is identical to a route of ours" in said
    assert "as it has src 192.168.8.20" in said
    assert machine.files() == before


def recipe():
    """Return the commands of the documentation that lead from the tutorial's page to podroutes in charge, each with its comment."""
    text = (CHECKOUT / "docs/persistence.md").read_text()
    block = text.partition("From the tutorial's page to podroutes in charge:\n\n```\n")[2].partition("```")[0]
    return [line.partition("# ")[2].partition("#")[::2] for line in block.splitlines()]


@pytest.mark.parametrize("netplan_applied", [True, False])
def test_the_recipe_of_the_documentation_loses_no_packet_on_the_tutorials_machine(machine, netplan_applied):
    """The reader has typed the routes, has written them into netplan's file, and has had netplan apply it or not."""
    story = Story(TypedNetplan if netplan_applied else NetplanNetworkd, machine, typed=not netplan_applied)
    try:
        machine.write(f"{PROGRAMS}/podroutes", f'#!/bin/sh\nexec {machine.python} -m podroutes "$@"\n', 0o755)
        steps = dict(recipe())
        plan, apply, show, reload, again = (
            command.strip().replace("-i machines.txt", f"-i {INVENTORY} --node worker-0") for command in steps
        )
        assert "+      routes: []" in machine.chroot("sh", "-c", plan, check=False)
        story.happens("moving over", lambda: machine.chroot("sh", "-c", apply))
        assert all(line.endswith("  ok") for line in machine.chroot("sh", "-c", show).splitlines())
        if not story.blips:
            story.happens("reload", lambda: machine.chroot("sh", "-c", reload))
        story.boot()
        assert machine.chroot("sh", "-c", again).startswith("No changes.")
        assert machine.routes() == [(route, "107") for route in WANTED]
    finally:
        story.segment.close()


def test_a_profile_that_networkmanager_has_in_mind_still_is_told_and_cured(machine):
    manager = TypedProfile(machine)
    machine.write(INVENTORY, DUAL)
    manager.configure()
    manager.boot()
    said = machine.podroutes("apply", "--adopt", "--persist", "auto", "--edit-admin-config")
    assert "to apply it now: nmcli connection reload" in said
    machine.chroot("nmcli", "connection", "up", "lan")  # with the profile of before
    static = [(route, "static") for route in WANTED]
    machine.wait(lambda: machine.routes() == static, "the routes of before", hold=0.7)
    assert "by `nmcli connection reload` and `podroutes apply --adopt`" in machine.podroutes("plan")
    machine.chroot("nmcli", "connection", "reload")
    machine.podroutes("apply", "--adopt")
    assert machine.routes() == [(route, "107") for route in WANTED]
    machine.chroot("nmcli", "connection", "up", "lan")
    machine.wait(lambda: machine.routes() == [(route, "107") for route in WANTED], "the routes", hold=0.7)
    assert machine.podroutes("plan").startswith("No changes.")
