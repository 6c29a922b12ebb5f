"""A plan: the changes of one machine, and its problems."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, overload

from podroutes.model.address import Prefix
from podroutes.model.host_change import HostChange, HostResult
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

    ``files`` are our files that persist the routes; None if none do. ``files_required`` is whether the user asked for them: then
    nothing is done without them. ``held`` are deletions that the mass-delete guard holds: they are not in ``changes``, and their
    routes stay in the kernel and in files. ``kept`` are routes that exist after the plan.
    """

    node: str
    changes: Sequence[
        Change
    ]  # a tuple, or columns of changes that become values when they are looked at (``model.changes``)
    unchanged: int
    problems: tuple[Problem, ...]
    files: tuple[FileChange, ...] | None = None
    held: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()
    files_required: bool = False
    overruled: frozenset[Prefix] = frozenset()  # desired destinations about which another route or rule decides
    host: tuple[HostChange, ...] = ()  # of the packet filter table, sysctls and modules; carried out before the routes

    def with_problem(self, problem: Problem) -> "Plan":
        """Return this plan with one more PROBLEM."""
        return self._replace(problems=(*self.problems, problem))

    @property
    def pending(self) -> bool:
        """Whether there are changes of the kernel, of files or of host settings."""
        return bool(self.changes or self.files or self.host)

    @property
    def errors(self) -> int:
        """The number of problems that keep a podCIDR from being routed as the inventory says."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def in_sync(self) -> bool:
        """Whether the machine agrees with the inventory: no changes, no errors, no kept routes."""
        return not (self.pending or self.errors or self.kept)


class Result(NamedTuple):
    """A change that was carried out; ``refusal`` is why the kernel did not make it, None where it did."""

    change: Change
    refusal: "Refusal | None" = None


class Results(Sequence[Result]):
    """The results of ``changes``, equal to the tuple of them, each made when somebody looks at it. ``failed`` are the refusals by position."""

    __slots__ = ("changes", "failed")

    def __init__(self, changes: Sequence[Change], failed: "Mapping[int, Refusal]") -> None:
        self.changes = changes
        self.failed = failed

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Result]:
        return (Result(change, self.failed.get(position)) for position, change in enumerate(self.changes))

    @overload
    def __getitem__(self, at: int) -> Result: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Result]: ...
    def __getitem__(self, at: int | slice) -> Result | Sequence[Result]:
        if isinstance(at, slice):
            return tuple(self)[at]
        return Result(self.changes[at], self.failed.get(range(len(self))[at]))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Results | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class FileResult(NamedTuple):
    """A file change that was carried out; ``failure`` is why it could not be made, None where it was."""

    change: FileChange
    failure: str | None = None


class Outcome(NamedTuple):
    """A plan that was carried out, with the result of each change, file and host setting."""

    plan: Plan
    routes: Sequence[Result]
    files: tuple[FileResult, ...] = ()
    host: tuple[HostResult, ...] = ()

    @property
    def failed(self) -> int:
        """How many changes could not be made."""
        others = [*(file.failure for file in self.files), *(setting.failure for setting in self.host)]
        if isinstance(self.routes, Results):
            return len(self.routes.failed) + sum(failure is not None for failure in others)
        failures = [*(result.refusal for result in self.routes), *others]
        return sum(failure is not None for failure in failures)

    @property
    def complete(self) -> bool:
        """Whether the machine agrees with the inventory now."""
        return not (self.failed or self.plan.errors or self.plan.kept)

    @property
    def routes_changed(self) -> Sequence[Change]:
        """The changes that the kernel made."""
        if isinstance(self.routes, Results) and not self.routes.failed:
            return self.routes.changes
        return tuple(result.change for result in self.routes if result.refusal is None)

    @property
    def files_written(self) -> tuple[FileChange, ...]:
        """The file changes that were made."""
        return tuple(result.change for result in self.files if result.failure is None)


class TakenOver(NamedTuple):
    """A foreign route, added after our snapshot, that a replace of ours displaced.

    ``program`` added it, "" if unknown; ``failure`` is why it could not be restored, None if it was.
    """

    route: Route
    program: str
    failure: str | None = None


class Refusal(NamedTuple):
    """Why the kernel refused a change: ``errno``, and its extended ACK text or that of strerror(3)."""

    errno: int
    text: str
