"""What the kernel announces, and what it does not: the hints that the agent goes by."""

import os
import socket

import pytest

from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelEvents, KernelWatch, program_of
from podroutes.model.address import parse_prefix
from podroutes.model.plan import Change
from support.notation import route
from support.waiting import until

V4 = "10.200.1.0/24 via 192.168.8.21 dev ens18"
V6 = "fd00:200:1::/64 via fd00::21 dev ens18"


@pytest.fixture
def kernel(worker):
    with NetlinkKernel() as real:
        yield real


@pytest.fixture
def watch(kernel, worker):
    with KernelWatch(kernel.port) as listening:
        # The kernel tells of new carriers when it comes to that, holding the lock that the second command has to wait for.
        until(lambda: all(" UP " in line for line in worker.show("-br link show type veth")))
        worker.ip("link set lo up")
        listening.read({})
        yield listening


@pytest.fixture
def heard(watch, worker):
    """Return what is announced, with the names of devices."""
    names = {worker.index("ens18"): "ens18"}
    return lambda: watch.read(names)


@pytest.mark.parametrize("text", [V4, V6, f"{V4} metric 77"])
def test_our_own_changes_are_not_heard(kernel, heard, text):
    assert kernel.apply([Change("add", route(text)), Change("delete", route(text))]) == {}
    assert heard() == KernelEvents()


@pytest.mark.parametrize("text", [V4, V6, f"{V4} metric 77"])
def test_a_route_of_ours_that_somebody_takes_is_told_as_it_was(kernel, worker, heard, text):
    kernel.apply([Change("add", route(text))])
    worker.ip(f"route del {text}")
    ((gone, port),) = (found := heard()).deleted
    assert gone == route(text)
    assert port > 0
    assert found == KernelEvents(((gone, port),), changed=frozenset([gone.dst]))


def test_what_others_put_is_told_by_destination(worker, heard):
    dst = parse_prefix("10.200.1.0/24")
    worker.ip(f"route add {V4} proto static")
    assert heard() == KernelEvents(added=frozenset([dst]), changed=frozenset([dst]))
    worker.ip(f"route del {V4} proto static")
    assert heard() == KernelEvents(changed=frozenset([dst]))


def test_which_link_changed_is_told(worker, heard):
    worker.ip("link set wire alias pods")
    assert heard().touched == {worker.index("wire")}
    worker.ip("addr add 192.168.8.99/24 dev ens18")
    assert heard().touched == {worker.index("ens18")}
    worker.ip("nexthop add id 5 blackhole")
    assert heard().touched == {0}


def test_who_uses_our_number_is_noticed(worker, heard):
    worker.ip(f"route add {V4} proto 107")
    assert heard().foreign_changes


def test_other_tables_are_none_of_our_business(worker, heard):
    worker.ip(f"route add {V4} proto 107 table 77", f"route add {V4} proto 107 table 7777")
    assert heard() == KernelEvents()


def test_the_default_route_is_a_destination(worker, heard):
    worker.ip("route add default via 192.168.8.1")
    assert heard().added == {parse_prefix("0.0.0.0/0")}


@pytest.mark.parametrize(
    "command", ["link set ens18 down", "addr del 192.168.8.20/24 dev ens18", "addr add 192.168.8.77/24 dev ens18"]
)
def test_links_and_addresses_tell_of_what_goes_without_a_word(kernel, worker, heard, command):
    kernel.apply([Change("add", route(V4))])
    worker.ip(command)
    found = heard()
    assert found.links_or_addresses
    assert not [gone for gone, _ in found.deleted if gone.dst.version == 4], "IPv4 routes go silently"


def test_nexthop_objects_are_surroundings(worker, heard):
    worker.ip("nexthop add id 5 via 192.168.8.21 dev ens18")
    assert heard().links_or_addresses


def test_policy_rules_are_surroundings(worker, heard):
    worker.ip("rule add pref 5270 lookup 52")
    assert heard().links_or_addresses
    worker.show("-6 rule add pref 5270 lookup 52")
    assert heard().links_or_addresses


def test_what_did_not_fit_is_told(kernel, worker, watch):
    watch._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    worker.ip(*(f"route add 10.66.{third}.0/24 via 192.168.8.9" for third in range(64)))
    assert watch.read({}).overflow


def test_a_flood_is_read_in_portions(worker, watch, monkeypatch):
    monkeypatch.setattr("podroutes.kernel.watch._MOST", 100)
    worker.ip(*(f"route add 10.66.{third}.0/24 via 192.168.8.9" for third in range(150)))
    first = watch.read({})
    assert (first.more, len(first.added)) == (True, 100)
    second = watch.read({})
    assert (second.more, len(first.added | second.added)) == (False, 150)


def test_the_program_behind_a_port_is_named_where_it_can_be():
    assert program_of(os.getpid())
    assert program_of(0) == ""
    assert program_of((1 << 32) - 5) == ""
