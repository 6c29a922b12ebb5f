"""The plan of one machine: inventory in, changes and problems out."""

from typing import NamedTuple

from podroutes.core.claims import Claims
from podroutes.core.desired import Desired, desired
from podroutes.core.difference import Difference, difference, in_order
from podroutes.core.guard import Verdict
from podroutes.core.onlink import Away, OnLink, Resolver
from podroutes.core.ownership import claimed, restored
from podroutes.core.vanishing import Leaving
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, empty_fib
from podroutes.model.lasting import Ledger
from podroutes.model.plan import Change, Plan

_BY_NUMBER = Ledger()  # without files of ours, the protocol number alone tells whose a route is


class Planned(NamedTuple):
    """A plan together with what it was made from."""

    plan: Plan
    desired: Desired


def plan_here(claims: Claims, own: Node, fib: Fib, *, adopt: bool = False, ledger: Ledger = _BY_NUMBER) -> Planned:
    """Plan for the machine that FIB is a snapshot of. Pure: the same arguments give the same plan, everywhere."""
    wanted = desired(claims, own, OnLink(fib))
    found = difference(wanted, claimed(fib, ledger), adopt=adopt)
    return _planned(claims, own, wanted, restored(found, fib, ledger, wanted))


def withheld(planned: Planned, found: Leaving, verdict: Verdict) -> Planned:
    """Return PLANNED without the deletions of FOUND that VERDICT holds."""
    if not verdict.held:
        return planned
    plan = planned.plan
    changes: list[Change] = []
    going: list[Change] = []
    for change in plan.changes:
        (going if change.action == "delete" and change.route.dst in verdict.held else changes).append(change)
    alone = verdict.held.keys() - {change.route.dst for change in going}  # in files, or taken along by a link
    going += [Change("delete", route) for route in found.routes if route.dst in alone]
    held = tuple(sorted((_of(each, verdict.held[each.route.dst]) for each in going), key=in_order))
    problems = (*plan.problems, verdict.problem) if verdict.problem else plan.problems
    return planned._replace(plan=plan._replace(changes=tuple(changes), problems=problems, held=held))


def _of(change: Change, owner: str) -> Change:
    """Return CHANGE with the node that OWNER names, which may be the next hop for want of a name."""
    return change._replace(node=None if owner == str(change.route.via) else owner)


def plan_away(claims: Claims, own: Node, interface: str | None = None) -> Planned:
    """Plan for a machine that we are not on, as if it had no routes yet; INTERFACE overrides the inventory's."""
    return plan_empty(claims, own, Away(interface or own.interface))


def plan_empty(claims: Claims, own: Node, links: Resolver) -> Planned:
    """Plan for machine OWN as if it had no routes yet; LINKS finds the device towards each next hop."""
    wanted = desired(claims, own, links)
    return _planned(claims, own, wanted, difference(wanted, empty_fib()))


def _planned(claims: Claims, own: Node, wanted: Desired, found: Difference) -> Planned:
    problems = claims.problems + wanted.problems + found.problems
    return Planned(Plan(own.name, found.changes, found.unchanged, problems), wanted)
