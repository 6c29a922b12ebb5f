"""What is done at once between two passes, and while a pass reads a large table: lost routes are put back, new nodes get theirs."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from podroutes.errors import KernelError
from podroutes.kernel import Kernel
from podroutes.kernel.watch import KernelEvents
from podroutes.model.cluster import Cluster
from podroutes.model.plan import Change
from podroutes.model.route import MAIN
from podroutes.plan.flap_damping import FlapDamping

if TYPE_CHECKING:
    from podroutes.model.address import Prefix
    from podroutes.plan.fast_path import FastPath


class Healer:
    """The part of a machine that goes by what the last pass knew. ASIDE is a connection to the kernel that nothing else is using."""

    def __init__(self, aside: Kernel, damping: FlapDamping) -> None:
        self.damping = damping
        self.devices: dict[int, str] = {}  # by interface index, as of the last pass
        self.healed: set[Prefix] = set()  # destinations whose routes were added at once, since somebody cleared it
        self._aside = aside
        self._prompt: FastPath | None = None  # what the last pass knew
        self._may_hurry = True

    def heal(self, heard: KernelEvents, now: float, who: Callable[[int], str]) -> tuple[Change, ...]:
        """Put back at once what others took, where that is as simple as that; return what was put back.

        WHO tells the program behind a netlink port. Everything else that was HEARD is a reason for a whole pass.
        """
        for route, port in heard.deleted:
            if port:  # else the kernel itself: an address or a link went
                self.damping.deleted(route.dst, who(port), now)
        if not (self._prompt and self._may_hurry) or heard.overflow:
            return ()
        candidates = [self._prompt.healed(route) for route, _ in heard.deleted if route.dst not in heard.added]
        healed = self._add(
            self._undamped(candidates, now)
        )  # where a link changed, the kernel knows whether the way is still there
        return healed + self._restored(heard, now)

    def misses(self, heard: KernelEvents, healed: Iterable[Change], now: float) -> bool:
        """Return whether a route of ours that is wanted went by what was HEARD, or may have gone, and is not among HEALED."""
        if not self._prompt:
            return False
        back = {change.route.dst for change in healed}
        gone = (route.dst for route, _ in heard.deleted if route.dst not in back)
        return self._carries(heard) or any(self._prompt.wants(dst) and self.damping.until(dst) <= now for dst in gone)

    def _carries(self, heard: KernelEvents) -> bool:
        """Whether a link changed, or an address of one, that leads to other nodes."""
        return bool(self._prompt and {self.devices.get(each) for each in heard.touched} & self._prompt.devices)

    def _restored(self, heard: KernelEvents, now: float) -> tuple[Change, ...]:
        """Add the routes that a link took along without a notification, as far as it leads there again; return them."""
        if not (self._prompt and self._carries(heard)):
            return ()
        try:
            there = {route.dst for route in self._aside.ours() if route.table == MAIN}
        except KernelError:  # the pass that follows says so
            return ()
        missing = self._undamped(self._prompt.missing(there | heard.added), now)
        first = self._add(missing[:1])  # tells whether the link is up
        return first + self._add(missing[1:]) if first else ()

    def _undamped(self, changes: Iterable[Change | None], now: float) -> list[Change]:
        return [each for each in changes if each and self.damping.until(each.route.dst) <= now]

    def add_new_nodes(self, cluster: Cluster) -> tuple[Change, ...]:
        """Add at once the routes to nodes that are new in CLUSTER and concern no other; return what was added."""
        return self._add(list(self._prompt.arrived(cluster))) if self._prompt and self._may_hurry else ()

    def concerns(self, heard: KernelEvents) -> bool:
        """Whether a whole pass may find something after what was HEARD."""
        if heard.deleted or heard.foreign_changes or heard.links_or_addresses or heard.overflow or self._prompt is None:
            return True
        return any(map(self._prompt.wants, heard.changed))

    def _add(self, changes: list[Change]) -> tuple[Change, ...]:
        if not changes:
            return ()
        try:
            refused = self._aside.apply(changes)
        except KernelError:  # the pass that follows in any case says so, and is tried again
            return ()
        done = tuple(change for position, change in enumerate(changes) if position not in refused)
        self.healed.update(change.route.dst for change in done)
        return done
