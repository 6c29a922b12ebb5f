"""The result of a push for each machine."""

from typing import Literal, NamedTuple

from podroutes.model.plan import Outcome, Plan

# The final state of a machine: unchanged; changed and confirmed; rolled back; about to roll back by itself; unknown, since the
# answer to the confirmation was lost.
NOT_BEGUN = "not begun: "  # how the error of a machine begins that was never touched
State = Literal["unchanged", "applied", "rolled-back", "returning", "unknown"]


class Pushed(NamedTuple):
    """The result of one machine: its ``plan`` if it was read, failures, and the final state.

    ``until`` is when an unconfirmed machine rolls back by itself, in seconds since the epoch.
    """

    node: str
    state: State = "unchanged"
    plan: Plan | None = None
    outcome: Outcome | None = None  # None: nothing was carried out
    error: str = ""  # why it could not be read or changed
    until: float | None = None
    connections: int = 0  # the number of SSH connections that were opened
    begun: bool = False  # the plan was sent

    @property
    def pending(self) -> bool:
        """Whether there are changes to make, and no error."""
        return bool(self.plan and self.plan.pending and not self.error)

    @property
    def broken(self) -> bool:
        """Whether the plan was sent and something failed."""
        return self.begun and bool(self.error or (self.outcome and self.outcome.failed))

    @property
    def failed(self) -> bool:
        """Whether the machine does not agree with the inventory, or its state is unknown."""
        return bool(self.error or self.broken or (self.plan and self.plan.errors))
