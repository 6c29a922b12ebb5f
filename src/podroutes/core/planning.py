"""The plan of one machine: inventory in, changes and problems out."""

from typing import NamedTuple

from podroutes.core.claims import Claims
from podroutes.core.desired import Desired, desired
from podroutes.core.difference import difference
from podroutes.core.onlink import Away, OnLink
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, empty_fib
from podroutes.model.plan import Plan


class Planned(NamedTuple):
    """A plan together with what it was made from."""

    plan: Plan
    desired: Desired


def plan_here(claims: Claims, own: Node, fib: Fib, *, adopt: bool = False) -> Planned:
    """Plan for the machine that FIB is a snapshot of. Pure: the same arguments give the same plan, everywhere."""
    return _plan(claims, own, fib, desired(claims, own, OnLink(fib)), adopt=adopt)


def plan_away(claims: Claims, own: Node, interface: str | None = None) -> Planned:
    """Plan for a machine that we are not on, as if it had no routes yet; INTERFACE overrides the inventory's."""
    return _plan(claims, own, empty_fib(), desired(claims, own, Away(interface or own.interface)), adopt=False)


def _plan(claims: Claims, own: Node, fib: Fib, wanted: Desired, *, adopt: bool) -> Planned:
    changes, unchanged, problems = difference(wanted, fib, adopt=adopt)
    return Planned(Plan(own.name, changes, unchanged, claims.problems + wanted.problems + problems), wanted)
