"""Plans the host settings of a machine: sysctls, the module br_netfilter, and the masquerade table."""

from collections.abc import Iterator

from podroutes.apply.host_request import HostRequest, HostSettings, HostState, present_files
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.host.sysctls import get_sysctl
from podroutes.model.address import BITS, Prefix, network
from podroutes.model.host_change import HostChange
from podroutes.model.linux import RouteProtocol
from podroutes.model.masquerade import Masquerade, masquerade
from podroutes.model.persisted import File
from podroutes.model.problem import Problem
from podroutes.model.text import printable
from podroutes.persist import masquerade_table
from podroutes.persist.system_files import (
    BRIDGE_MODULE,
    BRIDGE_SYSCTLS,
    FORWARDING,
    MASQUERADE,
    MODULES,
    device_sysctl,
    former,
    forwarding,
    forwarding_sysctls,
    kept,
    modules,
    sysctl_path,
)

_ACCEPT_RA_FORWARDING = "2"  # accept router advertisements although the machine forwards: kernel's ip-sysctl.rst
_STRICT, _LOOSE = 1, "2"  # rp_filter: RFC 3704


def sysctls(state: HostState, request: HostRequest) -> HostSettings:
    """Return the sysctls that pods of the machine need, as files and as live changes.

    A sysctl of a present file of ours that is about a device stays. The file keeps the values before ours, for ``remove``.
    """
    root = state.root
    file = state.present.get(FORWARDING)
    before = former(file.text) if file else {}
    versions = {persisted.route.dst.version for persisted in state.routes} | {
        cidr.version for cidr in state.own.pod_cidrs
    }
    wanted = forwarding_sysctls(versions)
    wanted |= {key: value for key, value in kept(state.present).items() if "/" in key}
    wanted |= dict(_router_advertisements(state, versions)) | dict(_reverse_path(state))
    bridged = state.bridged and (request.sysctl or MODULES in state.present)
    changes = []
    if bridged:
        wanted |= dict.fromkeys(BRIDGE_SYSCTLS, "1")
        if root.path("/proc/sys/net").exists() and not root.path("/proc/sys/net/bridge").exists():
            changes.append(HostChange("module", "load", BRIDGE_MODULE))
    live = {key: get_sysctl(root, sysctl_path(key)) for key in wanted}
    changes += [
        HostChange("sysctl", "set", key, f"= {value}", value, was)
        for key, value in wanted.items()
        if (was := live[key]) not in (None, value)
    ]
    before = {key: before.get(key, live[key] or "") for key in wanted}
    files = (modules(),) if bridged else ()
    return HostSettings(files, forwarding(wanted, before), tuple(changes))


def taken_back(root: HostFiles, text: str) -> Iterator[HostChange]:
    """Yield the changes that restore the sysctls before our file with TEXT, as far as they are still as it says."""
    before = former(text)
    for key, value in kept({FORWARDING: File(FORWARDING, text)}).items():
        if before.get(key, value) not in ("", value) and get_sysctl(root, sysctl_path(key)) == value:
            yield HostChange("sysctl", "set", key, f"= {before[key]}", before[key], value)


def _router_advertisements(state: HostState, versions: set[int]) -> Iterator[tuple[str, str]]:
    """Yield the sysctls that keep an IPv6 default route of a router advertisement when the machine begins to forward."""
    if 6 not in versions:
        return
    for route in state.fib.others:
        if route.dst == Prefix(6, 0, 0) and route.protocol == RouteProtocol.RA:
            for dev in filter(None, (hop.dev for hop in route.next_hops)):
                key = device_sysctl(6, dev, "accept_ra")
                if get_sysctl(state.root, key) == "1":
                    yield key, _ACCEPT_RA_FORWARDING


def _reverse_path(state: HostState) -> Iterator[tuple[str, str]]:
    """Yield the sysctls without which packets from pods are dropped: they come in by another device than the route back uses."""
    own = set(state.own.internal_ips)
    arrivals = {
        address.dev for address in state.fib.addresses if address.address.version == 4 and address.address in own
    }
    ways = {persisted.route.dev for persisted in state.routes if persisted.route.dst.version == 4}
    for dev in sorted(arrivals):
        strict = max(int(get_sysctl(state.root, device_sysctl(4, each, "rp_filter")) or 0) for each in ("all", dev))
        if strict == _STRICT and ways - {dev}:
            yield device_sysctl(4, dev, "rp_filter"), _LOOSE


def table(state: HostState, request: HostRequest) -> HostSettings:
    """Return the masquerade table of the machine. Raises PersistError if it was requested for the next boot, too, and cannot be read.

    A machine without podCIDRs keeps what it has: its pods are not known.
    """
    files = present_files(state.present)
    versions = request.masquerade
    if versions is None:
        versions = masquerade_table.written_versions(state.present[MASQUERADE].text)
    if request.keep:
        return HostSettings(files)
    try:
        live = (request.table or masquerade_table.read)(state.root)
    except PersistError as error:
        if request.masquerade and request.persistent:
            raise
        problem = Problem("warning", "masquerade-not-kept", str(error), nodes=(state.own.name,))
        return HostSettings(files, problems=(problem,))
    if not versions:
        return HostSettings(changes=(masquerade_table.deletion(),) if live else ())
    wanted = _wanted(state, versions)
    if not wanted.pods or any(unread.field == "podCIDR" for unread in state.own.unread):
        why = f"node {printable(state.own.name)} has no podCIDR that could be masqueraded"
        problem = Problem("warning", "masquerade-not-kept", why, nodes=(state.own.name,))
        return HostSettings(files, problems=(problem,))
    change = masquerade_table.change(live, wanted)
    if request.persistent or MASQUERADE in state.present:
        files = masquerade_table.files(wanted)
    return HostSettings(files, changes=(change,) if change else ())


def _wanted(state: HostState, versions: tuple[int, ...]) -> Masquerade:
    """Return the table for IP VERSIONS. The cluster's limits stand for its addresses; without limits those of its nodes do."""
    cluster = state.cluster
    pods = [persisted.route.dst for persisted in state.routes]
    pods += cluster.pod_cidrs or (cidr for node in cluster.nodes for cidr in node.pod_cidrs)
    nodes = cluster.node_cidrs or tuple(
        network(address, BITS[address.version]) for node in cluster.nodes for address in node.internal_ips
    )
    return masquerade(versions, state.own.pod_cidrs, (*pods, *nodes, *cluster.service_cidrs))
