"""Plans one machine: returns the changes and problems for an inventory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.claims import Loss
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, empty_fib
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.plan import Change, Kept, Plan
from podroutes.model.route import Route
from podroutes.plan.claims import Claims
from podroutes.plan.desired import Desired, desired
from podroutes.plan.difference import Difference, difference, in_order
from podroutes.plan.duplicate_addresses import duplicate_addresses
from podroutes.plan.fixed_point import Barred, Round, repeated
from podroutes.plan.guard import Verdict
from podroutes.plan.onlink import AssumedOnLink, AssumedSubnets, OnLink, Resolver
from podroutes.plan.ownership import claimed, ours, restored
from podroutes.plan.settle import Context, settle
from podroutes.plan.vanishing import Leaving

_NO_CONTEXT = Context()
_BY_NUMBER = OwnedRoutes()  # without our files only the protocol number shows ownership


class Planned(NamedTuple):
    """A plan and the values that it was made from."""

    plan: Plan
    desired: Desired


def plan_here(  # noqa: PLR0913, each is of another kind
    claims: Claims,
    own: Node,
    fib: Fib,
    *,
    adopt: bool = False,
    owned: OwnedRoutes = _BY_NUMBER,
    context: Context = _NO_CONTEXT,
) -> Planned:
    """Plan for the machine with the snapshot FIB. Pure: equal arguments give equal plans."""
    table = claimed(fib, owned)
    links = OnLink(fib)

    def decide(present: Fib, barred: Barred) -> Round:
        here, kept = settle(claims, own, present, owned, context._replace(barred=barred))
        wanted = desired(here, own, links)
        found = difference(wanted, present, adopt=adopt)
        return Round(here, kept, wanted, _without_deletions(found) if claims.nothing else found)

    first = decide(table, Barred())
    last = first if first.claims is claims else repeated(first, table, decide)
    here, kept, wanted, found = last
    if last is not first:
        found = difference(wanted, table, adopt=adopt)
        found = _without_deletions(found) if claims.nothing else found
    planned = _planned(here, own, wanted, restored(found, fib, owned, wanted))
    duplicates = tuple(duplicate_addresses(claims.cluster, own, fib))
    if duplicates:
        planned = planned._replace(plan=planned.plan._replace(problems=(*planned.plan.problems, *duplicates)))
    if not kept:
        return planned
    return planned._replace(plan=planned.plan._replace(kept=tuple(_kept(planned, kept, ours(fib, owned)))))


def _without_deletions(found: Difference) -> Difference:
    """Return FOUND without deletions, for an inventory without podCIDRs: that is more likely a mistake."""
    staying = tuple(change for change in found.changes if change.action != "delete")
    return found._replace(changes=staying, unchanged=found.unchanged + len(found.changes) - len(staying))


def _kept(planned: Planned, kept: Mapping[tuple[Prefix, str], Loss], there: Iterable[Route]) -> Iterator[Kept]:
    """Yield the routes that exist after the plan only because they are KEPT."""
    plan, wanted = planned
    standing = {route.dst: route for route in there}
    for change in plan.changes:
        if change.action == "delete":
            standing.pop(change.route.dst, None)
    standing |= {change.route.dst: change.route for change in plan.changes if change.action != "delete"}
    rows = [(claim.dst, claim.node.name) for each in wanted.wanted.values() for claim in each.claims]
    rows += [(dst, name) for dst, vias in wanted.incumbents.items() for name in dict.fromkeys(vias.values())]
    for dst, name in sorted(rows):
        loss = kept.get((dst, name))
        if loss and dst in standing:
            yield Kept(standing[dst], name, *loss)


def withheld(planned: Planned, leaving: Leaving, verdict: Verdict) -> Planned:
    """Return PLANNED without the deletions in LEAVING that VERDICT holds."""
    if not verdict.held:
        return planned
    plan = planned.plan
    changes: list[Change] = []
    going: list[Change] = []
    for change in plan.changes:
        (going if change.action == "delete" and change.route.dst in verdict.held else changes).append(change)
    alone = verdict.held.keys() - {change.route.dst for change in going}  # only in files, or removed with a link
    going += [Change("delete", route) for route in leaving.routes if route.dst in alone]
    held = tuple(sorted((_of(route, verdict.held[route.route.dst]) for route in going), key=in_order))
    problems = (*plan.problems, verdict.problem) if verdict.problem else plan.problems
    return planned._replace(plan=plan._replace(changes=tuple(changes), problems=problems, held=held))


def _of(change: Change, owner: str) -> Change:
    """Return CHANGE with the node OWNER, which may be a next hop if the name is unknown."""
    return change._replace(node=None if owner == str(change.route.via) else owner)


def plan_remote(claims: Claims, own: Node, interface: str | None = None) -> Planned:
    """Plan for a remote machine as if it had no routes. INTERFACE overrides the inventory's."""
    cluster = claims.cluster
    if len(cluster.node_cidrs) > 1 and any(node.router for node in cluster.nodes):
        return plan_empty(claims, own, AssumedSubnets(interface or own.interface, own, cluster.node_cidrs))
    return plan_empty(claims, own, AssumedOnLink(interface or own.interface))


def plan_empty(claims: Claims, own: Node, links: Resolver) -> Planned:
    """Plan for machine OWN as if it had no routes. LINKS finds the device of each next hop."""
    wanted = desired(claims, own, links)
    return _planned(claims, own, wanted, difference(wanted, empty_fib()))


def _planned(claims: Claims, own: Node, wanted: Desired, found: Difference) -> Planned:
    problems = claims.problems + wanted.problems + found.problems
    return Planned(Plan(own.name, found.changes, found.unchanged, problems), wanted)
