# ruff: noqa: T201 - a bench prints
"""Time and peak memory of the proof for a large cluster with a handful of faults, made in memory: no kernel, no files.

``./dev bench proof``, or ``python -m bench.proof [--nodes N] [--case CASE]`` with what it finds; N is 5,000. ``mesh``: one network, every node routes straight to every
other, seven faults. ``bare``: the same without a single pod route. ``routed``: ten networks with a router between them.
Each case runs in a process of its own; memory is what it takes at most, tables included.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podroutes.model.address import Address, Prefix, network, parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import IfAddress, Link
from podroutes.model.host import DEFAULT_RULES, LOCAL, Host
from podroutes.model.proof import Proof
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from podroutes.views.proof import text
from podroutes.views.style import Style

CASES = ("mesh", "bare", "routed")
LINE = (
    "{case:<8}{nodes:>7,} nodes{pairs:>12,} pairs{proof_s:>8.2f} s {peak_mib:>6,.0f} MiB  {followed:,} packets followed"
)
_NETWORKS = 10  # of the routed case
_LINKS = {name: Link(number, name, up=True, carrier=True) for number, name in enumerate(("lo", "ens18", "cni0"), 1)}

_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    **{f"net.ipv4.conf.{dev}.rp_filter": 2 for dev in ("all", "lo", "ens18", "cni0")},  # as Ubuntu has it
    **{f"net.ipv4.conf.{dev}.{key}": 0 for dev in ("all", *_LINKS) for key in ("proxy_arp", "arp_ignore")},
}


def cluster(nodes: int) -> Cluster:
    """Return NODES nodes, each with a /24 of 10.0.0.0/8 and an address in a /24 of 172.16.0.0/12 with up to 250 others."""
    machines = (
        Node(
            f"worker-{n}",
            (Address(4, (172 << 24 | 16 << 16) + (n // 250 << 8) + 2 + n % 250),),
            (Prefix(4, (10 << 24) + (n << 8), 24),),
        )
        for n in range(nodes)
    )
    return Cluster(tuple(machines), source="the bench")


def host(node: Node, routes: tuple[Route, ...], length: int) -> Host:
    """Return a node as it boots, with ROUTES to the pods of others; its subnet has a prefix of LENGTH."""
    internal, pods = node.internal_ips[0], node.pod_cidrs[0]
    gateway = network(internal, length)
    bridge = Address(4, pods.value + 1)
    own = (
        Route(parse_prefix("0.0.0.0/0"), (NextHop(Address(4, gateway.value + 1), "ens18"),), protocol=4),
        Route(pods, (NextHop(None, "cni0"),), protocol=2, scope=253, prefsrc=bridge),
        Route(gateway, (NextHop(None, "ens18"),), protocol=2, scope=253, prefsrc=internal),
        *(
            Route(Prefix(4, value, 32), (NextHop(None, dev),), protocol=2, table=LOCAL, kind=kind, scope=254)
            for value, dev, kind in (
                (bridge.value, "cni0", "local"),
                (pods.last, "cni0", "broadcast"),
                (internal.value, "ens18", "local"),
                (gateway.last, "ens18", "broadcast"),
            )
        ),
    )
    addresses = (IfAddress(internal, length, "ens18"), IfAddress(bridge, 24, "cni0"))
    return Host(node.name, _LINKS, {}, addresses, DEFAULT_RULES, (*own, *routes), {}, {}, _SYSCTLS)


def to(prefix: Prefix, via: Address) -> Route:
    """Return a route of ours."""
    return Route(prefix, (NextHop(via, "ens18"),))


def faulty(index: int, routes: list[Route], pods: Prefix, detour: Address) -> list[Route]:
    """Return ROUTES, of which the last is that to PODS, with the fault of the node at INDEX; only the first seven have one."""
    instead: dict[int, list[Route]] = {
        0: [],
        1: [routes[-1], to(Prefix(4, pods.value + 128, 25), detour)],
        2: [to(pods, detour)],
        3: [Route(pods, (), kind="blackhole")],
        4: [routes[-1], Route(Prefix(4, pods.value + 77, 32), (), kind="unreachable")],
        5: [routes[-1], Route(Prefix(4, pods.value + 64, 26), (NextHop(None, "cni0"),))],
        6: [to(pods, parse_address("172.31.255.254"))],
    }
    return [*routes[:-1], *instead.get(index, routes[-1:])]


def mesh(nodes: Cluster, *, bare: bool) -> Iterator[Host]:
    """Yield every node of one flat network, the first seven with a fault each; BARE: without routes."""
    everyone = [to(node.pod_cidrs[0], node.internal_ips[0]) for node in nodes.nodes]
    far, other = nodes.nodes[-1], nodes.nodes[-2]
    for index, node in enumerate(nodes.nodes):
        routes = [] if bare else everyone[:index] + everyone[index + 1 :]
        if not bare:
            routes = faulty(index, routes, far.pod_cidrs[0], other.internal_ips[0])
        yield host(node, tuple(routes), 12)


def routed(nodes: Cluster) -> Iterator[Host]:
    """Yield every node of ten networks, which reaches the pods of the others through its network's router."""
    size = -(-len(nodes.nodes) // _NETWORKS // 250) * 250
    groups = [nodes.nodes[first : first + size] for first in range(0, len(nodes.nodes), size)]
    length = 32 - (size // 250 * 256 - 1).bit_length()
    gateways = [Address(4, network(group[0].internal_ips[0], length).value + 1) for group in groups]
    for group, gateway in zip(groups, gateways, strict=True):
        table = [to(each.pod_cidrs[0], each.internal_ips[0] if each in set(group) else gateway) for each in nodes.nodes]
        place = {route.dst: number for number, route in enumerate(table)}
        for node in group:
            own = place[node.pod_cidrs[0]]
            yield host(node, (*table[:own], *table[own + 1 :]), length)
    links = {f"lan{number}": Link(number + 1, f"lan{number}", up=True, carrier=True) for number in range(len(groups))}
    connected = [
        Route(network(gateway, length), (NextHop(None, f"lan{number}"),), protocol=2, scope=253)
        for number, gateway in enumerate(gateways)
    ]
    pods = [
        Route(node.pod_cidrs[0], (NextHop(node.internal_ips[0], f"lan{number}"),))
        for number, group in enumerate(groups)
        for node in group
    ]
    addresses = tuple(IfAddress(gateway, length, f"lan{number}") for number, gateway in enumerate(gateways))
    local = [
        Route(
            Prefix(4, gateway.value, 32),
            (NextHop(None, f"lan{number}"),),
            protocol=2,
            table=LOCAL,
            kind="local",
            scope=254,
        )
        for number, gateway in enumerate(gateways)
    ]
    yield Host("router", links, {}, addresses, DEFAULT_RULES, (*connected, *pods, *local), {}, {}, _SYSCTLS)


def run(case: str, count: int) -> tuple[Proof, dict[str, Any]]:
    """Make the case and prove it; return the proof, and what it took."""
    gc.disable()  # as the command does
    begin = time.perf_counter()
    nodes = cluster(count)
    hosts = list(routed(nodes) if case == "routed" else mesh(nodes, bare=case == "bare"))
    made = time.perf_counter()
    proof = prove(Network(hosts, nodes), examine(nodes))
    done = time.perf_counter()
    with Path("/proc/self/status").open(encoding="ascii") as status:  # not ru_maxrss: execve(2) hands that down
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    figures = {
        "case": case,
        "nodes": count,
        "pairs": proof.pairs,
        "proof_s": round(done - made, 3),
        "making_s": round(made - begin, 3),
        "peak_mib": round(peak, 1),
        "followed": proof.followed,
    }
    return proof, figures


def main() -> None:
    """Run every case, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--json", action="store_true", help="print the figures for a program")
    arguments = parser.parse_args()
    if not arguments.case:
        command = [sys.executable, "-m", "bench.proof", "--nodes", str(arguments.nodes), "--json", "--case"]
        outputs = (subprocess.run([*command, case], check=True, stdout=subprocess.PIPE).stdout for case in CASES)
        cases = [figures for output in outputs for figures in json.loads(output)]
        print(json.dumps(cases) if arguments.json else "\n".join(map(LINE.format_map, cases)))
        return
    proof, figures = run(arguments.case, arguments.nodes)
    if arguments.json:
        print(json.dumps([figures]))
        return
    print(LINE.format_map(figures))
    for line in text(proof, Style(enabled=False)):
        print(f"  {line}")


if __name__ == "__main__":
    main()
