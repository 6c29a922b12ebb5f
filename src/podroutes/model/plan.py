"""A plan: what would change on one machine, and what stands in the way."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.persisted import FileChange
from podroutes.model.problem import Problem
from podroutes.model.route import Route

Action = Literal["add", "replace", "delete"]


class Change(NamedTuple):
    """One message to the kernel. ``route`` is what will stand, or for a delete what goes; ``was`` what a replace ends."""

    action: Action
    route: Route
    node: str | None = None  # whose podCIDR it is; None: no node claims it
    was: Route | None = None


class Kept(NamedTuple):
    """A route of ours that stays, or comes back, although no claim that is honoured by itself wants it.

    ``node`` is whose it is, ``reason`` one line for a person, ``code`` that of the problem that is the cause.
    """

    route: Route
    node: str
    reason: str
    code: str


class Plan(NamedTuple):
    """Everything that separates one machine from its inventory. Carrying out ``changes`` in order loses no packet.

    ``files`` are those of ours that keep the routes; None where none do. ``held`` are deletions that are too many to be made
    unasked: they are no changes, and what they would delete stays, in the kernel and in files. ``kept`` are routes that stand
    after the plan.
    """

    node: str
    changes: tuple[Change, ...]
    unchanged: int
    problems: tuple[Problem, ...]
    files: tuple[FileChange, ...] | None = None
    held: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether there is anything to change, in the kernel or in files."""
        return bool(self.changes or self.files)

    @property
    def errors(self) -> int:
        """How many problems keep a podCIDR from being routed as the inventory says."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def in_sync(self) -> bool:
        """Whether the machine agrees with the inventory: nothing to change, nothing that cannot be, nothing that is only kept."""
        return not (self.pending or self.errors or self.kept)


class Outcome(NamedTuple):
    """What became of a plan that was carried out: why, by position, for the changes and files that failed."""

    routes: Mapping[int, str]
    files: Mapping[int, str] = {}

    @property
    def failed(self) -> int:
        """How many did."""
        return len(self.routes) + len(self.files)


class TakenOver(NamedTuple):
    """A route of somebody else that a replace of ours displaced, as it was made after our look at the table.

    ``program`` made it, as far as that can be told; ``failure`` is why it could not be put back, "" when it was.
    """

    route: Route
    program: str
    failure: str = ""


class Refusal(NamedTuple):
    """Why the kernel did not carry out a change: ``errno``, and its extended ACK text or else what strerror(3) says."""

    errno: int
    text: str
