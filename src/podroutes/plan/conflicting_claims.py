"""Decides between contradicting claims: equally on every machine, except for the routes in place there (docs/design/trust.md).

The rules in order: a claim that cuts the machine off loses; a claim in place wins; a claim that covers several nodes' podCIDRs,
its own node's only address or those of two others loses; an address inside another node's podCIDR is not used; of the rest the
older Node's claim wins. A claim that has lost does not affect others.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from podroutes.model.address import BITS, Address, Prefix, network
from podroutes.model.claims import Claim, Disputes, Loss
from podroutes.model.cluster import Node
from podroutes.model.problem import Problem
from podroutes.model.text import escaped, listing, printable
from podroutes.plan.decision import (
    Decision,
    Machine,
    Standing,
    age,
    contested,
    cut_loss,
    cut_message,
    for_address,
    in_order,
    podcidr_of,
)
from podroutes.plan.disagreements import name_of, overlaps, unusable_addresses
from podroutes.plan.overlaps import Owners, inside


def decide(disputes: Disputes, machine: Machine, also: Iterable[Claim] = ()) -> Decision:
    """Decide about the claims of DISPUTES, and about ALSO, clean claims that are disputed only on MACHINE."""
    return _Decision(disputes, machine, also).decision()


class _Decision:
    """The remaining claims at each step."""

    def __init__(self, disputes: Disputes, machine: Machine, also: Iterable[Claim]) -> None:
        self.disputes, self.machine = disputes, machine
        self.guesses = {id(claim): loss for claim, loss in machine.kept}
        claims = [*disputes.claims, *also, *(claim for claim, _ in machine.kept)]
        self.claims = sorted(claims, key=in_order)
        self.addresses = [address for address, _ in disputes.addresses]
        self.placed: dict[int, Standing] = {}  # by id() of a claim: the route in place
        self.lost: dict[int, Loss] = {}
        self.mine: set[int] = set()  # the own node's
        self.taken: set[tuple[str, Address]] = set()  # addresses inside another node's podCIDR
        self.problems: list[Problem] = []
        self.wide: set[int] = set()
        self.mistaken: set[Prefix] = set()  # of the own node's

    def decision(self) -> Decision:
        self._begin()
        self._one_in_place()
        self._wide_claims()
        self._against_what_is_in_place()
        self._covering_nodes()
        rivals = Owners(self._open())
        self._without_address(Owners(claim for claim in self._left() if self._settled(claim, rivals)))
        counting = [claim for claim in self.claims if self._counts(claim)]
        wide = {claim.dst for claim in counting if id(claim) in self.wide}
        self.problems += overlaps(self.disputes.cluster, counting, wide)
        self._by_age()
        self._without_address(Owners(self._left()))
        self._report_addresses()
        won = self._winners()
        return Decision(
            won=tuple(self._with_addresses(claim) for claim in won if id(claim) not in self.mine),
            lost=tuple((claim, self.lost[id(claim)]) for claim in self.claims if id(claim) in self.lost),
            kept=dict(self._kept(won)),
            problems=tuple(self.problems),
        )

    def _left(self) -> list[Claim]:
        """Return the claims that have not lost."""
        return [claim for claim in self.claims if id(claim) not in self.lost]

    def _open(self) -> list[Claim]:
        """Return the claims that are neither in place nor lost."""
        return [claim for claim in self._left() if id(claim) not in self.placed]

    def _placed(self) -> list[Claim]:
        return [claim for claim in self._left() if id(claim) in self.placed]

    def _settled(self, claim: Claim, rivals: Owners) -> bool:
        return id(claim) in self.placed or not rivals.contended(claim.dst, claim.node.name)

    def _report(self, code: str, message: str, nodes: Iterable[Node | str], dst: Prefix | None = None) -> None:
        names = tuple(dict.fromkeys(node if isinstance(node, str) else node.name for node in nodes))
        self.problems.append(Problem("error", code, message, names, dst))

    def _name(self, node: Node) -> str:
        return name_of(self.disputes.cluster, node)

    def _begin(self) -> None:
        """Find the claims in place, those that would cut the machine off, and those of its own node."""
        own = self.machine.own
        self._own_claims()
        for claim in self.claims:
            name = claim.node.name
            if id(claim) in self.mine:
                continue
            guess = id(claim) in self.guesses
            standing = Standing(claim.vias[0], guessed=True) if guess else self.machine.standing(claim)
            if own and self._inside_own(claim, own, standing):
                self.lost[id(claim)] = Loss(f"it is inside the podCIDR of {escaped(own.name)}", "overlapping-pod-cidr")
            elif what := self.machine.cut(claim, standing is not None):
                self.lost[id(claim)] = cut_loss(claim, what)
                self._report(
                    self.lost[id(claim)].code, cut_message(self._name(claim.node), claim, what), [name], claim.dst
                )
            elif loss := None if guess else self.machine.refused.get((name, claim.dst.version)):
                self.lost[id(claim)] = loss
            elif standing:
                self.placed[id(claim)] = standing
            elif claim.dst in self.machine.barred:
                what = "a route to it would take one in place from a node that may still have it"
                self.lost[id(claim)] = Loss(f"{podcidr_of(claim)} is contested: {what}", "overlapping-pod-cidr")
            elif name in self.disputes.twice:
                self.lost[id(claim)] = self.disputes.twice[name]
            elif not claim.vias:
                self.lost[id(claim)] = self.disputes.unclear[name]

    def _own_claims(self) -> None:
        """Find the own node's claims, and those that are mistakes on every other machine: what is in place stays beside them."""
        own = self.machine.own
        self.mine = {id(claim) for claim in self.claims if own and claim.node.is_entry_of(own)}
        owners = Owners(self.claims) if self.mine else Owners()
        for claim in self.claims:
            if id(claim) not in self.mine:
                continue
            self.placed[id(claim)] = Standing(None)
            if owners.several(claim.dst, claim.node.name):
                self.mistaken.add(claim.dst)
            elif what := self._covers_nodes(claim):
                self.mistaken.add(claim.dst)
                self._report_covering(claim, *what)

    def _inside_own(self, claim: Claim, own: Node, standing: Standing | None) -> bool:
        """Whether CLAIM is for pods of this machine: always but for a route in place that was another node's before OWN claimed it."""
        covering = [cidr for cidr in own.pod_cidrs if cidr.covers(claim.dst)]
        if not covering or not standing:
            return bool(covering)
        counting = {other_claim.dst for other_claim in self.claims if id(other_claim) in self.mine} - self.mistaken
        counts = any(cidr in counting for cidr in covering)
        return self.machine.has_pods_in(claim.dst) or (counts and not self.machine.remembers(claim))

    def _one_in_place(self) -> None:
        """Assign each route in place to one claim, if several nodes report its next hop."""
        placed: defaultdict[Prefix, list[Claim]] = defaultdict(list)
        for claim in self._placed():
            placed[claim.dst].append(claim)
        for same in placed.values():
            if len(same) > 1:
                first, *others = sorted(same, key=self._rank)
                for claim in others:
                    self.lost[id(claim)] = contested(claim, Owners([first]))
                    del self.placed[id(claim)]

    def _rank(self, claim: Claim) -> tuple[object, ...]:
        via = self.placed[id(claim)].via
        lost = (claim.dst, claim.node.name) in self.disputes.lost
        return (
            via is None,
            id(claim) not in self.mine,
            lost,
            via != (claim.vias or (via,))[0],
            age(claim),
            claim.node.name,
        )

    def _against_what_is_in_place(self) -> None:
        """Reject claims that overlap a route in place, or contain the next hop of one."""
        placed = self._placed()
        everybody = Owners(placed)
        narrow = Owners(incumbent for incumbent in placed if not everybody.several(incumbent.dst, incumbent.node.name))
        used = sorted(
            (standing.via, claim.node.name) for claim in placed if (standing := self.placed[id(claim)]).via is not None
        )
        addresses = [address for address, _ in used]
        for claim in self._open():
            name = claim.node.name
            if narrow.contended(claim.dst, name) or everybody.names.get(claim.dst, set()) - {name}:
                self.lost[id(claim)] = contested(claim, everybody)
                continue
            places = inside(addresses, claim.dst.version, claim.dst.value, claim.dst.last)
            for via, victim in [used[place] for place in places if used[place][1] != name][:1]:
                what = f"contains {via}, through which the podCIDR of node {printable(victim)} is routed"
                self._fall(claim, what, [victim])

    def _wide_claims(self) -> None:
        """Reject a claim that covers the podCIDRs of several other nodes."""
        left = self._left()
        owners = Owners(left)
        for claim in left:
            if not owners.several(claim.dst, claim.node.name):
                continue
            self.wide.add(id(claim))
            names = sorted(
                set().union(*(owners.names[prefix] for prefix in owners.below(claim.dst))) - {claim.node.name}
            )
            several = listing([printable(name) for name in names])
            placed = id(claim) in self.placed
            end = ", and stays only where it is in place" if placed else ", and loses to them"
            end = ", and takes nothing from them" if id(claim) in self.mine else end
            message = f"{self._name(claim.node)}: podCIDR {claim.dst} covers those of {several}{end}"
            self._report("overlapping-pod-cidr", message, [claim.node, *names], claim.dst)
            if not placed:
                self.lost[id(claim)] = Loss(f"{podcidr_of(claim)} covers those of {several}", "overlapping-pod-cidr")

    def _covering_nodes(self) -> None:
        """Reject a claim that contains its own node's only address, or the only addresses of two other nodes."""
        for claim in self._open():
            if what := self._covers_nodes(claim):
                self._fall(claim, *what)

    def _covers_nodes(self, claim: Claim) -> tuple[str, list[str]] | None:
        """Return which addresses CLAIM contains that it must not, and whose they are; None where it contains no such."""
        if claim.vias and all(claim.dst.covers(via) for via in claim.vias):
            return f"contains {claim.vias[0]}, the node's own InternalIP", []
        alone = {
            address: node.name
            for address, node in self._covered(claim)
            if node.name != claim.node.name
            and all(claim.dst.covers(address) for address in node.internal_ips if address.version == claim.dst.version)
            and node.name not in self.disputes.twice
        }
        if len(alone) < 2 or len(set(alone.values())) < 2:
            return None
        what = listing([f"{address} of {printable(node)}" for address, node in sorted(alone.items())])
        return f"contains the only InternalIP of several nodes: {what}", sorted(set(alone.values()))

    def _fall(self, claim: Claim, what: str, others: Iterable[str]) -> None:
        self.lost[id(claim)] = Loss(f"{podcidr_of(claim)} {what}", "pod-cidr-covers-node")
        self._report_covering(claim, what, others)

    def _report_covering(self, claim: Claim, what: str, others: Iterable[str]) -> None:
        message = f"{self._name(claim.node)}: podCIDR {claim.dst} {what}"
        self._report("pod-cidr-covers-node", message, [claim.node, *others], claim.dst)

    def _covered(self, claim: Claim) -> list[tuple[Address, Node]]:
        dst = claim.dst
        return [self.disputes.addresses[value] for value in inside(self.addresses, dst.version, dst.value, dst.last)]

    def _without_address(self, owners: Owners) -> None:
        """Reject each claim whose node has no address outside the podCIDRs of OWNERS."""
        self.taken = {
            (node.name, address)
            for address, node in self.disputes.addresses
            if owners.contended(network(address, BITS[address.version]), node.name)
        }
        for claim in self._left():
            standing = self.placed.get(id(claim), Standing(None))
            if not standing.via and id(claim) not in self.mine and not self._free(claim):
                what = f"{escaped(claim.node.name)}'s InternalIP lies in a podCIDR of another node"
                self.lost[id(claim)] = Loss(what, "internal-ip-in-pod-cidr")

    def _free(self, claim: Claim) -> tuple[Address, ...]:
        """Return the addresses of CLAIM that are neither inside another node's podCIDR nor inside its own."""
        return tuple(
            via for via in claim.vias if (claim.node.name, via) not in self.taken and not claim.dst.covers(via)
        )

    def _report_addresses(self) -> None:
        """Report the addresses that are not used because they are inside another node's podCIDR."""
        lost = ((claim, self.lost.get(id(claim))) for claim in self.claims)
        homeless = {claim.node.name for claim, loss in lost if loss and for_address(loss)}
        owners = Owners(self._left())
        self.problems += unusable_addresses(self.disputes.cluster, self.disputes.addresses, owners, homeless)

    def _counts(self, claim: Claim) -> bool:
        """Return whether CLAIM constrains others: it has not lost for a reason of its own."""
        loss = self.lost.get(id(claim))
        return loss is None or loss.code in {"duplicate-pod-cidr", "overlapping-pod-cidr", "duplicate-node"}

    def _by_age(self) -> None:
        """Give a prefix claimed by two Nodes to the older one; if an age is unknown, to neither."""
        self._merge_twins()
        claims = self._open()
        owners = Owners(claims)
        disputed = [claim for claim in claims if owners.contended(claim.dst, claim.node.name)]
        ages = defaultdict[tuple[str, str], set[str]](set)
        for claim in disputed:
            ages[age(claim)].add(claim.node.name)
        timeless = Owners(each for each in disputed if not each.node.created or len(ages[age(each)]) > 1)
        accepted = Owners()
        for claim in sorted(disputed, key=lambda each: (age(each), in_order(each))):
            name = claim.node.name
            ageless = not claim.node.created or len(ages[age(claim)]) > 1
            if ageless or timeless.contended(claim.dst, name) or accepted.contended(claim.dst, name):
                self.lost[id(claim)] = contested(claim, owners)
            else:
                accepted.add(claim)

    def _merge_twins(self) -> None:
        """Merge claims for the same route: they differ only in its owner."""
        twins: defaultdict[Prefix, list[Claim]] = defaultdict(list)
        for claim in self._left():
            twins[claim.dst].append(claim)
        for same in twins.values():
            if len(same) > 1 and len({self._with_addresses(twin).vias for twin in same}) == 1:
                first, *others = sorted(same, key=lambda each: (id(each) not in self.placed, age(each), each.node.name))
                for claim in others:
                    self.lost[id(claim)] = contested(claim, Owners([first]))

    def _winners(self) -> list[Claim]:
        """Return the claims that have not lost, one for each destination."""
        return list({claim.dst: claim for claim in reversed(self._left())}.values())[::-1]

    def _with_addresses(self, claim: Claim) -> Claim:
        """Return CLAIM with its usable addresses, best first."""
        standing = self.placed.get(id(claim))
        free = self._free(claim)
        if standing and standing.via in free:  # another address may be that of another claimant, too
            free = (standing.via, *(address for address in free if address != standing.via))
        if standing and standing.via and (standing.guessed or not free) and standing.via not in free:
            free = (*free, standing.via)
        return claim._replace(vias=free)

    def _kept(self, won: Iterable[Claim]) -> Iterator[tuple[tuple[Prefix, str], Loss]]:
        """Yield the claims that stay only because they are in place, and why."""
        owners = Owners(
            other_claim for other_claim in self.claims if self._counts(other_claim) and id(other_claim) not in self.wide
        )
        for claim in won:
            if id(claim) not in self.placed or id(claim) in self.mine:
                continue
            key, standing = (claim.dst, claim.node.name), self.placed[id(claim)]
            if id(claim) in self.guesses:
                yield key, self.guesses[id(claim)]
            elif owners.contended(*key):
                yield key, contested(claim, owners)
            elif key in self.disputes.lost and not (for_address(self.disputes.lost[key]) and self._free(claim)):
                yield key, self.disputes.lost[key]
            elif standing.guessed and standing.via not in claim.vias:
                yield key, self.disputes.unclear[claim.node.name]
