"""The cluster as the inventory tells it."""

from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix

Format = Literal["", "podroutes", "machines", "kubernetes"]  # what the source is written in, "" where nobody says


class Unread(NamedTuple):
    """A field of a node of which not every value could be read. What is not known of a node is no reason to delete its routes."""

    field: str  # podCIDR or internalIP
    reason: str  # one line for a person
    code: str = ""  # of the problem that says so


class Node(NamedTuple):
    """One machine. Fields are named after the Kubernetes Node's and keep the source's order.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
    """

    name: str
    internal_ips: tuple[Address, ...] = ()  # status.addresses of type InternalIP
    pod_cidrs: tuple[Prefix, ...] = ()  # spec.podCIDRs; empty for a machine that only receives routes
    interface: str | None = None  # the device towards the other nodes, where the inventory names it
    hostnames: tuple[str, ...] = ()  # other names of the same machine (FQDN, status.addresses of type Hostname)
    line: int | None = None  # where in the source it stands, counted from 1
    unread: tuple[Unread, ...] = ()  # fields with a value that could not be read; the values that could be are used
    created: str = (
        ""  # metadata.creationTimestamp, RFC 3339 in UTC, so that text sorts by time; "" where it is not known
    )
    uid: str = ""  # metadata.uid


class Cluster(NamedTuple):
    """All machines of one inventory, and the limits on what they may claim (empty: no limit)."""

    nodes: tuple[Node, ...]
    pod_cidrs: tuple[Prefix, ...] = ()  # cluster.podCIDRs
    node_cidrs: tuple[Prefix, ...] = ()  # cluster.nodeCIDRs
    service_cidrs: tuple[Prefix, ...] = ()  # cluster.serviceCIDRs
    source: str = ""  # what to call the inventory in messages: a path, "standard input", a cluster
    format: Format = ""

    def place(self, node: Node) -> str:
        """Return where NODE stands, as compilers write it: ``cluster.yaml:14``."""
        return f"{self.source}:{node.line}" if node.line else self.source
