"""Plans the CNI configuration of a machine: the files that it should have, and problems."""

from collections.abc import Iterator, Mapping

from podroutes.apply.cni_request import CniFiles, CniRequest, present_files
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.address import BITS
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import File
from podroutes.model.problem import Problem
from podroutes.model.text import escaped, listing, printable
from podroutes.persist import cni_config
from podroutes.persist.system_files import CNI


def cni_files(root: HostFiles, own: Node, fib: Fib, there: Mapping[str, File], request: CniRequest) -> CniFiles:
    """Return the CNI files for node OWN, whose present files are THERE by path. Without a REQUEST, present files are updated.

    The podCIDRs in a configuration are changed only if no pod has an address outside of the new ones, or by force. Raises PersistError
    if a requested file cannot be written and the request insists; otherwise the present files stay, with a problem.
    """
    present = CNI in there
    why = _obstacle(root, own, in_use=present and not request.force)
    if why and request.wanted and request.insist:
        raise PersistError(why)
    if why:
        return CniFiles(present_files(there), (Problem("warning", "cni-not-written", why),))
    chained = request.chained
    if chained is None:
        bandwidth = present and cni_config.bandwidth_limited(root)
        chained = ("portmap",) * cni_config.has_portmap(root) + ("bandwidth",) * bandwidth
    files = cni_config.render(own.pod_cidrs, mtu=_uplink_mtu(own, fib), chained=chained, bridge=_bridge(root, own, fib))
    without_portmap = request.wanted and request.chained is None and "portmap" not in chained
    # Once ours is the one in use, host-local knows each pod itself.
    leases = cni_config.foreign_leases(root, own.pod_cidrs) if not present or cni_config.first_by_name(root) else []
    return CniFiles(files, tuple(_problems(root, own, without_portmap=without_portmap)), tuple(leases))


def _bridge(root: HostFiles, own: Node, fib: Fib) -> str:
    """Return the bridge that has an address for the pods of OWN already, so that pods of before stay on it; else our default."""
    gateways = (
        address.dev
        for address in fib.addresses
        if address.length < BITS[address.address.version]
        and any(cidr.covers(address.address) for cidr in own.pod_cidrs)
    )
    return next((dev for dev in gateways if any(root.glob(f"/sys/class/net/{dev}/bridge"))), cni_config.BRIDGE)


def _obstacle(root: HostFiles, own: Node, *, in_use: bool) -> str | None:
    """Return why the configuration cannot be written, None if it can."""
    name = f"node {printable(own.name)}"
    if any(unread.field == "podCIDR" for unread in own.unread):
        return f"{name}: its podCIDR cannot be read, so the CNI configuration is not written"
    if not own.pod_cidrs:
        return f"{name} has no podCIDR, so there is no CNI configuration to write"
    outside = cni_config.pods_outside(root, own.pod_cidrs) if in_use else []
    if not outside:
        return None
    cidrs = listing([str(cidr) for cidr in own.pod_cidrs])
    pods = listing([str(address) for address in outside])
    return f"{name}: pods have addresses outside of {cidrs}: {pods}; delete these pods first, or use --cni --force"


def _uplink_mtu(own: Node, fib: Fib) -> int:
    """Return the lowest MTU of the devices with an InternalIP of OWN, 0 if there is none."""
    devices = {address.dev for address in fib.addresses if address.address in own.internal_ips}
    return min((link.mtu for link in fib.links if link.name in devices and link.mtu), default=0)


def _problems(root: HostFiles, own: Node, *, without_portmap: bool) -> Iterator[Problem]:
    if other := cni_config.first_by_name(root):
        message = f"{escaped(other)} comes before {CNI} by name, so the container runtime uses it"
        yield Problem("warning", "cni-not-first", message, nodes=(own.name,))
    if without_portmap:
        message = (
            "the CNI configuration has no portmap, so hostPort has no effect: the plugin or iptables is not installed"
        )
        yield Problem("warning", "cni-no-host-ports", message, nodes=(own.name,))
