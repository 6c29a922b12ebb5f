"""Access to the Kubernetes API: lists and watches the Nodes of a cluster, and reports Events and conditions.

- ``kubeconfig``, ``settings``, ``proxy``: the cluster and user to use; ``credentials``, ``plugin``: current credentials;
- ``client``, ``tls``: requests, by urllib3; ``decode``, ``lines``: decoding of responses;
- ``reflector``, ``table``: the list-and-watch protocol without I/O; ``watch``: the same with a server;
- ``listing``: all Nodes once; ``pods``: a running pod of each node; ``reporting``: the Events and conditions that an agent writes.
"""

from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import Client
from podroutes.kubernetes.listing import load
from podroutes.kubernetes.pods import running_pods
from podroutes.kubernetes.reporting import Note, patch_condition, post_event
from podroutes.kubernetes.settings import connect
from podroutes.kubernetes.watch import NodeWatch, WatchState

__all__ = [
    "Access",
    "Client",
    "NodeWatch",
    "Note",
    "WatchState",
    "connect",
    "load",
    "patch_condition",
    "post_event",
    "running_pods",
]
