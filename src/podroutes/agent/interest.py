"""Reads snapshots without the routes of others on which no plan depends, however many there are."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from podroutes.kernel import Kernel
from podroutes.model.address import Prefix
from podroutes.model.claims import Claims
from podroutes.model.cluster import Cluster, Node
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib
from podroutes.model.interest import Interest
from podroutes.model.saved_route import SavedRoute
from podroutes.plan.desired import expected
from podroutes.plan.interest import hidden_parts, plan_interest

# What a plan is made from, besides the kernel: what must not be routed away, and the routes that stood before.
PlanInputs = tuple[Dependencies, tuple[SavedRoute, ...]]


class _Last(NamedTuple):
    """What the last snapshot was asked for with, and the interest that follows from it."""

    cluster: Cluster
    known: PlanInputs
    parts: tuple[Prefix, ...]
    interest: Interest

    def is_for(self, cluster: Cluster, known: PlanInputs, parts: tuple[Prefix, ...]) -> bool:
        """Return whether it was for the very same CLUSTER, and for equal other values."""
        return self.cluster is cluster and self.known == known and self.parts == parts


class Reading:
    """Remembers from pass to pass what is of interest: it is the same for the same cluster, and costs time to find out."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last: _Last | None = None
        self._hidden: tuple[Cluster, Mapping[int, bytes]] | None = None  # what was left out, and looked through
        self._parts: tuple[Prefix, ...] = ()  # destinations of others inside podCIDRs

    def snapshot(
        self, cluster: Cluster, known: Callable[[Fib], PlanInputs], claims: Claims | None, own: Callable[[], Node]
    ) -> Fib:
        """Return a snapshot with all routes on which a plan for CLUSTER depends. KNOWN is asked with the machine's addresses.

        CLAIMS are those of CLUSTER if they were examined before: their routes are probably there. OWN, asked after KNOWN, is this machine.
        """

        def interest(bare: Fib) -> Interest:
            found = self._interest(cluster, known(bare))
            return found._replace(expected=expected(claims, own())) if claims else found

        fib = self._kernel.snapshot(interest)
        if self._hidden != (cluster, fib.hidden):
            self._hidden = cluster, fib.hidden
            parts = hidden_parts(cluster, fib)  # what is a part of a podCIDR is known afterwards
            if parts:
                self._parts = tuple(dict.fromkeys((*self._parts, *parts)))
                fib = self._kernel.snapshot(interest)
        return fib

    def _interest(self, cluster: Cluster, known: PlanInputs) -> Interest:
        last = self._last
        if not last or not last.is_for(cluster, known, self._parts):
            dependencies, memory = known
            earlier = (*(record.dst for record in memory), *self._parts)
            last = _Last(cluster, known, self._parts, plan_interest(cluster, dependencies, earlier))
            self._last = last
        return last.interest
