"""Somebody else replaces a route between our look at the table and our write: noticed, told, and put back as it was."""

import errno
import socket
from pathlib import Path

import pytest

from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.replacing import Replacing
from podroutes.model.plan import Change
from podroutes.rtnl import meanwhile
from podroutes.views import iproute
from support.notation import address, link, route

V4 = "10.200.1.0/24 via 192.168.8.21 dev ens18"
V6 = "fd00:200:1::/64 via fd00::21 dev ens18"


def via(text, last):
    """Return a route through another address."""
    return text.replace("21 dev", f"{last} dev")


@pytest.fixture
def kernel(worker):
    with NetlinkKernel() as real:
        yield real


@pytest.fixture
def replaces(kernel):
    """Add routes, look at the table, let others do something, and replace; return the refusals."""

    def run(others, *texts, between=None):
        kernel.apply([Change("add", route(text)) for text in texts])
        kernel.snapshot()
        others()
        changes = [Change("replace", route(via(text, 22)), "worker-1", route(text)) for text in texts]
        return kernel.apply(changes)

    return run


def shown(worker, text=V4):
    """Return the routes to a destination as ip(8) shows them."""
    version = "-6 " if ":" in text.split()[0] else ""
    return [line.replace(" pref medium", "") for line in worker.show(f"{version}route show {text.split()[0]}")]


@pytest.mark.parametrize("text", [V4, V6, f"{V4} metric 77", f"{V6} metric 77"])
@pytest.mark.parametrize("theirs", ["proto bird", "proto 107"])
def test_a_replace_that_comes_after_somebody_elses_is_not_sent(kernel, replaces, worker, text, theirs):
    refused = replaces(lambda: worker.ip(f"route replace {via(text, 50)} {theirs}"), text)
    assert {position: why.errno for position, why in refused.items()} == {0: errno.EEXIST}
    assert f"{via(text, 50).partition(' metric')[0]} proto " in refused[0].text
    assert refused[0].text.endswith(" stands there by now")
    assert len(shown(worker, text)) == 1
    assert via(text, 50).split()[2] in shown(worker, text)[0]
    assert kernel.taken_over() == ()


@pytest.mark.parametrize(
    "others",
    [
        [f"route replace {via(V4, 50)} proto bird", f"route replace {V4} proto 107"],
        [f"route append {via(V4, 50)} proto bird"],
        ["route add 10.200.9.0/24 via 192.168.8.50 proto bird"],
        [f"route add {via(V4, 50)} metric 5 proto bird"],
        [f"route add {via(V4, 50)} table 77 proto bird"],
        [f"route prepend {via(V4, 50)} proto bird", f"route del {via(V4, 50)} proto bird"],
    ],
    ids=["there and back", "behind ours", "elsewhere", "another metric", "another table", "come and gone"],
)
def test_what_others_do_beside_our_route_stops_nothing(replaces, worker, others):
    assert replaces(lambda: worker.ip(*others), V4) == {}
    assert f"{via(V4, 22)} proto podroutes" in [line.replace("proto 107", "proto podroutes") for line in shown(worker)]


def test_what_somebody_put_in_front_of_ours_is_not_replaced(replaces, worker):
    assert replaces(lambda: worker.ip(f"route prepend {via(V4, 50)} proto bird"), V4)[0].errno == errno.EEXIST
    assert [line.split()[2] for line in shown(worker)] == ["192.168.8.50", "192.168.8.21"]


def test_of_a_batch_only_the_one_that_is_late_is_left_out(replaces, worker):
    texts = [f"10.{201 + (n >> 8)}.{n & 255}.0/24 via 192.168.8.21 dev ens18" for n in range(300)]
    refused = replaces(lambda: worker.ip(f"route replace {via(texts[150], 50)} proto bird"), *texts)
    assert refused.keys() == {150}
    lines = worker.show("route show proto 107")
    assert len(lines) == 299
    assert all("via 192.168.8.22 " in line for line in lines)


@pytest.mark.parametrize("batch", [3, 10])
def test_between_two_of_many_batches_others_are_noticed(replaces, worker, monkeypatch, batch):
    """Whether our own notifications were read until then or dropped with the socket that had them."""
    texts = [f"10.{201 + (n >> 8)}.{n & 255}.0/24 via 192.168.8.21 dev ens18" for n in range(1_700)]
    listen, calls = Replacing.listen, []

    def looks(self):
        calls.append(self)
        if len(calls) == batch:
            worker.ip(*(f"route replace {via(texts[row], 50)} proto bird" for row in (7, 1_650)))
        listen(self)

    monkeypatch.setattr(Replacing, "listen", looks)
    refused = replaces(lambda: None, *texts)
    assert len(calls) == 14
    assert refused.keys() == {1_650}, "what was ours by then and theirs afterwards is theirs to decide"
    lines = worker.show("route show proto bird")
    assert [line.split()[2] for line in lines] == ["192.168.8.50"] * 2
    assert len(worker.show("route show proto 107")) == 1_698


@pytest.fixture
def faster(kernel, worker, monkeypatch):
    """Let others act after our last look at what was announced: a moment that only the kernel's order of things can tell."""

    def act(*commands):
        late = Replacing.late
        waiting = [list(commands)]

        def looks(self):
            found = late(self)
            worker.ip(*waiting.pop())
            return found

        monkeypatch.setattr(Replacing, "late", looks)

    return act


@pytest.mark.parametrize("text", [V4, V6, f"{V4} metric 77"])
def test_what_was_displaced_after_all_is_put_back_as_it_was(kernel, replaces, faster, worker, text):
    source = "fd00::20" if text == V6 else "192.168.8.20"
    theirs = f"{via(text, 50)} proto bird src {source} mtu 1400"
    worker.ip(f"route add {theirs}")
    before = shown(worker, text)
    worker.ip(f"route del {via(text, 50)}")
    faster(f"route replace {theirs}")
    refused = replaces(lambda: None, text)
    assert {position: why.errno for position, why in refused.items()} == {0: errno.EEXIST}
    assert shown(worker, text) == before
    (found,) = kernel.taken_over()
    assert (found.route.protocol, str(found.route.via), found.failure) == (12, via(text, 50).split()[2], None)
    assert iproute.taken_over(found).endswith("between our look at the table and our write; it was put back")
    assert kernel.taken_over() == (), "it is told once"


@pytest.mark.parametrize("kind", ["blackhole", "nexthop"])
def test_routes_of_other_kinds_are_put_back_too(kernel, replaces, faster, worker, kind):
    worker.ip("nexthop add id 5 via 192.168.8.50 dev ens18")
    theirs = "blackhole 10.200.1.0/24 proto bird" if kind == "blackhole" else "10.200.1.0/24 nhid 5 proto bird"
    faster(f"route replace {theirs}")
    refused = replaces(lambda: None, V4)
    (line,) = shown(worker)
    assert ("blackhole" if kind == "blackhole" else "nhid 5") in line
    assert refused[0].errno == errno.EEXIST
    assert kernel.taken_over()[0].failure is None


def test_who_replaces_it_again_while_it_is_put_back_keeps_the_newer_one(kernel, replaces, faster, worker, monkeypatch):
    faster(f"route replace {via(V4, 50)} proto bird")
    ask, waiting = NetlinkKernel._ask, [f"route replace {via(V4, 51)} proto bird"]

    def asked(self, build):
        if waiting:
            worker.ip(waiting.pop())
        return ask(self, build)

    monkeypatch.setattr(NetlinkKernel, "_ask", asked)
    assert replaces(lambda: None, V4)[0].errno == errno.EEXIST
    assert [line.split()[2] for line in shown(worker)] == ["192.168.8.51"]
    assert [str(each.route.via) for each in kernel.taken_over()] == ["192.168.8.50", "192.168.8.51"]


def test_what_was_replaced_again_since_is_left_as_it_is(kernel, replaces, faster, worker, monkeypatch):
    faster(f"route replace {via(V4, 50)} proto bird")
    settle = Replacing.settle

    def settled(self, send):
        worker.ip(f"route replace {via(V4, 51)} proto bird")
        return settle(self, send)

    monkeypatch.setattr(Replacing, "settle", settled)
    replaces(lambda: None, V4)
    assert [line.split()[2] for line in shown(worker)] == ["192.168.8.51"]
    assert kernel.taken_over() == ()


def test_an_ipv6_sibling_cannot_be_put_back_and_is_told(kernel, replaces, faster, worker):
    """It became one route with ours, and no request makes that of two again."""
    faster(f"route append {via(V6, 50)} proto bird")
    assert replaces(lambda: None, V6) == {}
    (found,) = kernel.taken_over()
    assert {str(hop.via) for hop in found.route.next_hops} == {"fd00::21", "fd00::50"}
    assert "it cannot be put back: it has several next hops" in iproute.taken_over(found)


def test_announcements_that_were_lost_are_a_reason_to_look_anew(kernel, replaces, worker):
    def flood():
        kernel._meanwhile._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        worker.ip(*(f"route add 10.66.{third}.0/24 via 192.168.8.9" for third in range(64)))

    assert replaces(flood, V4)[0].errno == errno.ESTALE
    assert [line.split()[2] for line in shown(worker)] == ["192.168.8.21"]


def test_the_kernel_in_memory_refuses_it_too():
    kernel = MemoryKernel(
        [link("ens18")], [address("192.168.8.20/24 dev ens18")], [route(f"{via(V4, 50)} proto static")]
    )
    refused = kernel.apply([Change("replace", route(via(V4, 22)), "worker-1", route(V4))])
    assert refused[0].errno == errno.EEXIST
    assert str(kernel.routes[-1].via) == "192.168.8.50"


def test_nothing_is_left_open(kernel):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        kernel.snapshot()
    kernel.apply([])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_notifications_of_our_own_replaces_are_not_decoded_unless_somebody_else_changed_one(
    kernel, replaces, worker, monkeypatch
):
    """Each of many replaces has one, and nothing follows from it."""
    decoded = []
    read = meanwhile.read_route
    monkeypatch.setattr(meanwhile, "read_route", lambda *words: decoded.append(words) or read(*words))
    texts = [f"10.200.{n}.0/24 via 192.168.8.21 dev ens18" for n in range(200)]
    assert replaces(lambda: worker.ip("route add 10.99.0.0/24 via 192.168.8.50 dev ens18"), *texts) == {}
    assert len(decoded) < 10, "the one of somebody else, and what stands in its datagram"
    assert len(worker.show("route show proto 107 via 192.168.8.22")) == 200
    kernel.apply([Change("delete", route(via(text, 22))) for text in texts])
    refused = replaces(lambda: worker.ip(f"route replace {via(texts[7], 50)} proto bird"), *texts)
    assert list(refused) == [7]
