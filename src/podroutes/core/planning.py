"""The plan of one machine: inventory in, changes and problems out."""

from typing import NamedTuple

from podroutes.core.claims import Claims
from podroutes.core.desired import Desired, desired
from podroutes.core.difference import Difference, difference
from podroutes.core.onlink import Away, OnLink
from podroutes.core.ownership import claimed, restored
from podroutes.model.cluster import Node
from podroutes.model.fib import Fib, empty_fib
from podroutes.model.lasting import Ledger
from podroutes.model.plan import Plan

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


def plan_away(claims: Claims, own: Node, interface: str | None = None) -> Planned:
    """Plan for a machine that we are not on, as if it had no routes yet; INTERFACE overrides the inventory's."""
    wanted = desired(claims, own, Away(interface or own.interface))
    return _planned(claims, own, wanted, difference(wanted, empty_fib()))


def _planned(claims: Claims, own: Node, wanted: Desired, found: Difference) -> Planned:
    problems = claims.problems + wanted.problems + found.problems
    return Planned(Plan(own.name, found.changes, found.unchanged, problems), wanted)
