#!/usr/bin/env python3
# ruff: noqa: T201 - a bench prints
"""Time and peak memory of reading an inventory, each format in a fresh process.

``bench/inventory.py [--nodes N] [--repeat R] [--json]``; N (5,000) is the number of nodes of every format, and machines.txt
is read with 20 times as many too. ``load`` is the time from before the import of podroutes.inventory to the finished
Cluster, ``process`` that of the whole process; both are medians. Nothing outside a temporary directory is touched.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# VmHWM and not ru_maxrss: execve(2) hands the latter down, so that a child is never smaller than its parent was.
CHILD = """
import sys, time
begin = time.perf_counter()
count = 0
if len(sys.argv) > 1:
    from podroutes.inventory import load
    count = len(load(sys.argv[1]).cluster.nodes)
spent = time.perf_counter() - begin
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(count, spent * 1e3, peak / 1024)
"""
SOURCE = Path(__file__).resolve().parent.parent / "src"


def kubernetes_node(name: str, internal_ip: str, pod_cidr: str) -> dict[str, object]:
    """Return a Node as the API server has it: 21 labels, 5 conditions, 50 images, no managedFields."""
    when = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
            "creationTimestamp": when,
            "labels": {
                "kubernetes.io/hostname": name,
                **{f"example.com/label-number-{n}": f"value-{n}" for n in range(20)},
            },
            "name": name,
            "resourceVersion": "123456",
            "uid": "2c1f3a4e-0000-4000-8000-000000000000",
        },
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr], "providerID": f"bare://{name}"},
        "status": {
            "addresses": [{"address": internal_ip, "type": "InternalIP"}, {"address": name, "type": "Hostname"}],
            "allocatable": {"cpu": "16", "ephemeral-storage": "95551679124", "memory": "65741848Ki", "pods": "110"},
            "capacity": {"cpu": "16", "ephemeral-storage": "103682812Ki", "memory": "65844248Ki", "pods": "110"},
            "conditions": [
                {
                    "lastHeartbeatTime": when,
                    "lastTransitionTime": when,
                    "message": f"kubelet reports that {kind} is as it should be",
                    "reason": f"KubeletHas{kind}",
                    "status": "False",
                    "type": kind,
                }
                for kind in ("NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [
                {
                    "names": [
                        f"registry.example.com/team/application-{n}@sha256:{n:064x}",
                        f"registry.example.com/team/application-{n}:v1.2.{n}",
                    ],
                    "sizeBytes": 100_000_000 + n,
                }
                for n in range(50)
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "kernelVersion": "6.1.0",
                "kubeletVersion": "v1.36.0",
                "operatingSystem": "linux",
            },
        },
    }


def as_yaml(value: object, indent: str = "") -> Iterator[str]:
    """Yield the lines of VALUE as kubectl lays YAML out: sorted keys, lists at the indentation of their key."""
    if isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, dict | list):
                yield f"{indent}{key}:"
                yield from as_yaml(one, indent if isinstance(one, list) else indent + "  ")
            else:
                yield f"{indent}{key}: {scalar(one)}"
    elif isinstance(value, list):
        for one in value:
            first, *rest = as_yaml(one, indent + "  ") if isinstance(one, dict) else (f"{indent}  {scalar(one)}",)
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest


def scalar(value: object) -> str:
    """Return a scalar as YAML: what a parser would take for a number or a boolean goes in quotes."""
    text = str(value)
    return json.dumps(text) if isinstance(value, str) and (text.isdigit() or text in {"true", "False"}) else text


def machines(count: int) -> Iterator[tuple[str, str, str]]:
    """Yield name, InternalIP and podCIDR of COUNT machines."""
    for n in range(count):
        yield (
            f"worker-{n}",
            f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}",
            f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32",
        )


def machines_txt(count: int) -> Iterator[str]:
    """Yield machines.txt."""
    for name, ip, cidr in machines(count):
        yield f"{ip} {name}.kubernetes.local {name} {cidr}\n"


def own_yaml(count: int) -> Iterator[str]:
    """Yield podroutes' own YAML."""
    yield "cluster:\n  podCIDRs: [10.0.0.0/8]\nnodes:\n"
    for name, ip, cidr in machines(count):
        yield f"  - name: {name}\n    internalIP: {ip}\n    podCIDR: {cidr}\n"


def own_json(count: int) -> Iterator[str]:
    """Yield podroutes' own JSON."""
    yield '{\n  "cluster": {"podCIDRs": ["10.0.0.0/8"]},\n  "nodes": [\n'
    for n, (name, ip, cidr) in enumerate(machines(count)):
        yield f'{"," if n else " "}   {{"name": "{name}", "internalIP": "{ip}", "podCIDR": "{cidr}"}}\n'
    yield "  ]\n}\n"


def filled(template: str, count: int) -> Iterator[str]:
    """Yield TEMPLATE, a Node with placeholders, for COUNT machines: printing each anew would take longer than the bench."""
    for name, ip, cidr in machines(count):
        yield template.replace("NAME", name).replace("ADDRESS", ip).replace("NETWORK", cidr)


def kubectl_json(count: int) -> Iterator[str]:
    """Yield what ``kubectl get nodes -o json`` prints."""
    yield '{\n    "apiVersion": "v1",\n    "items": ['
    template = json.dumps(kubernetes_node("NAME", "ADDRESS", "NETWORK"), indent=4).replace("\n", "\n        ")
    for n, node in enumerate(filled(template, count)):
        yield f"{',' if n else ''}\n        {node}"
    yield '\n    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n    }\n}\n'


def api_json(count: int) -> Iterator[str]:
    """Yield what ``kubectl get --raw /api/v1/nodes`` prints: one line."""
    yield '{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":['
    template = json.dumps(kubernetes_node("NAME", "ADDRESS", "NETWORK"), separators=(",", ":"))
    for n, node in enumerate(filled(template, count)):
        yield f"{',' if n else ''}{node}"
    yield "]}\n"


def kubectl_yaml(count: int) -> Iterator[str]:
    """Yield what ``kubectl get nodes -o yaml`` prints."""
    yield "apiVersion: v1\nitems:\n"
    yield from filled("\n".join(as_yaml([kubernetes_node("NAME", "ADDRESS", "NETWORK")])) + "\n", count)
    yield 'kind: List\nmetadata:\n  resourceVersion: ""\n'


def measure(path: Path | None, repeat: int) -> tuple[float, float, float]:
    """Return the medians of load and process in ms, and the peak in MiB, of REPEAT processes that read PATH."""
    loads, processes, peaks = [], [], []
    command = [sys.executable, "-c", CHILD, *([str(path)] if path else [])]
    for _ in range(repeat):
        begin = time.perf_counter()
        child = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)})
        processes.append((time.perf_counter() - begin) * 1e3)
        _, spent, peak = map(float, child.stdout.split())
        loads.append(spent)
        peaks.append(peak)
    return statistics.median(loads), statistics.median(processes), max(peaks)


def main() -> None:
    """Write the inventories, measure each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    arguments = parser.parse_args()
    cases: list[tuple[str, int, Callable[[int], Iterator[str]] | None]] = [
        ("bare Python", 0, None),
        ("machines.txt", arguments.nodes, machines_txt),
        ("own YAML", arguments.nodes, own_yaml),
        ("own JSON", arguments.nodes, own_json),
        ("kubectl -o json", arguments.nodes, kubectl_json),
        ("kubectl --raw", arguments.nodes, api_json),
        ("kubectl -o yaml", arguments.nodes, kubectl_yaml),
        ("machines.txt", 20 * arguments.nodes, machines_txt),
    ]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "inventory"
        for name, nodes, lines in cases:
            if lines:
                with path.open("w") as file:
                    file.writelines(lines(nodes))
            size = path.stat().st_size / 1e6 if lines else 0.0
            load, process, peak = measure(path if lines else None, arguments.repeat)
            rows.append(
                {
                    "format": name,
                    "nodes": nodes,
                    "file_mb": size,
                    "load_ms": load,
                    "process_ms": process,
                    "peak_mib": peak,
                }
            )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'format':<16}{'nodes':>9}{'file MB':>10}{'load ms':>10}{'process ms':>12}{'peak MiB':>10}")
    for row in rows:
        print(
            "{format:<16}{nodes:>9,}{file_mb:>10.1f}{load_ms:>10.0f}{process_ms:>12.0f}{peak_mib:>10.1f}".format(**row)
        )


if __name__ == "__main__":
    main()
