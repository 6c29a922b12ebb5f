"""The Kubernetes door: the nodes of a cluster, once or again whenever they change.

- ``kubeconfig``, ``settings``, ``proxy``: which cluster, and as whom; ``credentials``, ``plugin``: the identity of now;
- ``client``, ``tls``: asking, on urllib3; ``decode``, ``lines``: understanding the answers;
- ``reflector``, ``table``: list and watch without I/O; ``watch``: the same with a server around it;
- ``listing``: all nodes once; ``reporting``: Events and conditions, what an agent tells the cluster.
"""

from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import Client
from podroutes.kubernetes.listing import load
from podroutes.kubernetes.reporting import Note, patch_condition, post_event
from podroutes.kubernetes.settings import connect
from podroutes.kubernetes.watch import NodeWatch, WatchState

__all__ = ["Access", "Client", "NodeWatch", "Note", "WatchState", "connect", "load", "patch_condition", "post_event"]
