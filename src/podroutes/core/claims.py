"""Which podCIDRs of an inventory may be routed: every rule that needs no kernel, applied to all nodes in one go.

A claim is *honoured* when nothing speaks against it, *contested* when another claim does: of contested ones only what is
already in place stays. The answer depends on the set of nodes alone, so every machine comes to the same one.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import lt
from typing import NamedTuple

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem
from podroutes.model.text import listing, printable

_HOST_BITS = {version: [(1 << (bits - length)) - 1 for length in range(bits + 1)] for version, bits in BITS.items()}


class Claim(NamedTuple):
    """One podCIDR of one node, and the addresses of its family that could be the next hop, best first."""

    dst: Prefix
    node: Node
    vias: tuple[Address, ...]


class Claims(NamedTuple):
    """The verdict on an inventory; both lists are sorted the way the FIB is, by destination."""

    honoured: tuple[Claim, ...]
    contested: tuple[Claim, ...]
    problems: tuple[Problem, ...]


def examine(cluster: Cluster) -> Claims:
    """Decide on every podCIDR of CLUSTER, finding all problems in one pass."""
    return _Examination(cluster).verdict()


class _Examination:
    """The working state of ``examine``: the claims that are left, and what was found on the way."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.problems: list[Problem] = []
        self.contested: set[int] = set()  # id() of claims: hashing them would cost more than all the rest
        self.ambiguous: set[str] = set()  # names that stand for different entries
        self.nodes = self._distinct_nodes()
        self.outside = self._addresses_outside()
        self.shared = self._shared_addresses()

    def verdict(self) -> Claims:
        claims = self._not_covering_nodes(sorted(self._claims(), key=_by_destination))
        self._contest_overlaps(claims)
        honoured = tuple(claim for claim in claims if id(claim) not in self.contested)
        contested = tuple(claim for claim in claims if id(claim) in self.contested)
        return Claims(honoured, contested, tuple(self.problems))

    def _report(self, code: str, message: str, nodes: Iterable[Node], dst: Prefix | None = None) -> None:
        names = tuple(dict.fromkeys(node.name for node in nodes))
        self.problems.append(Problem("error", code, message, names, dst))

    def _name(self, node: Node) -> str:
        """How messages speak of a node: its name, and where it stands."""
        return f"node {printable(node.name)} ({self.cluster.place(node)})"

    def _names(self, nodes: Iterable[Node]) -> str:
        return listing([self._name(node) for node in nodes])

    def _distinct_nodes(self) -> tuple[Node, ...]:
        """Every node once; entries that share a name but not their data are all kept, and contested later."""
        nodes = self.cluster.nodes
        if len({node.name for node in nodes}) == len(nodes):
            return nodes
        by_name: defaultdict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            by_name[node.name].append(node)
        for name, entries in by_name.items():
            if len(entries) > 1:
                places = listing([self.cluster.place(node) for node in entries])
                self._report("duplicate-node", f"{len(entries)} entries are named {printable(name)}: {places}", entries)
                if len({(node.internal_ips, node.pod_cidrs) for node in entries}) > 1:
                    self.ambiguous.add(name)
        return tuple({(node.name, node.internal_ips, node.pod_cidrs): node for node in reversed(nodes)}.values())

    def _addresses_outside(self) -> set[Address]:
        """Addresses outside cluster.nodeCIDRs: nobody may claim them."""
        limits = self.cluster.node_cidrs
        outside = set()
        for node in self.nodes if limits else ():
            for address in node.internal_ips:
                if not any(limit.covers(address) for limit in limits):
                    outside.add(address)
                    message = (
                        f"{self._name(node)}: InternalIP {address} is outside cluster.nodeCIDRs ({_listed(limits)})"
                    )
                    self._report("internal-ip-outside-cluster", message, [node])
        return outside

    def _shared_addresses(self) -> set[Address]:
        """Addresses of more than one node: a route through them could end at either."""
        addresses = [address for node in self.nodes for address in node.internal_ips]
        if len(set(addresses)) == len(addresses):
            return set()
        owners: defaultdict[Address, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for address in node.internal_ips:
                owners[address].append(node)
        shared = {address for address, nodes in owners.items() if len({node.name for node in nodes}) > 1}
        for address in sorted(shared):
            message = f"InternalIP {address} is claimed by {self._names(owners[address])}"
            self._report("duplicate-internal-ip", message, owners[address])
        return shared

    def _claims(self) -> list[Claim]:
        """Collect the podCIDRs that are inside the limits and whose node has an address to route them to."""
        limited = bool(self.cluster.pod_cidrs or self.cluster.service_cidrs)
        claims = []
        for node in self.nodes:
            addresses = node.internal_ips
            for dst in dict.fromkeys(node.pod_cidrs) if len(node.pod_cidrs) > 1 else node.pod_cidrs:
                if limited and not self._within_limits(node, dst):
                    continue
                vias = addresses
                if len(addresses) != 1 or addresses[0].version != dst.version:  # seldom
                    vias = tuple(address for address in addresses if address.version == dst.version)
                if not vias:
                    self._report_no_address(node, dst)
                    continue
                if self.outside and not (vias := tuple(via for via in vias if via not in self.outside)):
                    continue  # reported with the address
                unshared = tuple(via for via in vias if via not in self.shared) if self.shared else vias
                claim = Claim(dst, node, unshared or vias)
                if not unshared or node.name in self.ambiguous:
                    self.contested.add(id(claim))
                claims.append(claim)
        return claims

    def _within_limits(self, node: Node, dst: Prefix) -> bool:
        limits = self.cluster.pod_cidrs
        if limits and not any(limit.covers(dst) for limit in limits):
            message = f"{self._name(node)}: podCIDR {dst} is outside cluster.podCIDRs ({_listed(limits)})"
            self._report("pod-cidr-outside-cluster", message, [node], dst)
            return False
        for service in self.cluster.service_cidrs:
            if service.overlaps(dst):
                message = f"{self._name(node)}: podCIDR {dst} overlaps the service range {service}"
                self._report("pod-cidr-overlaps-service", message, [node], dst)
                return False
        return True

    def _report_no_address(self, node: Node, dst: Prefix) -> None:
        if node.internal_ips:
            message = f"{self._name(node)}: podCIDR {dst} is IPv{dst.version}, but the node has no IPv{dst.version} InternalIP"
            self._report("family-without-internal-ip", message, [node], dst)
        else:
            self._report("no-internal-ip", f"{self._name(node)}: podCIDR {dst}, but no InternalIP", [node], dst)

    def _not_covering_nodes(self, claims: list[Claim]) -> list[Claim]:
        """Drop claims that contain the address of a node: it would be routed into somebody's pods."""
        addresses = sorted(address for node in self.nodes for address in node.internal_ips)
        if not any(
            bisect_left(addresses, (version, first)) < bisect_right(addresses, (version, last))
            for version, first, last in _extents(claims)
        ):
            return claims  # pods and nodes live in ranges of their own
        owner = {address: node for node in self.nodes for address in node.internal_ips}
        kept = []
        for claim in claims:
            first = bisect_left(addresses, (claim.dst.version, claim.dst.value))
            if first < len(addresses) and claim.dst.covers(addresses[first]):
                victim = owner[addresses[first]]
                what = f"contains {addresses[first]}, the InternalIP of {self._name(victim)}"
                message = f"{self._name(claim.node)}: podCIDR {claim.dst} {what}"
                self._report("pod-cidr-covers-node", message, (claim.node, victim), claim.dst)
            else:
                kept.append(claim)
        return kept

    def _contest_overlaps(self, claims: list[Claim]) -> None:
        """Contest whatever two nodes claim; in order of destination a prefix comes just before all that it covers."""
        if _disjoint(claims):
            return
        open_groups: list[list[Claim]] = []  # each covers the next; at most one a prefix length
        for dst, group in groupby(claims, key=lambda claim: claim.dst):
            same = list(group)
            if len({claim.node.name for claim in same}) > 1:
                message = f"podCIDR {dst} is claimed by {self._names(claim.node for claim in same)}"
                self._contest("duplicate-pod-cidr", message, same, dst)
            while open_groups and not open_groups[-1][0].dst.covers(dst):
                open_groups.pop()
            for cover in reversed(open_groups):
                if {claim.node.name for claim in cover + same} != {same[0].node.name}:
                    inner, outer = (self._names(claim.node for claim in each) for each in (same, cover))
                    message = f"podCIDR {dst} of {inner} lies inside {cover[0].dst} of {outer}"
                    self._contest("overlapping-pod-cidr", message, same + cover, dst)
            open_groups.append(same)

    def _contest(self, code: str, message: str, claims: list[Claim], dst: Prefix) -> None:
        self.contested.update(map(id, claims))
        self._report(code, message, (claim.node for claim in claims), dst)


def _by_destination(claim: Claim) -> tuple[Prefix, str]:
    return claim.dst, claim.node.name


def _disjoint(claims: list[Claim]) -> bool:
    """Whether no two of CLAIMS, sorted by destination, overlap: each ends before the next begins."""
    ends = [dst.value | _HOST_BITS[dst.version][dst.length] for dst, _, _ in claims]
    starts = [dst.value for dst, _, _ in claims]
    versions = [dst.version for dst, _, _ in claims]
    border = versions.index(6) if 6 in versions else len(claims)
    return all(
        all(map(lt, ends[first : last - 1], starts[first + 1 : last]))
        for first, last in ((0, border), (border, len(claims)))
    )


def _extents(claims: list[Claim]) -> Iterator[tuple[int, int, int]]:
    """Yield for each IP version the first and the last address that CLAIMS, sorted by destination, reach to."""
    for version in (4, 6):
        dsts = [claim.dst for claim in claims if claim.dst.version == version]
        if dsts:
            yield version, dsts[0].value, max(dst.value | _HOST_BITS[version][dst.length] for dst in dsts)


def _listed(prefixes: Iterable[Prefix]) -> str:
    return ", ".join(map(str, prefixes))
