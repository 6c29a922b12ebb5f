"""The machine that all take turns on: one veth with 172.16.0.1/12, and N nodes with a gateway and a /24 each."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.sandbox import SCRATCH, ip
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.route import PROTOCOL
from podroutes.plan.claims import Claims, examine
from podroutes.plan.metric import PLAIN_LIMIT, SPREAD

DEVICE = "ens18"
OWN = Node("server", (Address(4, 0xAC100001),))  # 172.16.0.1
LENGTH = 24
_FIRST_DST = 10 << 24  # 10.0.0.0
_FIRST_VIA = (0xAC100002, 0xAC180002)  # 172.16.0.2 and, after the nodes have moved, 172.24.0.2


def build() -> None:
    """Make the link; 192.168.8.20 is worker-0 of the three-node cluster."""
    ip(
        f"link add {DEVICE} type veth peer name far",
        f"address add 172.16.0.1/12 dev {DEVICE}",
        f"address add 192.168.8.20/24 dev {DEVICE}",
        f"link set {DEVICE} up",
        "link set far up",
    )


def empty() -> None:
    """Take every gateway route away; link down is the one way that costs nobody a walk of the chains."""
    ip(f"link set {DEVICE} down", f"link set {DEVICE} up", "nexthop flush")


def dst(node: int) -> int:
    """Return the first address of node NODE's podCIDR."""
    return _FIRST_DST + (node << 32 - LENGTH)


def via(node: int, *, moved: bool = False) -> int:
    """Return the address of node NODE, before or after it has moved."""
    return _FIRST_VIA[moved] + node


def claims(count: int, *, moved: range = range(0)) -> Claims:
    """Return the examined cluster of COUNT nodes and this machine; those in MOVED have their second address."""
    nodes = [
        Node(f"worker-{n}", (Address(4, via(n, moved=n in moved)),), (Prefix(4, dst(n), LENGTH),)) for n in range(count)
    ]
    return examine(Cluster((OWN, *nodes)))


def table(count: int, *, moved: range = range(0)) -> dict[int, int]:
    """Return the routes that COUNT nodes ask for: gateway by destination."""
    return {dst(n): via(n, moved=n in moved) for n in range(count)}


def metric(node: int, count: int) -> int:
    """Return the metric that podroutes gives node NODE's route among COUNT."""
    return 1 + (dst(node) >> 32 - LENGTH) % SPREAD if count > PLAIN_LIMIT else 0


def lines(verb: str, count: int, *, moved: bool = False, like_ours: bool = False) -> Iterator[str]:
    """Yield ``ip -batch`` lines; LIKE_OURS with the protocol and the metric that podroutes gives its routes."""
    for n in range(count):
        form = f" proto {PROTOCOL} metric {metric(n, count)}" if like_ours else ""
        gateway = Address(4, via(n, moved=moved))
        yield f"route {verb} {Prefix(4, dst(n), LENGTH)} via {gateway} dev {DEVICE}{form}\n"


def batch_file(verb: str, count: int, *, moved: bool = False, like_ours: bool = False) -> Path:
    """Write ``lines`` to a file and return it."""
    path = SCRATCH / f"{verb}-{count}-{moved:d}-{like_ours:d}.batch"
    if not path.exists():
        with path.open("w") as file:
            file.writelines(lines(verb, count, moved=moved, like_ours=like_ours))
    return path


def fill(count: int, *, like_ours: bool) -> None:
    """Put all routes of COUNT nodes into an empty table."""
    empty()
    subprocess.run(["ip", "-batch", batch_file("add", count, like_ours=like_ours)], check=True)


def machines_txt(count: int) -> Path:
    """Write machines.txt with this machine and COUNT workers."""
    path = SCRATCH / f"machines-{count}.txt"
    with path.open("w") as file:
        file.write("172.16.0.1 server.kubernetes.local server\n")
        for n in range(count):
            name, cidr = f"worker-{n}", Prefix(4, dst(n), LENGTH)
            file.write(f"{Address(4, via(n))} {name}.kubernetes.local {name} {cidr}\n")
    return path
