"""After every event there is exactly one route for each prefix, it is right, and `plan` says in sync: with the real managers."""

import pytest

from persist.machine import DUAL, INVENTORY, SEED, SIX
from persist.managers import Dhcpcd, Ifupdown, Ifupdown2, IfupdownNg, NetplanNetworkd, Networkd, NetworkManager, rows
from podroutes.persist import GONE, THERE, backend
from support import debian

CASES = {
    "networkd": (Networkd, "auto", "107"),
    "netplan-in-networkd": (NetplanNetworkd, "auto", "107"),
    "netplan": (NetplanNetworkd, "netplan", "static"),
    "networkmanager": (NetworkManager, "auto", "107"),
    "ifupdown": (Ifupdown, "auto", "107"),
    "ifupdown2": (Ifupdown2, "auto", "107"),
    "ifupdown-ng": (IfupdownNg, "auto", "107"),
    "dhcpcd": (Dhcpcd, "auto", "107"),
}
ON = rows(CASES, without={("trixie", "ifupdown2"), ("trixie", "dhcpcd"), ("system", "ifupdown-ng")})


@pytest.fixture
def kept(machine, request):
    """Return a machine whose manager runs and whose routes were written down, and a check that they are as they should be."""
    kind, backend, protocol = CASES[request.param]
    machine.write(INVENTORY, DUAL)
    manager = kind(machine)
    try:
        manager.configure()
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    manager.boot()
    before = machine.files()
    machine.podroutes("apply", "--persist", backend)
    assert {path: text for path, text in machine.files().items() if path in before} == before, "theirs stay as they are"
    expected = sorted((route, protocol) for route in (*SEED, *SIX))
    assert machine.routes() == expected

    def check() -> None:
        # Managers answer before they are done: what is right has to stay right.
        machine.wait(lambda: manager.settled() and machine.routes() == expected, f"the routes {expected}", hold=0.7)
        assert machine.podroutes("plan").startswith("No changes.")

    return machine, manager, check


def after_reload(event):
    """Return EVENT once the manager has read the file: until then its own idea of the link has no routes of ours."""

    def happen(manager):
        manager.reload()
        manager.wait()
        event(manager)

    return happen


def reboot(manager):
    manager.machine.reboot()
    manager.boot()


def apply_while_down(manager):
    """Run apply while the link is down, some managers have taken its addresses away, and no node can be reached."""
    manager.machine.ip("link set ens18 down")
    manager.machine.wait(lambda: manager.machine.routes() == [], "the kernel has flushed the routes")
    files = manager.machine.files()
    assert "4 errors" in manager.machine.podroutes("apply", status=1)
    assert manager.machine.files() == files
    manager.machine.ip("link set ens18 up")


EVENTS = {
    "reload": lambda manager: manager.reload(),
    "reconfigure": after_reload(lambda manager: manager.reconfigure()),
    "restart": after_reload(lambda manager: manager.restart()),
    "carrier": after_reload(lambda manager: manager.machine.flap("wire")),
    "link": after_reload(lambda manager: manager.machine.flap("ens18")),
    "link-apply": after_reload(apply_while_down),
    "reboot": reboot,
}
BACKENDS = {
    "netplan-in-networkd": "networkd",
    "ifupdown2": "ifupdown",
    "ifupdown-ng": "ifupdown",
}  # where it is not called like the case


def survives(case: str, event: str) -> str:
    """Return what the documentation's table says becomes of the routes."""
    words = {"reload": "manager", "reconfigure": "manager", "restart": "manager", "link-apply": "link"}
    return backend(BACKENDS.get(case, case)).SURVIVES[words.get(event, event)]


@pytest.mark.parametrize(("machine", "kept"), ON, indirect=True)
@pytest.mark.parametrize("event", EVENTS)
def test_the_routes_are_right_after(kept, event, request):
    machine, manager, check = kept
    EVENTS[event](manager)
    said = survives(request.node.callspec.params["kept"], event)
    assert said.startswith(THERE) != (said == GONE)
    if said == GONE:
        manager.restore()
        machine.wait(lambda: machine.routes() == [], "the kernel has flushed the routes")
        assert "4 to add" in machine.podroutes("plan", status=2)
        machine.podroutes("apply")
    check()
