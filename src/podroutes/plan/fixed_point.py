"""Repeats a plan on the table that it leads to, until it changes nothing, so that one run settles every inventory (docs/design/plan.md).

A route in place that one round leaves alone is not deleted by a later one: the claims whose new routes would cause that are barred.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.claims import Claims, Loss
from podroutes.model.fib import Fib, PlainRoutes
from podroutes.model.plan import Change
from podroutes.model.route import Route
from podroutes.plan.desired import Desired
from podroutes.plan.difference import Difference

Barred = frozenset[Prefix]  # destinations that get no new route
_MOST = 32  # rounds; two settle nearly every inventory that one does not


class Round(NamedTuple):
    """The decision for one table, and what it changes there."""

    claims: Claims
    kept: Mapping[tuple[Prefix, str], Loss]
    wanted: Desired
    difference: Difference


def repeated(first: Round, table: Fib, decide: Callable[[Fib, Barred], Round]) -> Round:
    """Return the round that changes nothing any more; FIRST is that of TABLE. Its difference is still to be taken from TABLE."""
    begin, barred = first, Barred()
    there = {route.dst for route in table.ours()}
    current, now = begin, table
    for _ in range(_MOST):
        if not current.difference.changes:
            break
        now = after(now, current.difference.changes)
        following = decide(now, barred)
        lost = there & _deleted(following) - _deleted(begin)
        cause = _overlapping(
            {change.route.dst for change in current.difference.changes if change.action == "add"}, lost
        )
        if cause - barred:
            barred |= cause
            begin = following = decide(table, barred)
            now = table
        current = following
    return current


def _deleted(decision: Round) -> set[Prefix]:
    return {change.route.dst for change in decision.difference.changes if change.action == "delete"}


def _overlapping(added: Iterable[Prefix], lost: Iterable[Prefix]) -> Barred:
    """Return those of ADDED that overlap one of LOST, else all."""
    if not lost:
        return Barred()
    return Barred(dst for dst in added if any(dst.overlaps(gone) for gone in lost)) or Barred(added)


def after(table: Fib, changes: Sequence[Change]) -> Fib:
    """Return TABLE with CHANGES made, in which all of ours have our protocol number."""
    gone = {change.was or change.route for change in changes if change.action != "add"}
    added = [change.route for change in changes if change.action != "delete"]
    new = [route for route in added if route.plain]  # the others are of a form that columns do not hold
    plain = {version: _changed(columns, gone, new) for version, columns in table.plain.items()}
    return table._replace(
        plain=plain,
        others=(
            *(route for route in table.others if route not in gone),
            *(route for route in added if not route.plain),
        ),
    )


def _changed(columns: PlainRoutes, gone: AbstractSet[Route], new: Iterable[Route]) -> PlainRoutes:
    """Return COLUMNS without the routes GONE and with the NEW ones of the same IP version, in the order of a dump."""
    version = columns.version
    left = [route for route in columns.routes() if route not in gone]
    routes = [*left, *(route for route in new if route.dst.version == version)]
    rows = sorted(
        (route.dst.value, route.dst.length, route.via.value, route.dev or "", route.metric)
        for route in routes
        if route.via
    )
    return PlainRoutes(version, *map(list, zip(*rows, strict=True))) if rows else PlainRoutes.empty(version)
