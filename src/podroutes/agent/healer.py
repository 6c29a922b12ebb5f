"""Acts between two reconciles, and while one reads a large table: restores lost routes and follows nodes that change."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from podroutes.errors import KernelError
from podroutes.kernel import Kernel
from podroutes.kernel.watch import KernelEvents
from podroutes.model.cluster import Cluster
from podroutes.model.plan import Change
from podroutes.model.route import MAIN
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.guard import Deleted

if TYPE_CHECKING:
    from podroutes.model.address import Prefix
    from podroutes.plan.fast_path import FastPath, NodeChanges


class Followed(NamedTuple):
    """The changes that were made for changed nodes before a reconcile, and the deletions that count for the guard."""

    changes: tuple[Change, ...] = ()
    counted: tuple[Deleted, ...] = ()


class Healer:
    """The fast path of a machine, based on the last reconcile. ASIDE is a separate connection to the kernel."""

    def __init__(self, aside: Kernel, damping: FlapDamping) -> None:
        self.damping = damping
        self.devices: dict[int, str] = {}  # by interface index, as of the last reconcile
        self.healed: set[Prefix] = set()  # destinations whose routes were added by the fast path; the caller clears it
        self._aside = aside
        self._fast_path: FastPath | None = None  # the state of the last reconcile
        self._may_hurry = True

    def heal(self, kernel_events: KernelEvents, now: float, who: Callable[[int], str]) -> tuple[Change, ...]:
        """Restore routes that others deleted, in simple cases; return the changes.

        WHO returns the program behind a netlink port. Other events in KERNEL_EVENTS need a reconcile.
        """
        for route, port in kernel_events.deleted:
            if port:  # otherwise the kernel did it: an address or a link went
                self.damping.deleted(route.dst, who(port), now)
        if not (self._fast_path and self._may_hurry) or kernel_events.overflow:
            return ()
        candidates = [
            self._fast_path.healed(route) for route, _ in kernel_events.deleted if route.dst not in kernel_events.added
        ]
        healed = self._add(
            self._undamped(candidates, now)
        )  # after a change of a link the kernel knows whether the next hop is reachable
        return healed + self._restored(kernel_events, now)

    def misses(self, kernel_events: KernelEvents, healed: Iterable[Change], now: float) -> bool:
        """Return whether KERNEL_EVENTS shows that a desired route went, or may have gone, that is not in HEALED."""
        if not self._fast_path:
            return False
        back = {change.route.dst for change in healed}
        gone = (route.dst for route, _ in kernel_events.deleted if route.dst not in back)
        return self._carries(kernel_events) or any(
            self._fast_path.wants(dst) and self.damping.until(dst) <= now for dst in gone
        )

    def _carries(self, kernel_events: KernelEvents) -> bool:
        """Return whether a link towards other nodes, or its address, changed."""
        return bool(
            self._fast_path and {self.devices.get(index) for index in kernel_events.touched} & self._fast_path.devices
        )

    def _restored(self, kernel_events: KernelEvents, now: float) -> tuple[Change, ...]:
        """Add the routes that went with a link without notifications, if the link is usable again; return the changes."""
        if not (self._fast_path and self._carries(kernel_events)):
            return ()
        try:
            there = {route.dst for route in self._aside.ours() if route.table == MAIN}
        except KernelError:  # the following reconcile reports it
            return ()
        missing = self._undamped(self._fast_path.missing(there | kernel_events.added), now)
        first = self._add(missing[:1])  # shows whether the link is up
        return first + self._add(missing[1:]) if first else ()

    def _undamped(self, changes: Iterable[Change | None], now: float) -> list[Change]:
        return [change for change in changes if change and self.damping.until(change.route.dst) <= now]

    def follow_nodes(
        self, cluster: Cluster, admit: "Callable[[NodeChanges, FastPath], NodeChanges]"
    ) -> tuple[Change, ...]:
        """Make the changes for nodes that changed in CLUSTER, if they concern no other; return them.

        ADMIT returns the changes without the deletions that must wait.
        """
        if not (self._fast_path and self._may_hurry):
            return ()
        node_changes = self._fast_path.changed(cluster)
        if not node_changes.changes:
            return self._add(list(self._fast_path.arrived(cluster)))
        done = self._add(list(admit(node_changes, self._fast_path).changes))
        self._fast_path.note(done)
        return done

    def concerns(self, kernel_events: KernelEvents) -> bool:
        """Return whether a reconcile may find changes after KERNEL_EVENTS."""
        if (
            kernel_events.deleted
            or kernel_events.foreign_changes
            or kernel_events.links_or_addresses
            or kernel_events.overflow
            or self._fast_path is None
        ):
            return True
        return any(map(self._fast_path.wants, kernel_events.changed))

    def _add(self, changes: list[Change]) -> tuple[Change, ...]:
        if not changes:
            return ()
        try:
            refused = self._aside.apply(changes)
        except KernelError:  # the following reconcile reports it and is retried
            return ()
        done = tuple(change for position, change in enumerate(changes) if position not in refused)
        self.healed.update(change.route.dst for change in done)
        return done
