"""Decides which podCIDRs of an inventory may be routed, by all rules that need no kernel.

The order of trust is: the limits of the cluster, ``spec.podCIDRs``, ``status.addresses``. The result depends only on the set
of nodes, so it is the same on every machine. Conflicts between nodes are decided by ``conflicting_claims`` on each machine, since the
routes in place there count.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import lt

from podroutes.model.address import BITS, PRIVATE, Address, Prefix
from podroutes.model.claims import Claim, Claims, Disputes, Loss
from podroutes.model.cluster import Cluster, Node
from podroutes.model.problem import Problem
from podroutes.model.text import escaped, listing, printable
from podroutes.plan.overlaps import Owners, inside

__all__ = ["Claim", "Claims", "examine"]

_HOST_BITS = {version: [(1 << (bits - length)) - 1 for length in range(bits + 1)] for version, bits in BITS.items()}
_WHY_NOTHING = {
    "machines": "the lines have no POD_SUBNET: machines.txt has a fourth column, as in `192.168.8.21 FQDN HOST 10.200.1.0/24`",
    "kubernetes": "the controller manager does not allocate podCIDRs (--allocate-node-cidrs): write them into an inventory of your own",
}


def examine(cluster: Cluster, noted: tuple[Problem, ...] = ()) -> Claims:
    """Decide about each podCIDR of CLUSTER and collect all problems. NOTED are the problems found when it was read."""
    return _Examination(cluster).verdict(noted)


class _Examination:
    """The working state of ``examine``."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.problems: list[Problem] = []
        self.twice: dict[str, Loss] = {}
        self.unclear: dict[str, Loss] = {}
        self.forbidden: dict[str, Loss] = {}
        self.nodes = self._distinct_nodes()
        self.outside = self._addresses_outside()
        self.shared = self._shared_addresses()
        self.unread = self._unread()

    def verdict(self, noted: tuple[Problem, ...]) -> Claims:
        claims = sorted(self._claims(), key=_by_destination)
        self._report_public(claims)
        addresses, disputed = self._covered(claims)
        disputed |= self._overlapping(claims)
        named = {*self.twice, *self.unclear, *(node.name for _, node in addresses)}
        if named:
            disputed |= {id(claim) for claim in claims if claim.node.name in named}
        nothing = self._nothing()
        problems = (*noted, *self.problems, *nothing)
        if not disputed and not self.unread and not self.forbidden:
            return Claims(tuple(claims), (), problems, None, self.cluster, noted, bool(nothing), frozenset(self.shared))
        disputes = Disputes(
            self.cluster,
            tuple(claim for claim in claims if id(claim) in disputed),
            tuple(claim for claim in claims if id(claim) not in disputed),
            tuple(addresses),
            self.twice,
            self.unclear,
            self.unread,
            problems,
            self.forbidden,
        )
        from podroutes.plan.conflicting_claims import decide  # noqa: PLC0415, nearly every inventory is without disputes
        from podroutes.plan.decision import NOWHERE  # noqa: PLC0415, the same

        decided = decide(disputes, NOWHERE)
        disputes = disputes._replace(lost={(claim.dst, claim.node.name): loss for claim, loss in decided.lost})
        honoured = tuple(sorted((*disputes.clean, *decided.won), key=_by_destination))
        contested = tuple(claim for claim, _ in decided.lost)
        problems += decided.problems
        shared = frozenset(self.shared)
        return Claims(honoured, contested, problems, disputes, self.cluster, noted, bool(nothing), shared)

    def _report(self, code: str, message: str, nodes: Iterable[Node], dst: Prefix | None = None) -> None:
        names = tuple(dict.fromkeys(node.name for node in nodes))
        self.problems.append(Problem("error", code, message, names, dst))

    def _name(self, node: Node) -> str:
        """Return a node's name and position for messages."""
        return f"node {printable(node.name)} ({self.cluster.place(node)})"

    def _distinct_nodes(self) -> tuple[Node, ...]:
        """Return the nodes without duplicates; different entries of the same name are all kept, and disputed."""
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
                    self.twice[name] = Loss(f"{len(entries)} entries are named {escaped(name)}", "duplicate-node")
        return tuple({(node.name, node.internal_ips, node.pod_cidrs): node for node in reversed(nodes)}.values())

    def _unread(self) -> tuple[Node, ...]:
        """Return the nodes with an unread podCIDR, and record those with an unread address."""
        problems = []
        for node in [node for node in self.nodes if node.unread]:
            fields = {field.field: field for field in node.unread}
            if "podCIDR" in fields:
                problems.append(node)
            if "internalIP" in fields:
                self.unclear[node.name] = unread_loss(node, "internalIP")
        return tuple(problems)

    def _nothing(self) -> tuple[Problem, ...]:
        """Return the problem that there is nothing to route, if no node has a podCIDR."""
        if not self.nodes or any(node.pod_cidrs for node in self.nodes) or self.unread:
            return ()
        fix = _WHY_NOTHING.get(self.cluster.format, "")
        return (Problem("error", "no-pod-cidr", f"no node of {self.cluster.source} has a podCIDR", (), None, fix),)

    def _addresses_outside(self) -> set[Address]:
        """Return the addresses outside cluster.nodeCIDRs, which no node may claim."""
        limits = self.cluster.node_cidrs
        outside = set()
        for node in self.nodes if limits else ():
            for address in node.internal_ips:
                if not any(limit.covers(address) for limit in limits):
                    outside.add(address)
                    what = f"InternalIP {address} is outside cluster.nodeCIDRs"
                    self._report(
                        "internal-ip-outside-cluster", f"{self._name(node)}: {what} ({_listed(limits)})", [node]
                    )
        return outside

    def _shared_addresses(self) -> set[Address]:
        """Return the addresses of more than one node; they are used only if the node has no other."""
        addresses = [address for node in self.nodes for address in node.internal_ips]
        if len(set(addresses)) == len(addresses):
            return set()
        owners: defaultdict[Address, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for address in node.internal_ips:
                owners[address].append(node)
        shared = {address for address, nodes in owners.items() if len({node.name for node in nodes}) > 1}
        for address in sorted(shared):
            names = listing([self._name(node) for node in owners[address]])
            self._report("duplicate-internal-ip", f"InternalIP {address} is claimed by {names}", owners[address])
            self.problems[-1] = self.problems[-1]._replace(severity="warning")
        return shared

    def _claims(self) -> list[Claim]:
        """Collect the podCIDRs that are inside the limits and whose node has, or may have, an address for the next hop."""
        limited = any(self.cluster.limits)
        claims = []
        for node in self.nodes:
            addresses = node.internal_ips
            for dst in dict.fromkeys(node.pod_cidrs) if len(node.pod_cidrs) > 1 else node.pod_cidrs:
                if limited and not self._within_limits(node, dst):
                    continue
                vias = addresses
                if len(addresses) != 1 or addresses[0].version != dst.version:  # seldom
                    vias = tuple(address for address in addresses if address.version == dst.version)
                if not vias and not node.unread:
                    self._report_no_address(node, dst)
                    continue
                if not vias and node.name not in self.unclear:  # only its podCIDR cannot be read
                    self._report_no_address(node, dst)
                    continue
                if self.outside or self.shared:
                    vias = self._usable(node, vias)
                claims.append(Claim(dst, node, vias))
        return claims

    def _usable(self, node: Node, vias: tuple[Address, ...]) -> tuple[Address, ...]:
        """Return VIAS of NODE without those outside the limits, with shared ones last."""
        inside_limits = [via for via in vias if via not in self.outside]
        if vias and not inside_limits:
            what = f"{escaped(node.name)}'s InternalIP {vias[0]} is outside cluster.nodeCIDRs"
            self.unclear.setdefault(node.name, Loss(what, "internal-ip-outside-cluster"))
        return tuple(sorted(inside_limits, key=self.shared.__contains__))

    def _within_limits(self, node: Node, dst: Prefix) -> bool:
        reason = outside_limits(self.cluster, dst)
        if reason:
            code, what = reason
            self._report(code, f"{self._name(node)}: podCIDR {dst} {what}", [node], dst)
            self.forbidden.setdefault(node.name, Loss(f"{escaped(node.name)}'s podCIDR {what}", code))
        return not reason

    def _report_no_address(self, node: Node, dst: Prefix) -> None:
        if node.internal_ips:
            message = f"{self._name(node)}: podCIDR {dst} is IPv{dst.version}, but the node has no IPv{dst.version} InternalIP"
            self._report("family-without-internal-ip", message, [node], dst)
        else:
            self._report("no-internal-ip", f"{self._name(node)}: podCIDR {dst}, but no InternalIP", [node], dst)

    def _report_public(self, claims: list[Claim]) -> None:
        """Warn about pod CIDRs in public IPv4 space that no limit allows."""
        if self.cluster.pod_cidrs:
            return
        for version, first, last in _extents(claims):
            if version == 4 and not any(block.value <= first and last <= block.last for block in PRIVATE):
                for claim in claims:
                    if claim.dst.version == 4 and not any(block.covers(claim.dst) for block in PRIVATE):
                        message = f"{self._name(claim.node)}: podCIDR {claim.dst} is public address space, and no limit allows it"
                        self._report("public-pod-cidr", message, [claim.node], claim.dst)
                        self.problems[-1] = self.problems[-1]._replace(severity="warning")

    def _covered(self, claims: list[Claim]) -> tuple[list[tuple[Address, Node]], set[int]]:
        """Return the addresses of nodes that are inside a claim, in order, and the id() of these claims."""
        addresses = sorted(address for node in self.nodes for address in node.internal_ips)
        if not any(inside(addresses, *extent) for extent in _extents(claims)):
            return [], set()  # pods and nodes have separate ranges
        rows = sorted(((address, node) for node in self.nodes for address in node.internal_ips), key=_by_address)
        rows = [row for row in rows if row[0] not in self.outside]
        addresses = [address for address, _ in rows]
        covered: dict[int, tuple[Address, Node]] = {}
        covering = set()
        for claim in claims:
            places = inside(addresses, claim.dst.version, claim.dst.value, claim.dst.last)
            if places:
                covering.add(id(claim))
                covered.update((place, rows[place]) for place in places)
        return [covered[place] for place in sorted(covered)], covering

    def _overlapping(self, claims: list[Claim]) -> set[int]:
        """Return the id() of the claims that share addresses with those of another node."""
        if _disjoint(claims):
            return set()
        owners = Owners(claims)
        return {id(claim) for claim in claims if owners.contended(claim.dst, claim.node.name)}


def outside_limits(cluster: Cluster, dst: Prefix) -> tuple[str, str] | None:
    """Return code and reason if the limits of CLUSTER forbid DST, None if they permit it."""
    limits = cluster.pod_cidrs
    if limits and not any(limit.covers(dst) for limit in limits):
        return "pod-cidr-outside-cluster", f"is outside cluster.podCIDRs ({_listed(limits)})"
    for service in cluster.service_cidrs:
        if service.overlaps(dst):
            return "pod-cidr-overlaps-service", f"overlaps the service range {service}"
    for nodes in cluster.node_cidrs:
        # Pods may use a part of the nodes' range that cluster.podCIDRs reserves.
        if nodes.overlaps(dst) and not any(nodes.covers(limit) and limit.covers(dst) for limit in limits):
            return "pod-cidr-covers-node", f"overlaps the nodes' range {nodes}"
    return None


def unread_loss(node: Node, field: str) -> Loss:
    """Return the Loss for an unread FIELD of NODE."""
    code = next((unread_field.code for unread_field in node.unread if unread_field.field == field), "")
    return Loss(f"{escaped(node.name)}'s {field} cannot be read", code)


def _by_destination(claim: Claim) -> tuple[Prefix, str]:
    return claim.dst, claim.node.name


def _by_address(row: tuple[Address, Node]) -> tuple[Address, str]:
    return row[0], row[1].name


def _disjoint(claims: list[Claim]) -> bool:
    """Return whether no two of CLAIMS, sorted by destination, overlap."""
    ends = [dst.value | _HOST_BITS[dst.version][dst.length] for dst, _, _ in claims]
    starts = [dst.value for dst, _, _ in claims]
    versions = [dst.version for dst, _, _ in claims]
    border = versions.index(6) if 6 in versions else len(claims)
    return all(
        all(map(lt, ends[first : last - 1], starts[first + 1 : last]))
        for first, last in ((0, border), (border, len(claims)))
    )


def _extents(claims: list[Claim]) -> Iterator[tuple[int, int, int]]:
    """Yield for each IP version the first and the last address in CLAIMS, sorted by destination."""
    for version in (4, 6):
        dsts = [claim.dst for claim in claims if claim.dst.version == version]
        if dsts:
            yield version, dsts[0].value, max(dst.value | _HOST_BITS[version][dst.length] for dst in dsts)


def _listed(prefixes: Iterable[Prefix]) -> str:
    return ", ".join(map(str, prefixes))
