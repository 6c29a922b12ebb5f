"""The door to the kernel's routing tables: read a snapshot, carry out changes.

Two kernels stand behind it: the real one (``netlink``), and one in memory with the kernel's answers (``memory``), held to
the same behaviour by the same tests.
"""

from collections.abc import Sequence
from typing import Protocol

from podroutes.model.fib import Fib
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import Route


class Kernel(Protocol):
    """What podroutes asks of a kernel. All methods raise ``KernelError`` when the conversation as a whole fails."""

    def snapshot(self) -> Fib:
        """Read links, addresses and the main table's routes, one dump each (routes: one an IP version)."""

    def ours(self) -> tuple[Route, ...]:
        """Read every route of ours in every table."""

    def apply(self, changes: Sequence[Change]) -> dict[int, Refusal]:
        """Carry out CHANGES in order; return why, by position, for those that were refused. One failure stops no other.

        An ``add`` of what exists is refused with EEXIST, a ``replace`` of what is gone with ENOENT, a ``delete`` with ESRCH. So is
        a ``replace`` with EEXIST where another route stands by now than the one that the change says it was.
        """

    def taken_over(self) -> tuple[TakenOver, ...]:
        """Return the routes of others that replaces displaced since the last call, all the same."""
