"""A plan that met a kernel which somebody else has changed meanwhile: when to plan again, and what both rounds come to."""

import errno
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Outcome, Plan, Refusal

# What is said of a change that was made for another table: it is there already, it is gone, nobody knows; rtnetlink(7).
_RACES = {errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.ESTALE}
_Item = TypeVar("_Item")


class Done(NamedTuple):
    """A plan that was carried out, and what became of it."""

    plan: Plan
    outcome: Outcome

    @property
    def complete(self) -> bool:
        """Whether the machine agrees with the inventory now."""
        return not (self.outcome.failed or self.plan.errors or self.plan.kept)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was changed in the kernel."""
        return _succeeded(self.plan.changes, self.outcome.routes)

    @property
    def files(self) -> tuple[FileChange, ...]:
        """What was changed in files."""
        return _succeeded(self.plan.files or (), self.outcome.files)


def raced(refused: Iterable[Refusal]) -> bool:
    """Whether a change was REFUSED because the table is not the one any more that it was planned for."""
    return any(why.errno in _RACES for why in refused)


def joined(first: Done, then: Done) -> Done:
    """Return two rounds as one: what was done in the FIRST, and everything of the one THEN, which was planned after it."""
    standing = sum(change.action != "delete" for change in first.changes)  # what the second found in place
    plan = then.plan._replace(
        changes=(*first.changes, *then.plan.changes),
        unchanged=max(0, then.plan.unchanged - standing),
        files=None if then.plan.files is None and not first.files else (*first.files, *(then.plan.files or ())),
    )
    routes, files = (
        {count + position: why for position, why in failures.items()}
        for count, failures in ((len(first.changes), then.outcome.routes), (len(first.files), then.outcome.files))
    )
    return Done(plan, Outcome(routes, files))


def _succeeded(items: Iterable[_Item], failures: Mapping[int, str]) -> tuple[_Item, ...]:
    return tuple(item for position, item in enumerate(items) if position not in failures)
