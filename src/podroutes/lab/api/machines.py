"""Nodes as documents: a lab's machines, and Nodes of the size that a kubelet writes."""

import os
from typing import Any

from podroutes.lab.api.message import Document
from podroutes.lab.api.writing import timestamp
from podroutes.model.cluster import Node

_IMAGES = 50  # the kubelet's maximum: --node-status-max-images
_CONDITIONS = {
    "NetworkUnavailable": ("False", "RouteCreated", "RouteController created a route"),
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}
_LABELS = 21


def document(node: Node) -> Document:
    """Return NODE, a machine of a lab, as a Node that says that it has no kubelet."""
    now = timestamp()
    ready = {
        "type": "Ready",
        "status": "True",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": "LabMachine",
        "message": "a network namespace of a podroutes lab; no kubelet runs here",
    }
    info = {
        "osImage": "podroutes lab",
        "operatingSystem": "linux",
        "kernelVersion": os.uname().release,
        "containerRuntimeVersion": "none",
        "kubeletVersion": "none",
    }
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {"podCIDRs": [str(cidr) for cidr in node.pod_cidrs]},
        "status": {"addresses": _addresses(node), "conditions": [ready], "nodeInfo": info},
    }


def realistic(node: Node) -> Document:
    """Return NODE as a kubelet on a busy machine reports it: 14 KB, with 50 images, five conditions and 21 labels."""
    plain = document(node)
    labels = plain["metadata"]["labels"]
    labels |= {f"topology.example.com/dimension-{index}": f"value-{index}" for index in range(_LABELS - len(labels))}
    now = timestamp()
    conditions = [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for kind, (status, reason, message) in _CONDITIONS.items()
    ]
    images = [
        {
            "names": [
                f"registry.example.com/library/platform-application-{index}@sha256:{index:064x}",
                f"registry.example.com/library/platform-application-{index}:v1.{index}.0",
            ],
            "sizeBytes": 20_000_000 + index,
        }
        for index in range(_IMAGES)
    ]
    capacity = {
        "cpu": "16",
        "memory": "65790340Ki",
        "pods": "110",
        "ephemeral-storage": "203070420Ki",
        "hugepages-2Mi": "0",
    }
    return {
        **plain,
        "status": {
            **plain["status"],
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": conditions,
            "images": images,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }


def _addresses(node: Node) -> list[Any]:
    addresses = [{"type": "InternalIP", "address": str(address)} for address in node.internal_ips]
    return [*addresses, {"type": "Hostname", "address": node.name}]
