"""Faults of a machine that stop pod traffic although its routes are right."""

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Kind(NamedTuple):
    """The description of a code. ``reason`` says why it stops pod traffic, ``advice`` what to do."""

    severity: Severity
    title: str
    reason: str
    advice: str
    source: str  # where the behaviour is documented


# The stable codes. docs/findings.md is this table, held to it by a test.
FINDINGS: dict[str, Kind] = {
    "address-duplicate": Kind(
        "error",
        "Another machine has an address of this one",
        "IPv6 asks for an address before it is used (duplicate address detection). If somebody answers, the kernel keeps the address and never uses it, and makes no route by it.",
        "Find the machine that answers for it. Take the address from one of the two; then delete it here and add it again, so that it is asked for anew.",
        "RFC 4862 section 5.4; ip-address(8), dadfailed",
    ),
    "address-tentative": Kind(
        "warning",
        "An address of this machine is not in use yet",
        "Until duplicate address detection has come to its end nobody is answered. It takes a second or two, and never ends on a link without carrier.",
        "Wait, and examine again. If it stays: bring the link up, or check the cable.",
        "RFC 4862 section 5.4; ip-address(8), tentative",
    ),
    "bridge-filter-off": Kind(
        "warning",
        "Bridged packets pass by the rules of kube-proxy",
        "When a pod talks to a service whose pod is on the same bridge, the answer crosses the bridge alone: without br_netfilter the address is not translated back, and the connection fails.",
        "Load br_netfilter, set `net.bridge.bridge-nf-call-iptables` to 1, and keep both in /etc/modules-load.d/ and /etc/sysctl.d/.",
        "Kubernetes: Network Plugins; Documentation/networking/ip-sysctl.rst of Linux, bridge-nf-call-iptables",
    ),
    "cni-missing": Kind(
        "error",
        "There is no CNI configuration",
        "The kubelet reports the node as not ready, and starts no pod that has a network of its own.",
        "Write the configuration of the pods' network into /etc/cni/net.d/.",
        "CNI specification, section 1; Kubernetes: Network Plugins",
    ),
    "cni-plugin-missing": Kind(
        "error",
        "A CNI plugin is not installed",
        "The container runtime calls the plugins that its configuration names. Where one is missing no pod gets a network.",
        "Install the plugins: Debian's package containernetworking-plugins, or a release of containernetworking/plugins in /opt/cni/bin.",
        "CNI specification, section 3; containerd: bin_dir",
    ),
    "cni-range-full": Kind(
        "error",
        "All pod addresses of this node are in use",
        "host-local gives an address to no second pod. Addresses of pods that ended without the plugin being called stay in use.",
        "Delete pods, or compare the files in /var/lib/cni/networks/ with the pods that run, and delete those of containers that are gone.",
        "host-local: dataDir",
    ),
    "cloud-source-check": Kind(
        "info",
        "The cloud drops packets of addresses that it does not know",
        "A virtual network that checks addresses drops what pods send from or receive at their own, and nothing on the machine tells.",
        "Make sure, once for each machine, that the cloud lets pod addresses pass. It cannot be seen from inside.",
        "AWS: Disable source/destination checks; Google Cloud: canIpForward; Azure: IP forwarding; OpenStack: allowed address pairs",
    ),
    "cni-masquerade": Kind(
        "warning",
        "The CNI bridge hides the pods' addresses",
        "With `ipMasq` the node replaces the source address of every packet that leaves for another node's pods, so that network "
        "policies and logs there see the node instead of the pod.",
        "Set `ipMasq` to false; masquerade what leaves the cluster elsewhere. Pods that are started from then on follow it.",
        "CNI bridge plugin, https://www.cni.dev/plugins/current/main/bridge/",
    ),
    "cni-several": Kind(
        "warning",
        "Another CNI configuration than the right one is in use",
        "The container runtime takes the first file by name that describes a network. That one does not fit this machine, another one does.",
        "Take the file away, or rename it so that the right one comes first; pods that are started from then on follow it.",
        "libcni, ConfFiles(); CNI specification, section 1",
    ),
    "cni-subnet-mismatch": Kind(
        "error",
        "The CNI configuration gives out addresses of another podCIDR",
        "Pods of this node get addresses that the other nodes route somewhere else, or nowhere.",
        "Write the node's podCIDR into the configuration, then restart the pods of this node.",
        "CNI host-local plugin, https://www.cni.dev/plugins/current/ipam/host-local/",
    ),
    "duplicate-route": Kind(
        "warning",
        "Two routes lead to one podCIDR",
        "The one with the lower metric decides, so that a change of ours may have no effect, and removing one brings the other back.",
        "Remove the one that is not ours, and whatever makes it.",
        "fib_find_alias() of net/ipv4/fib_trie.c",
    ),
    "filter-drops": Kind(
        "error",
        "The packet filter drops pod traffic before or behind the hook forward",
        "Packets between pods pass the hooks `prerouting` and `postrouting` of all tables, too (raw, mangle, filters of the reverse "
        "path), and `ingress` and `egress` of their devices.",
        "Accept the podCIDR of this node as source and as destination there, and keep the rule in the configuration of the filter.",
        "nft(8), ADDRESS FAMILIES; iptables(8), TABLES",
    ),
    "forward-chain-drops": Kind(
        "error",
        "The packet filter drops forwarded pod traffic",
        "Packets between the pods of this node and those of others go through the hook `forward`. Docker, ufw and firewalld let "
        "pass there only what they know.",
        "Accept the podCIDR of this node as source and as destination, and keep the rule in the configuration of the filter.",
        "nft(8), iptables(8); Docker: packet filtering and firewalls",
    ),
    "interface-managed-twice": Kind(
        "warning",
        "Two network managers claim the interface",
        "Each takes what the other sets for a mistake: addresses and routes come and go.",
        "Leave the interface to one of them.",
        "networkctl(1), NetworkManager.conf(5), interfaces(5)",
    ),
    "interface-unmanaged": Kind(
        "warning",
        "No network manager claims the interface",
        "A manager runs, but not for this interface: after the next boot it may have no address, and then no route of ours can exist.",
        "Give it a configuration of the manager that runs.",
        "networkctl(1), NetworkManager.conf(5)",
    ),
    "internal-ip-not-here": Kind(
        "error",
        "The node's InternalIP is not an address of this machine",
        "The other nodes send packets for the pods of this one to that address, where nobody or somebody else receives them.",
        "Correct the inventory, or give the address back to this machine.",
        "Kubernetes: Nodes, Addresses",
    ),
    "internal-ip-temporary": Kind(
        "warning",
        "The node's InternalIP is a temporary address",
        "A temporary (privacy) address is replaced within a day, and the other nodes' routes lead to it.",
        "Use the stable address of this machine as its InternalIP.",
        "RFC 8981",
    ),
    "internal-ip-shared": Kind(
        "warning",
        "An InternalIP moves between machines",
        "It is an address that several machines have in turn (a virtual IP of keepalived, kube-vip or the like). Routes by it lead to whoever has it at the time.",
        "Leave it out of the nodes' addresses, with `--node-ip` of the kubelet for instance; `--node-cidr` limits which addresses count.",
        "Kubernetes: Nodes, Addresses; RFC 9568",
    ),
    "ipv4-forwarding-off": Kind(
        "error",
        "This machine does not forward IPv4",
        "Every packet between a pod and another node is forwarded; without it they are dropped silently.",
        "Turn it on, and keep it on in /etc/sysctl.d/.",
        "Documentation/networking/ip-sysctl.rst of Linux, ip_forward",
    ),
    "ipv6-forwarding-off": Kind(
        "error",
        "This machine does not forward IPv6",
        "Every packet between a pod and another node is forwarded; without it they are dropped silently.",
        "Turn it on, and keep it on in /etc/sysctl.d/.",
        "Documentation/networking/ip-sysctl.rst of Linux, conf/all/forwarding",
    ),
    "ipv6-disabled": Kind(
        "error",
        "IPv6 is switched off",
        "The device has no IPv6 address, takes no IPv6 packet and sends none; the kernel refuses routes over it.",
        "Turn it on, and give the device its addresses again: `networkctl reconfigure DEV`, `nmcli device reapply DEV` or `ifup --force DEV`. Keep it on in /etc/sysctl.d/.",
        "Documentation/networking/ip-sysctl.rst of Linux, disable_ipv6",
    ),
    "kube-proxy-absent": Kind(
        "warning",
        "Nothing makes services reachable on this node",
        "The addresses of services are translated by kube-proxy, or by a network plugin that takes its place. Pods here reach other pods by their own addresses alone; the cluster's DNS is a service as well.",
        "Start kube-proxy on this node.",
        "Kubernetes: Virtual IPs and Service Proxies",
    ),
    "masquerade-missing": Kind(
        "error",
        "The masquerade table is gone",
        "Outside of the cluster nobody has a route to pods, so that answers to their own addresses do not come back.",
        "Load the table again. An agent puts it right by itself, and `podroutes apply` does so, too.",
        "nft(8); systemctl(1): a restart of nftables.service flushes all tables",
    ),
    "mtu-mismatch": Kind(
        "warning",
        "The pods' bridge takes larger packets than the interface",
        "What pods send at full size has to be cut or refused on its way out: connections open and then hang where ICMP is filtered.",
        "Give the bridge at most the MTU of the interface, in the CNI configuration (`mtu`), too.",
        "RFC 1191, RFC 8201",
    ),
    "neighbour-table-small": Kind(
        "warning",
        "The neighbour table is too small for this cluster",
        "Each next hop and each pod takes an entry. Beyond gc_thresh2 live ones are collected after 5 seconds, beyond gc_thresh3 "
        "packets are dropped with `neighbour table overflow`.",
        "Raise the thresholds; they hold for the whole machine and can be set in its first network namespace alone.",
        "arp(7)",
    ),
    "networkd-deletes-routes": Kind(
        "warning",
        "systemd-networkd is going to delete our routes",
        "It removes routes that stand in no file of its own whenever it starts or the interface is reconfigured.",
        "Write them into its configuration, which is the one way to have them back after every event.",
        "networkd.conf(5), ManageForeignRoutes=",
    ),
    "networkd-file-unreadable": Kind(
        "warning",
        "systemd-networkd cannot read a file of its configuration",
        "It does not run as root: a file that others may not read is ignored, and the interface with it.",
        "Let everybody read it; a umask of 077 when it was generated is the usual reason.",
        "systemd-networkd.service(8)",
    ),
    "next-hop-arp-flux": Kind(
        "warning",
        "Several network cards answer for one next hop",
        "Linux answers ARP requests for any of its addresses on every card. Packets reach the machine by either card, but where its reverse path filter is strict it drops those that come in by the wrong one.",
        "On that machine: `sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2`, so that each card answers for its own address. If these are two machines, give one of them another address.",
        "Documentation/networking/ip-sysctl.rst of Linux, arp_ignore, arp_announce",
    ),
    "next-hop-off-link": Kind(
        "error",
        "The next hop of a route is on no connected network",
        "The address that made it reachable was taken from this machine and the route stayed: its next hop no longer answers.",
        "Give the machine an address in that network again. A route of no node goes with `podroutes apply`.",
        "fib_check_nh() of net/ipv4/fib_semantics.c",
    ),
    "next-hop-silent": Kind(
        "error",
        "A next hop does not answer",
        "Nobody has that address on this network: the machine is down, has another address, or is in another segment.",
        "Start it, or correct its InternalIP in the inventory.",
        "RFC 826, RFC 4861",
    ),
    "next-hop-two-macs": Kind(
        "error",
        "Two machines answer for one next hop",
        "Packets for the pods behind it go to whichever answered last.",
        "Find both by their hardware addresses, and give one another IP address.",
        "RFC 5227",
    ),
    "next-hops-one-mac": Kind(
        "warning",
        "One machine answers for the next hops of several nodes",
        "A router with proxy ARP, or the network of a cloud, takes all packets and passes them on by its own routes: routes to nodes on this machine do not choose the node.",
        "Give that router (in a cloud: its route table) a route to each podCIDR, or turn proxy ARP off there.",
        "RFC 1027; Documentation/networking/ip-sysctl.rst of Linux, proxy_arp",
    ),
    "not-the-machines-network": Kind(
        "error",
        "This is the network of a pod",
        "Routes that are made here serve this pod alone, and nothing that is found here is about the machine.",
        "Run the pod with `hostNetwork: true`, or run podroutes on the machine itself.",
        "Kubernetes: Pod, hostNetwork",
    ),
    "pod-bridge-too-wide": Kind(
        "error",
        "The network of the pods' bridge has other nodes' pods in it",
        "Pods behind the bridge take those of other nodes for neighbours and ask for them on the bridge, where nobody answers; the bridge's route competes with those to the nodes.",
        "Give the bridge the node's podCIDR as its network, in the CNI configuration (`subnet`), too, and restart the pods of this node.",
        "CNI bridge plugin, https://www.cni.dev/plugins/current/main/bridge/",
    ),
    "pod-bridge-wrong-cidr": Kind(
        "error",
        "The pods' bridge has an address of another podCIDR",
        "The other nodes send packets for its pods elsewhere: the bridge was made before the node got this podCIDR.",
        "Delete the bridge and restart the pods of this node; the CNI plugin makes it anew with the right address.",
        "CNI bridge plugin, https://www.cni.dev/plugins/current/main/bridge/",
    ),
    "pod-cidr-connected-twice": Kind(
        "error",
        "Two devices have the network of this node's pods",
        "Packets for pods go to one of the two, and pods are behind the other: Docker's default network, or a bridge that an older plugin left.",
        "Take the address from the device that no pods are behind.",
        "fib_find_alias() of net/ipv4/fib_trie.c",
    ),
    "pod-traffic-redirected": Kind(
        "error",
        "The packet filter sends pod traffic to another address",
        "A rule of the type nat replaces the destination of packets from pods to pods, so that these never get them.",
        "Take packets between pods out of that rule, and keep that in the configuration of the filter.",
        "nft(8), NAT STATEMENTS; iptables-extensions(8), DNAT",
    ),
    "pods-masqueraded": Kind(
        "warning",
        "The packet filter hides the pods' addresses from other nodes",
        "With masquerade or SNAT between pods the receiver sees the address of a node: network policies and logs are wrong, and a "
        "firewall that knows pods drops the packets.",
        "Leave packets between pods as they are; masquerade only what leaves the cluster. Keep the rule in the configuration of the filter.",
        "nft(8), NAT STATEMENTS; iptables-extensions(8), MASQUERADE",
    ),
    "protocol-unnamed": Kind(
        "info",
        "ip(8) does not know the name of our protocol",
        "Nothing stops; but `ip route` prints `proto 107` where it could say `proto podroutes`.",
        "Tell it the name.",
        "ip-route(8), /etc/iproute2/rt_protos.d",
    ),
    "ra-default-route-at-risk": Kind(
        "warning",
        "The IPv6 default route goes when this machine forwards",
        "A router takes no router advertisements unless told to: the default route that came by one is dropped as soon as "
        "forwarding is turned on, or when it expires.",
        "Accept router advertisements although forwarding, before forwarding is turned on.",
        "Documentation/networking/ip-sysctl.rst of Linux, accept_ra; systemd.network(5), IPv6AcceptRA=",
    ),
    "rival-routes": Kind(
        "warning",
        "Another program routes podCIDRs, too",
        "Two programs that write the same prefixes undo each other's changes.",
        "Stop one of the two. Routes that nobody looks after any more can be taken over with `podroutes apply --adopt`, if they are just what podroutes would write.",
        "rtnetlink(7), rtm_protocol; /etc/iproute2/rt_protos",
    ),
    "route-split": Kind(
        "error",
        "A route of ours has a second next hop",
        "Someone appended a next hop to it, and the kernel sends a part of the flows there.",
        "Let podroutes replace it.",
        "ip-route(8), append; fib6_add_rt2node() of net/ipv6/ip6_fib.c",
    ),
    "routes-not-restored": Kind(
        "warning",
        "What is written down for the next boot is not carried out then",
        "The file of ours is there, and the network manager does not read or run it, or not for this interface.",
        "Remove the reason, or name another place with `podroutes apply --persist BACKEND`.",
        "docs/persistence.md",
    ),
    "route-without-carrier": Kind(
        "error",
        "The interface of our routes is down or has no carrier",
        "The routes are there, and no packet leaves.",
        "Bring the interface up, or check the cable.",
        "RTNH_F_LINKDOWN of linux/rtnetlink.h",
    ),
    "routes-missing": Kind(
        "error",
        "Routes to podCIDRs of other nodes are missing",
        "Packets for their pods leave by the default route, or are refused.",
        "See `podroutes plan`, which names what stands in the way of a route.",
        "RFC 1812 section 5.2.4.3, longest match",
    ),
    "rule-takes-pods": Kind(
        "error",
        "A policy rule sends pod traffic elsewhere",
        "Rules are asked in the order of their numbers. One before that of the main table (32766) sends packets to pods by another table: that of a VPN or an exit node, or that of a second network card, which knows no pods.",
        "Have the main table asked first for the podCIDRs, and keep the rule in the configuration of the network manager.",
        "ip-rule(8); fib_rules_lookup() of net/core/fib_rules.c",
    ),
    "stray-route": Kind(
        "error",
        "A route takes pod traffic elsewhere",
        "It lies inside the pod range, is not ours, and does not lead to the node whose podCIDR that is: as the more specific "
        "route, or with the lower metric, it decides.",
        "Remove it, and whatever makes it.",
        "RFC 1812 section 5.2.4.3, longest match",
    ),
    "strict-reverse-path": Kind(
        "error",
        "The reverse path filter drops pod traffic",
        "In strict mode a packet is dropped unless the route back to its source leaves by the interface that it came in by. The "
        "higher value of conf/all and the interface counts.",
        "Set the interface to loose mode (2), or route back the same way.",
        "RFC 3704; Documentation/networking/ip-sysctl.rst of Linux, rp_filter",
    ),
}


class Repair(NamedTuple):
    """A safe and reversible repair: set a sysctl of this network namespace until the next boot."""

    sysctl: str  # below /proc/sys, such as net/ipv4/ip_forward
    value: int

    @property
    def name(self) -> str:
        """The name of the sysctl as sysctl(8) prints it, with slashes if a device name has dots."""
        return self.sysctl if "." in self.sysctl else self.sysctl.replace("/", ".")


class Examined(NamedTuple):
    """One machine and its findings. ``unexamined`` names what could not be examined."""

    node: str
    findings: tuple["Finding", ...]
    unexamined: tuple[str, ...]


class Repaired(NamedTuple):
    """The result of a repair. ``error`` is empty if it succeeded."""

    code: str
    repair: Repair
    error: str


class Finding(NamedTuple):
    """One fault. ``cause`` is one line, ``evidence`` what was read and where, ``fix`` a list of commands."""

    code: str
    cause: str
    evidence: tuple[str, ...]
    fix: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()

    @property
    def kind(self) -> Kind:
        """The description of this code."""
        return FINDINGS[self.code]

    @property
    def documentation(self) -> str:
        """The command that explains the code."""
        return f"podroutes help {self.code}"
