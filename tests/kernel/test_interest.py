"""A snapshot without the routes of others that no plan depends on leads to the same plan as one with all of them."""

import random
import subprocess

import pytest

from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.kernel.watch import KernelWatch
from podroutes.model.address import parse_address
from podroutes.model.cluster import Cluster
from podroutes.model.dependencies import Dependency
from podroutes.model.interest import interest
from podroutes.model.plan import Change
from podroutes.plan.claims import examine
from podroutes.plan.fast_path import ClaimIndex, FastPath
from podroutes.plan.interest import hidden_parts, plan_interest
from podroutes.plan.planning import plan_here
from podroutes.plan.settle import Context
from support.notation import node, route

OWN = "worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd10:0:0::/64"
WAYS = (
    *(f"via 192.168.8.{i} dev ens18" for i in (1, 2, 3, 21, 22)),
    "dev cni0",
    "dev ens18",
    "nexthop via 192.168.8.1 dev ens18 nexthop via 192.168.8.2 dev ens18",
    "nexthop via 192.168.8.3 dev ens18 nexthop via 192.168.8.2 dev ens18",
    "via inet6 fd00::5 dev ens18",
)
WAYS6 = ("via fd00::21 dev ens18", "via fd00::1 dev ens18", "dev cni0")
PROTOCOLS = ("bird", "bird", "bird", "boot", "static", "kernel", "107", "zebra")


def destinations(chance):
    """Yield where routes of others lead: anywhere, and just where it matters."""
    yield from (f"{chance.randint(20, 200)}.{chance.randint(0, 255)}.{chance.randint(0, 255)}.0/24" for _ in range(150))
    yield from (f"10.200.{chance.randint(0, 12)}.0/24" for _ in range(12))
    yield from (
        f"10.{chance.choice((200, 201))}.{chance.randint(0, 12)}.{chance.choice((0, 64))}/26" for _ in range(12)
    )
    yield from ("default", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.200.0.0/16", "172.16.0.0/12", "8.8.8.0/24")
    yield from ("192.168.8.0/25", "192.168.8.0/29", "192.168.8.21/32", "192.168.8.1/32", "192.168.0.0/16")


def destinations6(chance):
    yield from (f"fd{chance.randint(20, 90)}:{chance.randint(0, 999)}::/48" for _ in range(60))
    yield from (f"fd10:0:{chance.randint(0, 9)}::/64" for _ in range(6))
    yield from ("::/0", "fd00::/62", "fd10::/32", "fd00::21/128")


def table(chance):
    """Yield commands of ip(8) that make a table of others; some of them fail."""
    for dst in destinations(chance):
        rest = f"proto {chance.choice(PROTOCOLS)} metric {chance.choice((0, 0, 20, 32, 4000))}"
        tos = chance.choice(("", "", "", "", " tos 0x10"))
        kind = chance.choice(("", "", "", "", "", "blackhole ", "unreachable "))
        yield f"route add {kind}{dst}{tos} {rest} {'' if kind else chance.choice(WAYS)}"
    for dst in destinations6(chance):
        rest = f"proto {chance.choice(PROTOCOLS)} metric {chance.choice((512, 1024))}"
        yield f"route add {dst} {rest} {chance.choice(WAYS6)}"


def members(chance):
    """Return the nodes of a cluster, some of which contradict each other or the machine."""
    rows = [OWN]
    for i in range(1, chance.randint(3, 12)):
        via = chance.choice((f"192.168.8.{20 + i}", f"192.168.8.{20 + i}", "10.200.3.9", "192.168.8.1", "8.8.8.8"))
        cidr = chance.choice(
            (f"10.200.{i}.0/24", f"10.200.{i}.0/24", f"10.200.{i % 4}.0/24", "8.8.8.0/25", "192.168.8.0/28")
        )
        rows.append(f"worker-{i} {via},fd00::{20 + i} {cidr},fd10:0:{i}::/64")
    return tuple(node(row) for row in rows)


@pytest.mark.parametrize("seed", range(12))
def test_the_plan_is_the_same(worker, seed):
    chance = random.Random(seed)
    worker.ip("link add cni0 type bridge", "addr add 10.200.0.1/24 dev cni0", "link set cni0 up")
    commands = "\n".join(table(chance))
    subprocess.run(["ip", "-force", "-batch", "-"], input=commands, text=True, stderr=subprocess.DEVNULL, check=False)
    nodes = members(chance)
    cluster, later = Cluster(nodes[:-1]), Cluster(nodes)
    needs = tuple(
        Dependency(parse_address(each), "the name server", chance.random() < 0.5) for each in ("8.8.8.8", "10.200.2.7")
    )
    with NetlinkKernel() as kernel:
        whole = kernel.snapshot()
        narrow = kernel.snapshot(lambda _: plan_interest(cluster, needs))
        again = kernel.snapshot(lambda _: plan_interest(cluster, needs))
    memory = MemoryKernel(whole.links, (), ())
    memory.addresses, memory.routes = (
        whole.addresses,
        [*whole.ours(), *(each for each in whole.others if not each.ours)],
    )
    assert len(narrow.others) < len(whole.others) - 50, "or it proves nothing"
    assert set(narrow.others) <= set(whole.others)
    claims, own = examine(cluster), nodes[0]
    plans = [
        plan_here(claims, own, fib, context=Context(dependencies=needs))
        for fib in (whole, narrow, again, memory.snapshot(), memory.snapshot(lambda _: plan_interest(cluster, needs)))
    ]
    assert plans[0] == plans[1] == plans[2]
    assert plans[3] == plans[4]
    arrived = [
        list(FastPath(ClaimIndex(cluster, claims), own, fib, plans[0], needs).arrived(later)) for fib in (whole, narrow)
    ]
    assert arrived[1] == arrived[0] or not arrived[1]


def test_a_destination_that_is_left_out_is_known_to_be_taken(worker):
    worker.ip(
        "route add 20.1.0.0/24 via 192.168.8.1 proto bird", "route add 20.2.0.0/24 via 192.168.8.1 proto bird metric 7"
    )
    cluster = Cluster((node(OWN), node("worker-1 192.168.8.21 10.200.1.0/24")))
    later = cluster._replace(nodes=(*cluster.nodes, node("worker-2 192.168.8.22 20.2.0.0/24")))
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot(lambda _: plan_interest(cluster, ()))
    assert "20.2.0.0/24" not in map(str, (each.dst for each in fib.others))
    planned = plan_here(examine(cluster), cluster.nodes[0], fib)
    fast = FastPath(ClaimIndex(cluster, examine(cluster)), cluster.nodes[0], fib, planned)
    assert list(fast.arrived(later)) == [], "the kernel would take it, at another metric"


def test_in_the_middle_of_a_dump_another_socket_changes_routes(worker):
    worker.ip(*(f"route add 20.{i >> 8}.{i & 255}.0/24 via 192.168.8.1 proto bird" for i in range(3000)))
    ours = route("10.200.1.0/24 via 192.168.8.21 dev ens18")
    with NetlinkKernel() as kernel, NetlinkKernel() as aside, KernelWatch(kernel.port, aside.port) as watch:
        calls = []

        def between():
            calls.append(aside.apply([Change("add", ours), Change("delete", ours)]))

        kernel.between = between
        fib = kernel.snapshot(lambda _: interest((), ()))
        assert len(calls) > 2
        assert not any(calls)
        assert len(fib.hidden[4]) == 4 * 2999, "all but the first one through the gateway"
        assert watch.read({}).changed == frozenset()


def test_routes_to_parts_of_pod_cidrs_are_found_among_those_that_are_left_out(worker):
    rows = [f"route add 9.{number}.0.0/24 via 192.168.8.1 proto bird" for number in range(40)]
    worker.ip(
        *rows,
        "route add blackhole 9.99.0.0/24 proto bird",
        "route add blackhole 10.200.1.7/32 proto bird",
        "route add 10.200.1.128/25 via 192.168.8.1 proto bird",
        "route add fd01::/48 via fd00::1 proto bird",
        "route add fd10:0:1:0:8::/80 via fd00::1 proto bird",
    )
    cluster = Cluster((node(OWN), node("worker-1 192.168.8.21,fd00::21 10.200.1.0/24,fd10:0:1::/64")))
    with NetlinkKernel() as kernel:
        fib = kernel.snapshot(lambda _: plan_interest(cluster, ()))
        parts = hidden_parts(cluster, fib)
        assert sorted(map(str, parts)) == ["10.200.1.128/32", "10.200.1.7/32", "fd10:0:1:0:8::/128"]
        fib = kernel.snapshot(lambda _: plan_interest(cluster, (), parts))
    assert hidden_parts(cluster, fib) == ()
    assert {"10.200.1.7/32", "10.200.1.128/25", "fd10:0:1:0:8::/80"} <= {str(each.dst) for each in fib.others}
