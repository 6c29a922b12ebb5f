"""What the scripts of NetworkManager and ifupdown do to a kernel."""

import subprocess

import pytest

from podroutes.model.persisted import PersistedRoute, RenderContext
from podroutes.persist import backend
from support.notation import route

ROUTE = "10.200.1.0/24 via 192.168.8.21 dev ens18"


EVENTS = {
    "networkmanager": (("ens18", "up"), {}),
    "ifupdown": ((), {"IFACE": "ens18", "ADDRFAM": "inet"}),
    "dhcpcd": ((), {"interface": "ens18", "reason": "BOUND", "if_up": "true"}),
}


def start(name, *words, **environment):
    """Start the script of a backend as its manager does; what it leaves in the background holds its output open."""
    (file,) = backend(name).render([PersistedRoute(route(ROUTE), "worker-1")], RenderContext({"ens18": "ens18"}))
    process = subprocess.Popen(
        ["sh", "-c", file.text, "script", *words], env=environment | {"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE
    )
    assert process.wait() == 0, "it never fails"
    return process


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("there", ["192.168.8.21 proto 107", "192.168.8.99", "192.168.8.99 proto static"])
def test_what_is_there_stays_as_it_is(worker, name, there):
    worker.ip(f"route add 10.200.1.0/24 via {there}")
    before = worker.show()
    words, environment = EVENTS[name]
    start(name, *words, **environment).communicate()
    assert worker.show() == before


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_missing_is_added(worker, name):
    words, environment = EVENTS[name]
    start(name, *words, **environment).communicate()
    assert [line for line in worker.show() if "via" in line] == [f"{ROUTE} proto 107"]


def test_other_devices_and_events_are_none_of_our_business(worker):
    start("networkmanager", "wire", "up").communicate()
    start("networkmanager", "ens18", "down").communicate()
    start("ifupdown", IFACE="lo").communicate()
    start("dhcpcd", interface="lo", reason="STATIC", if_up="true").communicate()
    start("dhcpcd", interface="ens18", reason="NOCARRIER", if_up="false").communicate()
    assert "via" not in "".join(worker.show())


def test_networkmanager_says_up_before_the_addresses_of_both_ip_versions_are_there(worker):
    worker.ip("addr delete 192.168.8.20/24 dev ens18")
    script = start("networkmanager", "ens18", "up")
    worker.ip("addr add 192.168.8.20/24 dev ens18")
    script.communicate()
    assert [line for line in worker.show() if "via" in line] == [f"{ROUTE} proto 107"]
