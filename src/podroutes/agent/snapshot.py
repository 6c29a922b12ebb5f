"""What a source says about the cluster, and how it is doing: what it hands to the agent's loop."""

from typing import NamedTuple

from podroutes.inventory import Inventory
from podroutes.plan.held_deletions import Evidence


class NodeSnapshot(NamedTuple):
    """The whole cluster as a source has it now; times are seconds of the monotonic clock.

    ``at`` is when the source told what is new in it, ``listed`` when it last told all its nodes. ``from_cache`` is what was
    known before a restart: good enough to add routes by, not to change or delete any. ``history`` changes when the source turns
    out to have lost its memory; None is a source that could not tell.
    """

    inventory: Inventory
    at: float
    listed: float
    from_cache: bool = False
    history: int | None = None

    @property
    def evidence(self) -> Evidence:
        """What the guard goes by."""
        return Evidence(self.inventory.cluster, self.listed, self.history)
