"""A plan: the changes of one machine, and its problems."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from podroutes.model.persisted import FileChange
from podroutes.model.problem import Problem
from podroutes.model.route import Route

Action = Literal["add", "replace", "delete"]


class Change(NamedTuple):
    """One change of the kernel. ``route`` is the new route, or for a delete the present one; ``was`` is the route that a replace replaces."""

    action: Action
    route: Route
    node: str | None = None  # the node with this podCIDR; None: no node claims it
    was: Route | None = None


class Kept(NamedTuple):
    """A route of ours that stays, or is restored, although no honoured claim wants it.

    ``node`` is the node that it serves, ``reason`` one line for a person, ``code`` that of the problem that causes it.
    """

    route: Route
    node: str
    reason: str
    code: str


class Plan(NamedTuple):
    """The difference between one machine and its inventory. To carry out ``changes`` in order loses no packet.

    ``files`` are our files that persist the routes; None if none do. ``held`` are deletions that the mass-delete guard holds:
        they are not in ``changes``, and their routes stay in the kernel and in files. ``kept`` are routes that exist after the
        plan.
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
        """Whether there are changes of the kernel or of files."""
        return bool(self.changes or self.files)

    @property
    def errors(self) -> int:
        """The number of problems that keep a podCIDR from being routed as the inventory says."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def in_sync(self) -> bool:
        """Whether the machine agrees with the inventory: no changes, no errors, no kept routes."""
        return not (self.pending or self.errors or self.kept)


class Outcome(NamedTuple):
    """The result of a plan: the reasons of failed changes and files, by position."""

    routes: Mapping[int, str]
    files: Mapping[int, str] = {}

    @property
    def failed(self) -> int:
        """The number of failed changes and files."""
        return len(self.routes) + len(self.files)


class TakenOver(NamedTuple):
    """A foreign route, added after our snapshot, that a replace of ours displaced.

    ``program`` added it, "" if unknown; ``failure`` is why it could not be restored, "" if it was.
    """

    route: Route
    program: str
    failure: str = ""


class Refusal(NamedTuple):
    """Why the kernel refused a change: ``errno``, and its extended ACK text or that of strerror(3)."""

    errno: int
    text: str
