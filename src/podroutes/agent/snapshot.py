"""The snapshots of the cluster that a source passes to the agent's loop."""

from typing import NamedTuple

from podroutes.inventory import Inventory
from podroutes.plan.held_deletions import Evidence


class NodeSnapshot(NamedTuple):
    """The complete cluster as a source has it. Times are seconds of the monotonic clock.

    ``at`` is when the source published the latest change, ``listed`` when it last published a complete list. ``from_cache`` marks
        saved nodes after a restart, which may add routes but not change or delete any. ``history`` changes when the source lost its
        history; None if the source does not report this.
    """

    inventory: Inventory
    at: float
    listed: float
    from_cache: bool = False
    history: int | None = None

    @property
    def evidence(self) -> Evidence:
        """The evidence for the mass-delete guard."""
        return Evidence(self.inventory.cluster, self.listed, self.history)
