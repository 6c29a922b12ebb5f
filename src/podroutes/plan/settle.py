"""The claims that one machine honours: the undisputed ones, and those that this machine decides.

Nearly every machine has nothing to decide; what it takes to see that is here, and the rest is in ``disputed``.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.claims import Claims, Loss
from podroutes.model.cluster import Node
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.saved_route import Saved
from podroutes.plan.dependencies import Needs, covered_by, covering

_NOTHING = Saved()


class Context(NamedTuple):
    """Further input of a plan: the saved routes, which are read only if needed, and the machine's dependencies.

    ``barred`` are destinations of disputed claims that get no new route, as it would cost one in place.
    """

    saved: Callable[[], Saved] = lambda: _NOTHING
    dependencies: Dependencies = ()
    barred: frozenset[Prefix] = frozenset()


class Settled(NamedTuple):
    """The claims that are honoured here, and those of them that are honoured only because they are in place."""

    claims: Claims
    kept: Mapping[tuple[Prefix, str], Loss] = {}


def settle(claims: Claims, own: Node, table: Fib, owned: OwnedRoutes, context: Context) -> Settled:
    """Decide about CLAIMS for machine OWN. In TABLE all our routes have our protocol number; OWNED are those of our files."""
    needs = Needs(table, own, claims.cluster, context.dependencies)
    if claims.disputes is None and not concerns(claims, own, table, needs):
        return Settled(claims)
    from podroutes.plan.disputed import settle_disputes  # noqa: PLC0415, seldom needed

    return settle_disputes(claims, needs, owned, context)


def concerns(claims: Claims, own: Node, table: Fib, needs: Needs) -> bool:
    """Return whether any of CLAIMS, which nothing speaks against elsewhere, may be another matter on machine OWN."""
    if not claims.shared.isdisjoint(address.address for address in table.addresses):
        return True
    covered = (covering(claims.honoured, address) for address in needs.places)
    inside = (claim for cidr in own.pod_cidrs for claim in covered_by(claims.honoured, cidr))
    return any(claim and not claim.node.is_entry_of(own) for each in (covered, inside) for claim in each)
