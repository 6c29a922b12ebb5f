"""The CNI configuration of a node: how the container runtime gives pods an interface and an address of the node's podCIDRs.

https://www.cni.dev/docs/spec/#section-1-network-configuration-format. The plugins are bridge, host-local and loopback, and portmap
where the machine has what it needs. Sources are never masqueraded: other nodes see the pods' own addresses.
"""

import json
from collections.abc import Iterable, Sequence

from podroutes.host.cni import DIRECTORY, PLUGINS, SUFFIXES
from podroutes.host.files import HostFiles
from podroutes.model.address import Address, Prefix, parse_address
from podroutes.model.persisted import File
from podroutes.persist.file_format import MARK
from podroutes.persist.system_files import CNI, CNI_LOOPBACK

NETWORK = "podroutes"  # the network's name; host-local keeps the addresses in use in a directory of this name
LEASES = f"/var/lib/cni/networks/{NETWORK}"  # one file for each address in use: host-local's default dataDir
BRIDGE = "cni0"
CHAINED_PLUGINS = {"portmap": "portMappings", "bandwidth": "bandwidth"}  # what the runtime passes to them
_VERSION = "1.0.0"  # of the CNI specification; understood by the plugins since 1.0 (2021) and by containerd since 1.6
_IPTABLES = ("/usr/sbin/iptables", "/sbin/iptables", "/usr/bin/iptables")  # portmap runs it
_OTHER_LEASES = ("/var/lib/cni/networks/*/*", "/run/cni-ipam-state/*/*")  # the default dataDir, and that of kindnet
READS = (f"{DIRECTORY}/*", *_OTHER_LEASES)  # what a plan depends on, and
EXISTS = (
    *(f"{directory}/portmap" for directory in PLUGINS),
    *_IPTABLES,
    "/sys/class/net/*/bridge",
)  # what has to be there


def render(pod_cidrs: Sequence[Prefix], *, mtu: int, chained: Iterable[str], bridge: str = BRIDGE) -> tuple[File, File]:
    """Return the configuration of the pods' network and that of their loopback interface. Pure.

    POD_CIDRS, at least one, are those of the node. MTU is that of the device towards the other nodes, 0 if unknown. CHAINED are those of
    CHAINED_PLUGINS that follow. BRIDGE is the pods' device.
    """
    versions = sorted({cidr.version for cidr in pod_cidrs})
    ranges = [[{"subnet": str(cidr)} for cidr in pod_cidrs if cidr.version == version] for version in versions]
    first: dict[str, object] = {
        "type": "bridge",
        "bridge": bridge,
        "isGateway": True,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "promiscMode": False,
        "ipMasq": False,
        **({"mtu": mtu} if mtu else {}),
        "ipam": {"type": "host-local", "ranges": ranges},
    }
    plugins = [first]
    plugins += [
        {"type": name, "capabilities": {CHAINED_PLUGINS[name]: True}} for name in CHAINED_PLUGINS if name in chained
    ]
    return _file(CNI, NETWORK, plugins), _file(CNI_LOOPBACK, f"{NETWORK}-loopback", [{"type": "loopback"}])


def _file(path: str, name: str, plugins: list[dict[str, object]]) -> File:
    # libcni ignores keys that it does not know; this one marks the file as ours.
    comment = f"{MARK}: `podroutes apply` writes this file, `podroutes remove` deletes it."
    document = {"_comment": comment, "cniVersion": _VERSION, "name": name, "plugins": plugins}
    return File(path, json.dumps(document, indent=2) + "\n")


def has_portmap(root: HostFiles) -> bool:
    """Return whether the machine has the plugin portmap and the iptables program that it runs."""
    plugin = any(root.path(f"{directory}/portmap").exists() for directory in PLUGINS)
    return plugin and any(root.path(program).exists() for program in _IPTABLES)


def first_by_name(root: HostFiles) -> str:
    """Return the file that a runtime uses instead of ours, "" if ours is the first: containerd and CRI-O take the first by name."""
    names = [path for path in root.glob(f"{DIRECTORY}/*") if path.endswith(SUFFIXES)]
    first = min(names, default=CNI)
    return first if first < CNI else ""


def bandwidth_limited(root: HostFiles) -> bool:
    """Return whether our present configuration has the plugin bandwidth."""
    return '"bandwidth"' in (root.read(CNI) or "")


def foreign_leases(root: HostFiles, pod_cidrs: Iterable[Prefix]) -> list[File]:
    """Return host-local's files for addresses in POD_CIDRS that pods of another network have, as files of our network.

    A new pod would get such an address again. The plugin is called with our configuration when an old pod ends; it finds the file
    by the container's id, which is in it.
    """
    inside = tuple(pod_cidrs)
    leases = {}
    for path in (path for pattern in _OTHER_LEASES for path in root.glob(pattern)):
        name = path.rpartition("/")[2]
        address = _address(name)
        ours = f"{LEASES}/{name}"
        if address and any(cidr.covers(address) for cidr in inside) and not any(root.glob(ours)):
            lines = (root.read(path) or "").splitlines()  # the container's id and the interface
            leases[ours] = File(ours, "\r\n".join(lines))  # host-local's LineBreak
    return [leases[path] for path in sorted(leases)]


def pods_outside(root: HostFiles, pod_cidrs: Iterable[Prefix]) -> list[Address]:
    """Return the addresses that host-local has given to pods of our network and that are outside of POD_CIDRS, sorted."""
    inside = tuple(pod_cidrs)
    used = filter(None, (_address(path.rpartition("/")[2]) for path in root.glob(f"{LEASES}/*")))
    return sorted(address for address in used if not any(cidr.covers(address) for cidr in inside))


def _address(name: str) -> Address | None:
    """Return the address that a file of host-local is named after; its lock and its last address have other names."""
    try:
        return parse_address(name)
    except ValueError:
        return None
