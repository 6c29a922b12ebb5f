"""What became of each machine of a push."""

from typing import Literal, NamedTuple

from podroutes.model.plan import Outcome, Plan

# How a machine was left: as it was; changed and confirmed; changed back; about to change back by itself; one of the last two
# or confirmed, as the answer to the confirmation was lost.
State = Literal["unchanged", "applied", "rolled-back", "returning", "unknown"]


class Pushed(NamedTuple):
    """One machine: its ``plan`` where it was read, what of that failed, and how it was left.

    ``until`` is when a machine that was not confirmed goes back by itself, seconds since the epoch.
    """

    node: str
    state: State = "unchanged"
    plan: Plan | None = None
    outcome: Outcome | None = None  # None: nothing was carried out
    error: str = ""  # why it could not be read or changed
    until: float | None = None
    connections: int = 0  # how often an SSH connection was opened
    begun: bool = False  # it was tried to carry the plan out

    @property
    def pending(self) -> bool:
        """Whether there is something to do, and nothing that forbids it."""
        return bool(self.plan and self.plan.pending and not self.error)

    @property
    def broken(self) -> bool:
        """Whether it was tried to carry the plan out, and something went wrong."""
        return self.begun and bool(self.error or (self.outcome and self.outcome.failed))

    @property
    def failed(self) -> bool:
        """Whether something that the inventory says is not so, or could not be told."""
        return bool(self.error or self.broken or (self.plan and self.plan.errors))
