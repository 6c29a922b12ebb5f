"""Access to the kernel's routing tables: reads snapshots and carries out changes.

There are two implementations: the real kernel (``netlink``), and one in memory that gives the same answers (``memory``).
The same contract tests run against both.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from podroutes.model.fib import Fib
from podroutes.model.interest import Interest
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import Route


class Kernel(Protocol):
    """The interface of a kernel. All methods raise ``KernelError`` if the request as a whole fails."""

    def snapshot(self, interest: Callable[[Fib], Interest] | None = None) -> Fib:
        """Read links, addresses, policy rules and the routes of the main table, with one dump each (routes: one per IP version).

        INTEREST is asked, with links and addresses alone, which routes of others are read; all others may be left out then.
        """

    def ours(self) -> tuple[Route, ...]:
        """Read every route of ours in every table."""

    def apply(self, changes: Sequence[Change]) -> dict[int, Refusal]:
        """Carry out CHANGES in order; return the refusals by position. A refusal does not stop the other changes.

        An ``add`` of an existing route is refused with EEXIST, a ``replace`` of a missing one with ENOENT, a ``delete`` with
                ESRCH. A ``replace`` is refused with EEXIST if the present route is not the one that the change names.
        """

    def taken_over(self) -> tuple[TakenOver, ...]:
        """Return the routes of others that replaces displaced since the last call, all the same."""
