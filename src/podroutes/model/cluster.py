"""The cluster as described by the inventory."""

from typing import Literal, NamedTuple

from podroutes.model.address import Address, Prefix

Format = Literal["", "podroutes", "machines", "kubernetes"]  # the format of the source, "" if unknown


class Unread(NamedTuple):
    """A field of a node with a value that could not be read. The routes of such a node are not deleted for this reason."""

    field: str  # podCIDR or internalIP
    reason: str  # one line for a person
    code: str = ""  # of the problem that reports it


class Node(NamedTuple):
    """One machine. Fields are named after those of the Kubernetes Node and keep the order of the source.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
    """

    name: str
    internal_ips: tuple[Address, ...] = ()  # status.addresses of type InternalIP
    pod_cidrs: tuple[Prefix, ...] = ()  # spec.podCIDRs; empty for a machine that only receives routes
    interface: str | None = None  # the device towards the other nodes, if the inventory names it
    hostnames: tuple[str, ...] = ()  # other names of the same machine (FQDN, status.addresses of type Hostname)
    line: int | None = None  # its line in the source, from 1
    unread: tuple[Unread, ...] = ()  # fields with an unreadable value; their readable values are used
    created: str = ""  # metadata.creationTimestamp, RFC 3339 in UTC, so that text sorts by time; "" if unknown
    uid: str = ""  # metadata.uid
    router: bool = False  # it forwards between networks, so that nodes beyond it are reached through it

    def is_entry_of(self, other: "Node") -> bool:
        """Whether this entry of an inventory and OTHER tell the same machine; two that share no more than a name do not."""
        return self.name == other.name and self.internal_ips == other.internal_ips and self.pod_cidrs == other.pod_cidrs


class Cluster(NamedTuple):
    """All machines of one inventory, and the limits on what they may claim (empty: no limit)."""

    nodes: tuple[Node, ...]
    pod_cidrs: tuple[Prefix, ...] = ()  # cluster.podCIDRs
    node_cidrs: tuple[Prefix, ...] = ()  # cluster.nodeCIDRs
    service_cidrs: tuple[Prefix, ...] = ()  # cluster.serviceCIDRs
    source: str = ""  # its name in messages: a path, "standard input", a cluster
    format: Format = ""

    @property
    def limits(self) -> tuple[tuple[Prefix, ...], tuple[Prefix, ...], tuple[Prefix, ...]]:
        """All limits: those of podCIDRs, of InternalIPs, and the service CIDRs."""
        return self.pod_cidrs, self.node_cidrs, self.service_cidrs

    def place(self, node: Node) -> str:
        """Return the position of NODE in the source, in the form of compilers: ``cluster.yaml:14``."""
        return f"{self.source}:{node.line}" if node.line else self.source
