"""Problems of an inventory or a plan, shown alike in the terminal, in JSON and in the logs."""

from typing import Literal, NamedTuple

from podroutes.model.address import Prefix

Severity = Literal["error", "warning"]

# The stable codes, their meaning and advice. A test compares docs/problems.md with this table.
CODES: dict[str, tuple[str, str]] = {
    "also-configured": (
        "The administrator's own configuration makes this route at every boot, too.",
        "Nothing has to be done: podroutes leaves it to that file, and keeps the others.",
    ),
    "configured-differently": (
        "The administrator's own configuration makes another route to this podCIDR at every boot.",
        "Take the line that is named out of the file; until then podroutes does not write its own route down.",
    ),
    "duplicate-address": (
        "IPv6 duplicate address detection has found an InternalIP that this machine was given on another machine.",
        "Take the address from one of the two machines.",
    ),
    "duplicate-internal-ip": (
        "Two nodes have the same InternalIP, so a route through it could end at either.",
        "Give each node its own address.",
    ),
    "duplicate-node": (
        "Two entries have the same name.",
        "Remove the entry that is out of date, or rename it.",
    ),
    "cni-no-host-ports": (
        "The CNI configuration has no portmap plugin, so that the hostPort of a pod has no effect.",
        "Install iptables and the plugin portmap, then run `podroutes apply --cni` again.",
    ),
    "cni-not-first": (
        "The container runtime uses the CNI configuration that is first by name, and this is another program's file.",
        "Move that file away, once no pod needs it, or do without `--cni`.",
    ),
    "cni-not-written": (
        "The CNI configuration of this node stays as it is, because its podCIDR is unknown or pods have addresses outside of it.",
        "Correct the podCIDR, or delete the pods with the old addresses; `podroutes apply --cni --force` writes it all the same.",
    ),
    "masquerade-not-kept": (
        "The table that masquerades packets from pods to the outside could not be read or made, so that it may be missing.",
        "Install the package nftables, or run it with sudo; `podroutes apply --masquerade none` does without the table.",
    ),
    "duplicate-pod-cidr": (
        "Two nodes claim the same podCIDR.",
        "Give each node its own podCIDR.",
    ),
    "family-without-internal-ip": (
        "A node has a podCIDR of a family (IPv4 or IPv6) in which it has no InternalIP.",
        "Add an InternalIP of that family, or drop the podCIDR.",
    ),
    "files-not-read": (
        "A file that makes routes at boot, of podroutes or of the administrator, cannot be read, so that the plan does without it.",
        "Run it with sudo, or correct the file.",
    ),
    "foreign-route": (
        "Someone else already has a route to this podCIDR in the main table; podroutes leaves it alone.",
        "Remove that route, or let podroutes take over an identical one with `apply --adopt`.",
    ),
    "internal-ip-in-pod-cidr": (
        "An InternalIP lies inside the podCIDR of another node, as that of a pod does; it is not used, and takes nothing from that podCIDR.",
        "Have the node report the address by which the other nodes reach it (kubelet's `--node-ip`); `--node-cidr` limits what counts.",
    ),
    "internal-ip-outside-cluster": (
        "An InternalIP lies outside cluster.nodeCIDRs.",
        "Correct the address, or widen cluster.nodeCIDRs.",
    ),
    "invalid-internal-ip": (
        "An InternalIP is not what a next hop can be: no IP address, unspecified, loopback, multicast, link-local or IPv4-mapped.",
        "Write the address that the other nodes reach this one by.",
    ),
    "invalid-name": (
        "A node's name is longer than the 253 characters that Kubernetes allows. It is cut; the routes are made.",
        "Give the node the name that Kubernetes knows it by.",
    ),
    "invalid-pod-cidr": (
        "A podCIDR is not a network that pods can have: not a network, host bits set, default, loopback, multicast or link-local.",
        "Write the network as ADDRESS/LENGTH with no host bits set.",
    ),
    "link-down": (
        "The device towards this next hop is down or has no carrier.",
        "Bring the link up (`ip link set DEV up`), or check the cable.",
    ),
    "mass-delete": (
        "The routes of several nodes, and more than a third of all, would go within ten minutes because the inventory lacks these nodes.",
        "Correct the inventory, or let them go: `podroutes apply --allow-mass-delete`, with an agent `podroutes confirm`.",
    ),
    "next-hop-is-self": (
        "The next hop of another node's podCIDR is an address of this machine.",
        "Check that node's InternalIP, and which node this machine is (`--node`).",
    ),
    "next-hop-off-link": (
        "No interface of this machine has a connected prefix that contains the next hop.",
        "Name the Linux router between the subnets under `routers:` of the inventory, or give this machine an address in that node's subnet.",
    ),
    "no-pod-cidr": (
        "No node has a podCIDR, so there is nothing to route; nothing is deleted because of it.",
        "Give the nodes their podCIDRs; `podroutes remove` takes all routes back.",
    ),
    "no-internal-ip": (
        "A node has a podCIDR but no InternalIP, so nothing can be routed to it.",
        "Add its InternalIP.",
    ),
    "not-a-node": (
        "The agent was told which node this machine is, but the cluster has none of that name.",
        "Correct `--node`, or wait for the node to join; until then this machine receives routes and claims none.",
    ),
    "not-persistent": (
        "The routes cannot be written down for the next boot as they were before, or what is written down is not carried out then.",
        "Remove the reason, name another place with `apply --persist BACKEND`, or give it up with `apply --persist none`.",
    ),
    "overlapping-pod-cidr": (
        "The podCIDR of one node lies inside that of another.",
        "Give each node its own podCIDR.",
    ),
    "pod-cidr-covers-dependency": (
        "A podCIDR contains what this machine depends on: a gateway, a name server, the API server, the peer of the SSH session, a connected network or node.",
        "Choose pod addresses that no network of the machines uses; where the podCIDR is right, set `--pod-cidr` (cluster.podCIDRs).",
    ),
    "pod-cidr-covers-node": (
        "A podCIDR contains the InternalIP of its own node, those of several others, or a part of cluster.nodeCIDRs.",
        "Choose pod addresses outside the nodes' network.",
    ),
    "pod-cidr-outside-cluster": (
        "A podCIDR lies outside cluster.podCIDRs.",
        "Correct the podCIDR, or widen cluster.podCIDRs.",
    ),
    "pod-cidr-overlaps-service": (
        "A podCIDR overlaps cluster.serviceCIDRs.",
        "Choose pod addresses outside the service range.",
    ),
    "public-pod-cidr": (
        "A podCIDR is public IPv4 address space, and no limit allows it: packets to its real owner would go to a node.",
        "Choose private addresses, or allow it with `--pod-cidr` (cluster.podCIDRs).",
    ),
    "not-the-machines-network": (
        "podroutes runs in the network of a pod, where routes serve that pod alone.",
        "Run the pod with `hostNetwork: true`.",
    ),
    "own-pod-cidr-routed": (
        "A route that is not ours leads packets for the pods of this machine away from them.",
        "Remove that route, and whatever makes it.",
    ),
    "part-routed-elsewhere": (
        "A route that is not ours is more specific than the one to a podCIDR, and leads a part of it elsewhere.",
        "Remove that route, or move what it is for out of the pod network.",
    ),
    "rule-takes-pods": (
        "A policy rule (ip-rule(8)) decides about pod traffic before the main table is asked: a VPN's, an exit node's, or that of a second card.",
        "Have the main table asked first for the podCIDRs: `ip rule add pref N to CIDR lookup main`, with a smaller number than that rule has.",
    ),
    "saved-route-expired": (
        "A route that served a node stood more than a month ago; its next hop may be a stranger's by now, so it is not restored.",
        "Correct the entry of the node.",
    ),
    "unknown-key": (
        "The inventory has a key that podroutes does not know.",
        "Correct its spelling, or remove it.",
    ),
}


class Problem(NamedTuple):
    """One problem. ``message`` is one line with position, value and nodes; ``fix`` says what to do."""

    severity: Severity
    code: str
    message: str
    nodes: tuple[str, ...] = ()
    dst: Prefix | None = None
    fix: str = ""

    @property
    def advice(self) -> str:
        """What to do: the problem's own fix, else the fix of its code."""
        return self.fix or CODES[self.code][1]
