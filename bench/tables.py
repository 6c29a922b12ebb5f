# ruff: noqa: T201 - a bench prints
"""What ``verify --tables`` takes for a large cluster, reading included: a directory as ip(8) prints it, and the command itself.

``./dev bench tables``, or ``python -m bench.tables [--nodes N]``; N is 1,000 and 5,000. Every node routes straight to every other. The
files of 5,000 nodes are 2.6 GB, in a directory that is taken away afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.proof import cluster
from podroutes.model.address import Address, Prefix, network
from podroutes.model.cluster import Node

SIZES = (1_000, 5_000)
LINE = "{nodes:>7,} nodes{mib:>8,.0f} MiB of tables{cpu_s:>8.1f} CPU s{wall_s:>8.1f} s{peak_mib:>7,.0f} MiB"
_LENGTH = 12  # of the machines' network
_DEVICES = ("lo", "ens18", "cni0")


def write(directory: Path, count: int) -> int:
    """Write the inventory and the tables of COUNT nodes; return how many bytes the tables are."""
    nodes = cluster(count).nodes
    inventory = [
        {"name": node.name, "internalIP": str(node.internal_ips[0]), "podCIDR": str(node.pod_cidrs[0])}
        for node in nodes
    ]
    (directory / "inventory.json").write_text(json.dumps({"nodes": inventory}), encoding="ascii")
    texts = [
        _compact({"dst": str(node.pod_cidrs[0]), "gateway": str(node.internal_ips[0]), "dev": "ens18", "protocol": "107", "flags": []})
        for node in nodes
    ]  # fmt: skip
    size = 0
    for index, node in enumerate(nodes):
        place = directory / "tables" / node.name
        place.mkdir(parents=True)
        for name, text in {**_small(node), "route": _routes(node, index, texts)}.items():
            (place / f"{name}.json").write_text(text, encoding="ascii")
            size += len(text)
    return size


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _routes(node: Node, index: int, texts: list[str]) -> str:
    """Return a node's routes in the order in which the kernel lists them."""
    internal, pods = node.internal_ips[0], node.pod_cidrs[0]
    bridge = Address(4, pods.value + 1)
    lan = network(internal, _LENGTH)
    first = {"dst": "default", "gateway": str(Address(4, lan.value + 1)), "dev": "ens18", "protocol": "4", "flags": []}
    pods_route = _connected(str(pods), "cni0", bridge)
    local = [
        _local("2", address, dev)
        for address, dev in ((bridge, "cni0"), (internal, "ens18"), (Address(4, (127 << 24) + 1), "lo"))
    ]
    local += [_local("3", Address(4, last), dev) for last, dev in ((pods.last, "cni0"), (lan.last, "ens18"))]
    return f"[{','.join([_compact(first), *texts[:index], pods_route, *texts[index + 1 :], _connected(str(lan), 'ens18', internal), *local])}]"


def _connected(dst: str, dev: str, source: Address) -> str:
    return _compact({"dst": dst, "dev": dev, "protocol": "2", "scope": "253", "prefsrc": str(source), "flags": []})


def _local(kind: str, address: Address, dev: str) -> str:
    return _compact(
        {"type": kind, "dst": str(address), "dev": dev, "table": "255", "protocol": "2", "scope": "254", "flags": []}
    )


def _small(node: Node) -> dict[str, str]:
    """Return what else is collected of a node, by the names of the files."""
    pods: Prefix = node.pod_cidrs[0]
    held = {"lo": ("127.0.0.1", 8), "ens18": (str(node.internal_ips[0]), _LENGTH), "cni0": (str(Address(4, pods.value + 1)), 24)}  # fmt: skip
    links = [
        {"ifindex": number, "ifname": dev, "flags": ["UP", "LOWER_UP"], "mtu": 1500, "operstate": "UP", "link_type": "ether", "promiscuity": 0}
        for number, dev in enumerate(_DEVICES, 1)
    ]  # fmt: skip
    addresses = [
        {"ifindex": number, "ifname": dev, "addr_info": [{"family": "inet", "local": held[dev][0], "prefixlen": held[dev][1]}]}
        for number, dev in enumerate(_DEVICES, 1)
    ]  # fmt: skip
    keys = ("forwarding", "rp_filter", "accept_local", "arp_ignore", "proxy_arp")
    settings = {
        f"net.ipv4.conf.{dev}.{key}": int(key == "forwarding") for dev in ("all", "default", *_DEVICES) for key in keys
    }
    rules = [
        {"priority": priority, "src": "all", "table": table}
        for priority, table in ((0, "255"), (32766, "254"), (32767, "253"))
    ]
    return {
        "link": _compact(links),
        "addr": _compact(addresses),
        "rule": _compact(rules),
        "rule6": _compact(rules[:2]),
        "nexthop": "[]",
        "sysctl": _compact({"net.ipv4.ip_forward": 1, **settings}),
    }


def measure(count: int) -> dict[str, Any]:
    """Return what the command takes for COUNT nodes: CPU seconds, seconds, and MiB at most."""
    directory = Path(tempfile.mkdtemp(prefix="podroutes-bench-"))
    try:
        size = write(directory, count)
        command = [sys.executable, "-m", "podroutes", "verify", "-i", str(directory / "inventory.json")]
        begin = time.perf_counter()
        with subprocess.Popen([*command, "--tables", str(directory / "tables")], stdout=subprocess.PIPE) as running:
            said = running.stdout.read() if running.stdout else b""
            _, status, used = os.wait4(running.pid, 0)
            running.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begin
    finally:
        shutil.rmtree(directory)
    if running.returncode != 0 or not said.startswith(b"proven"):
        raise RuntimeError(f"verify ended with {running.returncode}: {said[:300]!r}")
    return {
        "nodes": count,
        "mib": size / 2**20,
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(wall, 2),
        "peak_mib": round(used.ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Measure both sizes, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--json", action="store_true", help="print the figures for a program")
    arguments = parser.parse_args()
    cases = [measure(count) for count in ([arguments.nodes] if arguments.nodes else SIZES)]
    print(json.dumps(cases) if arguments.json else "\n".join(map(LINE.format_map, cases)))


if __name__ == "__main__":
    main()
