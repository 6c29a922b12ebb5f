"""The decision of one machine where something is disputed, or would cut it off.

Claims in place stay, claims that would cut this machine off are refused; all others are decided equally on every machine.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from podroutes.model.address import Address, Prefix
from podroutes.model.claims import Claim, Claims, Disputes, Loss
from podroutes.model.cluster import Node
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.problem import Problem
from podroutes.model.text import escaped, printable
from podroutes.plan.claims import outside_limits
from podroutes.plan.conflicting_claims import decide
from podroutes.plan.decision import Decision, Machine, cut_loss, cut_message, in_order
from podroutes.plan.dependencies import Needs, covered_by, covering
from podroutes.plan.incumbents import Incumbents
from podroutes.plan.overlaps import Owners, inside
from podroutes.plan.settle import Context, Settled
from podroutes.plan.unread import kept_for_refused, kept_for_unread


def settle_disputes(claims: Claims, needs: Needs, owned: OwnedRoutes, context: Context) -> Settled:
    """Decide about CLAIMS as ``settle`` does, for the machine that has NEEDS."""
    own, table = needs.own, needs.table
    disputes = claims.disputes or Disputes(claims.cluster, (), claims.honoured, (), {}, {}, (), claims.problems)
    disputes = _without_own_addresses(disputes, own, claims.shared & {each.address for each in table.addresses})
    here = _Here(disputes, own, needs, Incumbents(disputes, table, context.saved, owned), context.barred)
    refused = here.refused()
    if not refused and not disputes.claims and claims.disputes is None:
        return Settled(claims)
    return here.settled(claims, refused)


class _Here:
    """One machine."""

    def __init__(
        self, disputes: Disputes, own: Node, needs: Needs, incumbents: Incumbents, barred: AbstractSet[Prefix]
    ) -> None:
        self.disputes, self.own, self.needs, self.incumbents, self.barred = disputes, own, needs, incumbents, barred
        self.addresses = [address for address, _ in disputes.addresses]

    def refused(self) -> dict[int, str]:
        """Return by id() the clean claims that are not honoured here, and the dependency that they would redirect ("" none)."""
        clean, found = self.disputes.clean, dict[int, str]()
        for address in self.needs.places:
            claim = covering(clean, address)
            if claim and not claim.node.is_entry_of(self.own) and id(claim) not in found:
                what = self.needs.taken(claim, in_place=self.incumbents.standing(claim) is not None)
                if what:
                    found[id(claim)] = what
        for cidr in self.own.pod_cidrs:
            inside_own = [other for other in covered_by(clean, cidr) if not other.node.is_entry_of(self.own)]
            void = outside_limits(self.disputes.cluster, cidr) or len({each.node.name for each in inside_own}) > 1
            for claim in inside_own:
                here = self.incumbents
                stays = here.standing(claim) and (void or here.remembers(claim))
                if not stays or self.needs.has_pods_in(claim.dst):
                    found[id(claim)] = ""
        return found

    def settled(self, claims: Claims, refused: dict[int, str]) -> Settled:
        """Return the claims that are honoured here if the clean claims REFUSED are not."""
        clean = [claim for claim in self.disputes.clean if id(claim) not in refused]
        guesses = kept_for_unread(self.disputes, self.incumbents, self.own) if self.disputes.unread else []
        pulled, decision = self._decided(clean, guesses)
        losers = {
            **self.disputes.outside,
            **{
                claim.node.name: cut_loss(claim, refused[id(claim)])
                for claim in self.disputes.clean
                if refused.get(id(claim))
            },
            **{claim.node.name: loss for claim, loss in decision.lost},
        }
        if losers:
            won = [*(claim for claim in clean if id(claim) not in pulled), *decision.won]
            more = kept_for_refused(self.disputes, self.incumbents, self.own, losers, won)
            if more:
                pulled, decision = self._decided(clean, guesses, more)
        honoured = [*(claim for claim in clean if id(claim) not in pulled), *decision.won]
        problems = (
            *self.disputes.problems,
            *decision.problems,
            *(self._problem(claim, refused[id(claim)]) for claim in self.disputes.clean if refused.get(id(claim))),
            *self._expired({(claim.dst, claim.node.name) for claim in decision.won}),
        )
        contested = tuple(claim for claim, _ in decision.lost)
        return Settled(
            claims._replace(
                honoured=tuple(sorted(honoured, key=lambda claim: (claim.dst, claim.node.name))),
                contested=contested,
                problems=problems,
            ),
            decision.kept,
        )

    def _decided(
        self, clean: list[Claim], guesses: list[tuple[Claim, Loss]], more: Sequence[tuple[Claim, Loss]] = ()
    ) -> tuple[set[int], Decision]:
        """Return the id() of the CLEAN claims that are disputed on this machine because of GUESSES, and the decision.

        MORE are the former routes of nodes whose claims are refused, which stay instead of these.
        """
        kept = (*guesses, *more)
        owners = Owners(claim for claim, _ in kept)
        also = [claim for claim in clean if owners.names and owners.contended(claim.dst, claim.node.name)]
        here = self.incumbents
        refused = {(claim.node.name, claim.dst.version): loss for claim, loss in more}
        has_pods = self.needs.has_pods_in
        machine = Machine(self.own, here.standing, self._cut, kept, has_pods, here.remembers, refused, self.barred)
        return set(map(id, also)), decide(self.disputes, machine, also)

    def _cut(self, claim: Claim, in_place: bool) -> str:  # noqa: FBT001, conflicts knows no more of it
        dst = claim.dst
        places = inside(self.addresses, dst.version, dst.value, dst.last)
        return self.needs.taken(claim, [self.disputes.addresses[place] for place in places], in_place=in_place)

    def _problem(self, claim: Claim, what: str) -> Problem:
        name = f"node {printable(claim.node.name)} ({self.disputes.cluster.place(claim.node)})"
        message = cut_message(name, claim, what)
        return Problem("error", "pod-cidr-covers-dependency", message, (claim.node.name,), claim.dst)

    def _expired(self, won: set[tuple[Prefix, str]]) -> list[Problem]:
        """Report the saved routes that are too old to be restored."""
        return [
            Problem(
                "warning",
                "saved-route-expired",
                f"{record.dst} via {record.via} of node {printable(record.node)} stood more than a month ago, and is not restored",
                (escaped(record.node),),
                record.dst,
            )
            for record in dict.fromkeys(self.incumbents.expired)
            if (record.dst, record.node) not in won
        ]


def _without_own_addresses(disputes: Disputes, own: Node, here: AbstractSet[Address]) -> Disputes:
    """Return DISPUTES without the claims of other nodes through addresses that are HERE: where such a node is, is not known."""
    if not here:
        return disputes
    claims, problems, unclear = list(disputes.claims), list(disputes.problems), dict(disputes.unclear)
    stripped = [
        claim
        for claim in (*disputes.claims, *disputes.clean)
        if not here.isdisjoint(claim.vias) and not claim.node.is_entry_of(own)
    ]
    if not stripped:
        return disputes
    gone = set(map(id, stripped))
    claims = [claim for claim in claims if id(claim) not in gone]
    for claim in stripped:
        vias = tuple(via for via in claim.vias if via not in here)
        claims.append(claim._replace(vias=vias))
        if not vias:
            name, what = claim.node.name, "is an address of this machine"
            unclear.setdefault(name, Loss(f"{escaped(name)}'s InternalIP {claim.vias[0]} {what}", "next-hop-is-self"))
            message = f"node {printable(name)}: next hop {claim.vias[0]} of {claim.dst} {what}"
            problems.append(Problem("error", "next-hop-is-self", message, (name,), claim.dst))
    return disputes._replace(
        claims=tuple(sorted(claims, key=in_order)),
        clean=tuple(claim for claim in disputes.clean if id(claim) not in gone),
        problems=tuple(problems),
        unclear=unclear,
    )
