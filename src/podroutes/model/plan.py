"""A plan: what would change on one machine, and what stands in the way."""

from typing import Literal, NamedTuple

from podroutes.model.problem import Problem
from podroutes.model.route import Route

Action = Literal["add", "replace", "delete"]


class Change(NamedTuple):
    """One message to the kernel. ``route`` is what will stand, or for a delete what goes; ``was`` what a replace ends."""

    action: Action
    route: Route
    node: str | None = None  # whose podCIDR it is; None: no node claims it
    was: Route | None = None


class Plan(NamedTuple):
    """Everything that separates one machine from its inventory. Carrying out ``changes`` in order loses no packet."""

    node: str
    changes: tuple[Change, ...]
    unchanged: int
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """How many problems keep a podCIDR from being routed as the inventory says."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def in_sync(self) -> bool:
        """Whether the machine agrees with the inventory: nothing to change, and nothing that cannot be."""
        return not self.changes and not self.errors


class Refusal(NamedTuple):
    """Why the kernel did not carry out a change: ``errno``, and its extended ACK text or else what strerror(3) says."""

    errno: int
    text: str
