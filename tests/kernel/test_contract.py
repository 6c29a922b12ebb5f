"""The kernel's behaviour that the plan relies on, held against the real kernel and against the one in memory alike."""

import errno
import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from podroutes.errors import KernelError
from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.netlink import BATCH, NetlinkKernel
from podroutes.model.plan import Change
from podroutes.plan.refusals import results
from podroutes.rtnl.decode import RouteDump
from support.notation import SEED, address, cluster, link, planned, route

V4 = "10.200.1.0/24 via 192.168.8.21 dev ens18"
V6 = "fd00:200:1::/64 via fd00::21 dev ens18"


@pytest.fixture(params=["memory", "linux"])
def kernel(request):
    if request.param == "memory":
        addresses = map(address, ("192.168.8.20/24 dev ens18", "fd00::20/64 dev ens18"))
        yield MemoryKernel([link("lo", 1), link("ens18", 2)], addresses)
    else:
        request.getfixturevalue("worker")
        with NetlinkKernel() as real:
            yield real


def apply(kernel, action, *texts):
    refused = kernel.apply([Change(action, route(text)) for text in texts])
    return {position: why.errno for position, why in refused.items()}


def main_table(kernel):
    fib = kernel.snapshot()
    return {each for each in (*fib.ours(), *fib.others) if each.kind != "multicast"}


def test_a_snapshot_tells_links_addresses_and_connected_routes(kernel):
    fib = kernel.snapshot()
    ens18 = next(link for link in fib.links if link.name == "ens18")
    assert (ens18.up, ens18.carrier) == (True, True)
    assert {address("192.168.8.20/24 dev ens18"), address("fd00::20/64 dev ens18")} <= set(fib.addresses)
    connected = {(str(each.dst), each.dev, each.protocol) for each in fib.others}
    assert {("192.168.8.0/24", "ens18", 2), ("fd00::/64", "ens18", 2)} <= connected


@pytest.mark.parametrize("text", [V4, V6, f"{V4} metric 77", f"{V6} metric 77"])
def test_what_is_added_is_read_back(kernel, text):
    assert apply(kernel, "add", text) == {}
    assert list(kernel.snapshot().ours()) == [route(text)]
    assert list(kernel.ours()) == [route(text)]
    assert apply(kernel, "add", text) == {0: errno.EEXIST}
    assert apply(kernel, "delete", text) == {}
    assert list(kernel.ours()) == []


@pytest.mark.parametrize(("old", "new"), [(V4, V4.replace(".21", ".22")), (V6, V6.replace("::21", "::22"))])
def test_replace_moves_the_next_hop_in_place(kernel, old, new):
    apply(kernel, "add", old)
    assert apply(kernel, "replace", new) == {}
    assert list(kernel.snapshot().ours()) == [route(new)]


@pytest.mark.parametrize("text", [V4, V6])
def test_replace_creates_nothing(kernel, text):
    assert apply(kernel, "replace", text) == {0: errno.ENOENT}
    assert list(kernel.snapshot().ours()) == []


def test_replace_ignores_whose_the_route_is(kernel):
    """Which is why a table is read before it is written."""
    apply(kernel, "add", f"{V4} proto static")
    assert apply(kernel, "replace", V4) == {}
    assert list(kernel.ours()) == [route(V4)]


@pytest.mark.parametrize(
    "near",
    [
        f"{V4} proto static",
        f"{V4} metric 5",
        "10.200.1.0/24 via 192.168.8.22 dev ens18",
        f"{V6} proto static",
        f"{V6} metric 5",
    ],
)
def test_delete_hits_nothing_but_the_exact_route(kernel, near):
    """Protocol, metric and gateway are all part of what is asked to go."""
    exact = V6 if near.startswith("fd") else V4
    apply(kernel, "add", exact)
    before = main_table(kernel)
    assert apply(kernel, "delete", near) == {0: errno.ESRCH}
    assert main_table(kernel) == before


def test_a_route_of_another_table_is_none_of_the_main_one(kernel):
    other = "unreachable 10.200.1.0/24 table 300"
    assert apply(kernel, "add", V4, other) == {}
    assert list(kernel.snapshot().ours()) == [route(V4)]
    assert set(kernel.ours()) == {route(V4), route(other)}
    assert apply(kernel, "delete", other) == {}
    assert list(kernel.ours()) == [route(V4)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.200.1.0/24 via 172.16.0.1 dev ens18", {errno.ENETUNREACH}),
        ("fd00:200:1::/64 via fd99::1 dev ens18", {errno.ENETUNREACH, errno.EHOSTUNREACH}),
        ("10.200.1.0/24 via 192.168.8.21 dev nowhere0", {errno.ENODEV}),
    ],
)
def test_a_refusal_names_its_reason_and_stops_no_other(kernel, text, why):
    others = ["10.200.8.0/24 via 192.168.8.28 dev ens18", "10.200.9.0/24 via 192.168.8.29 dev ens18"]
    refused = apply(kernel, "add", others[0], text, others[1])
    assert refused.keys() == {1}
    assert refused[1] in why
    assert set(kernel.ours()) == set(map(route, others))


def test_the_seed_applied_is_in_sync(kernel):
    assert kernel.apply(planned(SEED, kernel).changes) == {}
    assert planned(SEED, kernel).in_sync


def test_thousands_of_routes_of_both_families_go_and_come(kernel):
    """More than one batch and more than one datagram, with routes of others in between."""
    count = 1500
    inventory = cluster(
        "worker-0 192.168.8.20,fd00::20 10.200.0.0/24",
        *(
            f"n{i} 192.168.8.{i % 200 + 40},fd00::{i + 64:x} 10.{201 + (i >> 8)}.{i & 255}.0/24,fd00:201:{i:x}::/64"
            for i in range(200)
        ),
        *(f"m{i} fd00::1:{i:x} fd00:202:{i:x}::/64" for i in range(count)),
    )
    apply(
        kernel,
        "add",
        "10.201.50.128/25 via 192.168.8.9 dev ens18 proto static",
        "fd00:202:5::/80 via fd00::9 dev ens18 proto static",
    )
    plan = planned(inventory, kernel)
    assert len(plan.changes) == 2 * 200 + count
    assert kernel.apply(plan.changes) == {}
    again = planned(inventory, kernel)
    assert (again.changes, again.unchanged) == ((), 2 * 200 + count)
    assert sum(1 for _ in kernel.snapshot().ours()) == 2 * 200 + count
    gone = [Change("delete", each) for each in kernel.ours()]
    assert kernel.apply(gone) == {}
    assert list(kernel.ours()) == []


# --- what only the real kernel can show ------------------------------------------------------------------------------


@pytest.fixture
def linux(worker):
    with closing(NetlinkKernel()) as kernel:
        yield kernel


def ipv4_nodes(count):
    return cluster(
        "worker-0 172.16.0.1",
        *(f"n{i} 172.16.{(i + 2) >> 8}.{(i + 2) & 255} 10.{100 + (i >> 8)}.{i & 255}.0/24" for i in range(count)),
    )


def test_a_run_that_changes_nothing_is_five_dumps_and_no_write(worker, linux):
    """Links, addresses, policy rules, and the main table of each IP version: never a dump a node."""
    worker.ip("addr add 172.16.0.1/12 dev ens18")
    inventory = ipv4_nodes(3 * BATCH)
    linux.apply(planned(inventory, linux).changes)
    dumps, batches, messages = linux.dumps, linux.batches, linux.messages
    assert (dumps, batches, messages) == (5, 3, 3 * BATCH)
    linux.apply(planned(inventory, linux).changes)
    assert (linux.dumps - dumps, linux.batches - batches) == (5, 0)


def test_one_node_that_moves_among_many_is_one_message(worker, linux):
    worker.ip("addr add 172.16.0.1/12 dev ens18")
    inventory = ipv4_nodes(1200)
    linux.apply(planned(inventory, linux).changes)
    nodes = list(inventory.nodes)
    nodes[700] = nodes[700]._replace(internal_ips=(nodes[0].internal_ips[0]._replace(value=0xAC1FFFF0),))
    messages = linux.messages
    plan = planned(inventory._replace(nodes=tuple(nodes)), linux)
    assert [change.action for change in plan.changes] == ["replace"]
    assert linux.apply(plan.changes) == {}
    assert linux.messages - messages == 1


def test_two_routes_of_one_metric_are_told_apart_by_their_gateway(worker, linux):
    worker.ip(
        "route append 10.200.1.0/24 via 192.168.8.98 proto 107",
        "route append 10.200.1.0/24 via 192.168.8.21 proto 107",
        "route append 10.200.1.0/24 via 192.168.8.99 proto 107",
    )
    assert linux.apply(planned(SEED, linux).changes) == {}
    assert planned(SEED, linux).in_sync
    assert worker.show("route show proto 107") == [
        "10.200.1.0/24 via 192.168.8.21 dev ens18",
        "10.200.2.0/24 via 192.168.8.22 dev ens18",
    ]


def test_an_ipv6_sibling_through_a_stale_node_goes(worker, linux):
    inventory = cluster("worker-0 fd00::20", "worker-1 fd00::21 fd00:200:1::/64")
    worker.ip("route add fd00:200:1::/64 via fd00::21 proto 107", "route append fd00:200:1::/64 via fd00::99 proto 107")
    plan = planned(inventory, linux)
    assert [change.action for change in plan.changes] == ["replace"]
    assert linux.apply(plan.changes) == {}
    assert planned(inventory, linux).in_sync
    assert list(linux.ours()) == [route("fd00:200:1::/64 via fd00::21 dev ens18")]


def test_an_ecmp_route_of_ours_is_narrowed_or_deleted_whole(worker, linux):
    ways = "nexthop via 192.168.8.21 nexthop via 192.168.8.99"
    worker.ip(
        f"route add 10.200.1.0/24 proto 107 {ways}",
        f"route add 10.200.77.0/24 proto 107 {ways}",
        f"route add 10.200.88.0/24 {ways}",
    )
    plan = planned(SEED, linux)
    assert [(change.action, str(change.route.dst)) for change in plan.changes] == [
        ("replace", "10.200.1.0/24"),
        ("add", "10.200.2.0/24"),
        ("delete", "10.200.77.0/24"),
    ]
    assert linux.apply(plan.changes) == {}
    assert planned(SEED, linux).in_sync
    assert any("10.200.88.0/24" in line for line in worker.show())


def test_ours_in_another_table_is_found_by_protocol_alone(worker, linux):
    worker.ip(
        "route add 10.200.7.0/24 via 192.168.8.21 proto 107 table 300",
        "route add blackhole 10.200.8.0/24 proto 107 table 300",
        "route add 10.200.9.0/24 via 192.168.8.21 table 300",
    )
    ours = linux.ours()
    assert {(str(each.dst), each.table) for each in ours} == {("10.200.7.0/24", 300), ("10.200.8.0/24", 300)}
    assert linux.snapshot().plain[4].dst == []
    assert linux.apply([Change("delete", each) for each in ours]) == {}
    assert linux.ours() == ()
    assert len(worker.show("route show table 300")) == 1


def test_an_interrupted_dump_is_asked_for_again(worker, linux, monkeypatch):
    worker.ip("route add 10.200.1.0/24 via 192.168.8.21 proto 107")
    feed, fed = RouteDump.feed, []

    def interrupted_once(self, datagram):
        end = feed(self, datagram)
        if end is not None and not fed:
            self.interrupted = True
            fed.append(self)
        return end

    monkeypatch.setattr(RouteDump, "feed", interrupted_once)
    assert list(linux.snapshot().ours()) == [route("10.200.1.0/24 via 192.168.8.21 dev ens18")]
    assert linux.dumps == 6


def test_a_table_that_never_holds_still_is_an_error_not_an_empty_table(worker, linux, monkeypatch):
    monkeypatch.setattr(RouteDump, "interrupted", property(lambda _: True, lambda _, __: None), raising=False)
    with pytest.raises(KernelError, match="try again"):
        linux.snapshot()


def test_answers_that_the_kernel_has_no_room_for_are_read_from_the_table(worker, linux):
    """With the smallest receive buffer most refusals are lost (ENOBUFS); what stands is found out all the same."""
    routes = [f"10.200.{i}.0/24 via 192.168.8.21 dev ens18" for i in range(BATCH)]
    linux.apply([Change("add", route(text)) for text in routes[::2]])
    linux._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    refused = linux.apply([Change("add", route(text)) for text in routes])
    assert {why.errno for why in refused.values()} <= {errno.EEXIST, errno.ENOBUFS}
    assert len(linux.ours()) == BATCH
    assert {position for position in refused if position % 2} == set()


def test_without_ipv6_there_is_an_ipv4_table(bare, linux):
    bare.ip("link set lo up")
    assert linux.snapshot().plain[6].dst == []


def test_the_kernels_words_become_advice(worker, linux):
    worker.ip("link add down0 type veth peer name down1")
    changes = tuple(
        Change("add", route(text))
        for text in (
            "10.200.1.0/24 via 172.16.0.1 dev ens18",
            "10.200.2.0/24 dev down0",
            "10.200.3.0/24 via 192.168.8.22 dev gone0",
        )
    )
    told = [result.refusal.text for result in results(changes, linux.apply(changes))]
    assert "Nexthop has invalid gateway (the next hop is not on a network" in told[0]
    assert "ip link set down0 up" in told[1]
    assert told[2] == "No such device (the device is gone: run it again)"


# Run without CAP_NET_ADMIN: every change is refused, and what is read afterwards has nothing of these refusals in it.
REFUSED = """
from podroutes.errors import KernelError
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Change
from support.notation import route

with NetlinkKernel() as kernel:
    before = kernel.snapshot()
    try:
        kernel.apply([Change("add", route(f"10.{n >> 8}.{n & 255}.0/24 via 192.168.8.21 dev ens18")) for n in range(300)])
    except KernelError as error:
        print(error)
    print([kernel.snapshot() == before for _ in range(3)])
"""


def test_a_conversation_that_is_given_up_leaves_nothing_behind(worker):
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*dropped, sys.executable, "-c", REFUSED],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    refusal, *rest = done.stdout.splitlines()
    assert "CAP_NET_ADMIN" in refusal
    assert rest == ["[True, True, True]"]
