"""Finds the routes in place on a machine and their nodes: from the kernel, else from saved routes, else from our files.

A route belongs to a claim if its next hop is an address that the claim's node reports, or may be one because not all of the
node's addresses are known and no other node reports it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.claims import Claim, Disputes
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.saved_route import Saved, SavedRoute
from podroutes.plan.decision import Standing
from podroutes.plan.overlaps import Owners


class Incumbents:
    """Our routes on one machine. In TABLE all have our protocol number; OWNED are those of our files."""

    def __init__(self, disputes: Disputes, table: Fib, saved: Callable[[], Saved], owned: OwnedRoutes) -> None:
        self._disputes = disputes
        self._table = table
        self._load = saved
        self._ledger = owned
        self.expired: list[SavedRoute] = []  # records that are ignored only because they are too old

    def standing(self, claim: Claim) -> Standing | None:
        """Return how CLAIM is in place, None if it is not."""
        there = self.gateways.get(claim.dst, ())
        owner = self._owner(claim.dst, there)
        if owner and owner != claim.node.name:
            return None
        via_node = self._through(claim.node, there)
        if via_node:
            return via_node
        if owner and (through := next((via for via in there if via in self._routers), None)):
            return Standing(through)
        if not owner and any(self._holders.get(via, set()) - {claim.node.name} for via in there):
            return None  # another node's route is in place
        record = next((saved for saved in self._saved.get(claim.dst, ()) if is_of(saved, claim.node)), None)
        if record:
            return self._through(claim.node, (record.via,)) or (Standing(None) if claim.vias else None)
        self.expired += [old for old in self._old.get(claim.dst, ()) if is_of(old, claim.node)]
        return self._through(claim.node, self._written.get(claim.dst, ()))

    def leads_to(self, node: Node, dst: Prefix, via: Address) -> bool:
        """Return whether the route to DST was saved as that of NODE, and goes through a router."""
        return via in self._routers and any(is_of(record, node) for record in self._saved.get(dst, ()))

    def remembers(self, claim: Claim) -> bool:
        """Whether the route of CLAIM was saved as its node's."""
        return any(is_of(record, claim.node) for record in self._saved.get(claim.dst, ()))

    def _owner(self, dst: Prefix, there: Sequence[Address]) -> str:
        """Return the node that the route to DST through THERE served, if it still claims DST; the address may be another machine's now."""
        for record in self._saved.get(dst, ()) if there else ():
            if record.via in there and dst in self._claimed.get(record.node, ()):
                return record.node
        return ""

    def may_be_of(self, node: Node, via: Address) -> bool:
        """Return whether VIA may be an address of NODE, whose addresses are not all known: no other node has it."""
        return node.name in self._disputes.unclear and self._is_free(node, via)

    def is_astray(self, node: Node, via: Address) -> bool:
        """Return whether VIA may be an address of NODE, as none of that IP version that it reports can be right, and no other node has VIA."""
        reported = [each for each in node.internal_ips if each.version == via.version]
        return bool(reported) and self._is_free(node, via) and all(self._is_wrong(node, each) for each in reported)

    def _is_free(self, node: Node, via: Address) -> bool:
        return self._is_allowed(via) and via not in self._own and not self._holders.get(via, set()) - {node.name}

    def _is_wrong(self, node: Node, address: Address) -> bool:
        """Return whether ADDRESS of NODE is outside the limits, of this machine, or inside the podCIDR of another node."""
        if not self._is_allowed(address) or address in self._own:
            return True
        return self._pods.contended(network(address, BITS[address.version]), node.name)

    def _is_allowed(self, address: Address) -> bool:
        limits = self._disputes.cluster.node_cidrs
        return not limits or any(limit.covers(address) for limit in limits)

    def reports(self, node: Node, via: Address) -> bool:
        """Return whether NODE reports VIA, inside the limits. False for an address of this machine."""
        return self._is_allowed(via) and via in node.internal_ips and via not in self._own

    def _through(self, node: Node, vias: "tuple[Address, ...] | list[Address]") -> Standing | None:
        for via in vias:
            if self.reports(node, via):
                return Standing(via)
        for via in vias:
            if self.may_be_of(node, via):
                return Standing(via, guessed=True)
        return None

    def routes(self) -> Iterator[tuple[Prefix, Address]]:
        """Yield our routes in the kernel that have one gateway."""
        for dst, vias in self.gateways.items():
            yield from ((dst, via) for via in vias)

    @cached_property
    def gateways(self) -> dict[Prefix, list[Address]]:
        """Return the gateways of our routes by destination, the one that the kernel uses first."""
        rows = [(route.metric, route.dst, route.via) for route in self._table.ours() if route.via]
        vias: defaultdict[Prefix, list[Address]] = defaultdict(list)
        for _, dst, via in sorted(rows):
            vias[dst].append(via)
        return dict(vias)

    @cached_property
    def saved(self) -> Saved:
        """Return the saved routes; read only if a claim is disputed."""
        return self._load()

    @cached_property
    def _saved(self) -> dict[Prefix, list[SavedRoute]]:
        return _by_destination(self.saved.routes)

    @cached_property
    def _old(self) -> dict[Prefix, list[SavedRoute]]:
        return _by_destination(self.saved.expired)

    @cached_property
    def _holders(self) -> dict[Address, set[str]]:
        """Return the nodes that report each address."""
        holders: defaultdict[Address, set[str]] = defaultdict(set)
        for node in self._disputes.cluster.nodes:
            for address in node.internal_ips:
                holders[address].add(node.name)
        return holders

    @cached_property
    def _routers(self) -> set[Address]:
        return {address for node in self._disputes.cluster.nodes if node.router for address in node.internal_ips}

    @cached_property
    def _pods(self) -> Owners:
        return Owners((*self._disputes.claims, *self._disputes.clean))

    @cached_property
    def _claimed(self) -> dict[str, set[Prefix]]:
        """Return the podCIDRs of each node."""
        claimed: defaultdict[str, set[Prefix]] = defaultdict(set)
        for node in self._disputes.cluster.nodes:
            claimed[node.name].update(node.pod_cidrs)
        return claimed

    @cached_property
    def _own(self) -> set[Address]:
        return {address.address for address in self._table.addresses}

    @cached_property
    def _written(self) -> dict[Prefix, list[Address]]:
        vias: defaultdict[Prefix, list[Address]] = defaultdict(list)
        for dst, via, _ in self._ledger.written or ():
            vias[dst].append(via)
        return vias


def _by_destination(records: Iterable[SavedRoute]) -> dict[Prefix, list[SavedRoute]]:
    found: dict[Prefix, list[SavedRoute]] = {}
    for record in records:
        found.setdefault(record.dst, []).append(record)
    return found


def is_of(record: SavedRoute, node: Node) -> bool:
    """Return whether RECORD belongs to NODE: a recreated Node counts as the same while it reports the same address."""
    same = not record.uid or not node.uid or record.uid == node.uid
    return record.node == node.name and (same or record.via in node.internal_ips)
