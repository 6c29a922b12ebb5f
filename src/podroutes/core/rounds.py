"""A plan that met a kernel which somebody else has changed meanwhile: when to plan again, and what both rounds come to."""

import errno
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from podroutes.model.plan import Outcome, Plan, Refusal

# What the kernel says of a change that was made for another table: it is there already, it is gone; rtnetlink(7).
_RACES = {errno.EEXIST, errno.ENOENT, errno.ESRCH}
_Item = TypeVar("_Item")


class Done(NamedTuple):
    """A plan that was carried out, and what became of it."""

    plan: Plan
    outcome: Outcome

    @property
    def complete(self) -> bool:
        """Whether the machine agrees with the inventory now."""
        return not self.outcome.failed and not self.plan.errors


def raced(refused: Iterable[Refusal]) -> bool:
    """Whether a change was REFUSED because the table is not the one any more that it was planned for."""
    return any(why.errno in _RACES for why in refused)


def joined(first: Done, then: Done) -> Done:
    """Return two rounds as one: what was done in the FIRST, and everything of the one THEN, which was planned after it."""
    changes = _succeeded(first.plan.changes, first.outcome.routes)
    files = _succeeded(first.plan.files or (), first.outcome.files)
    standing = sum(change.action != "delete" for change in changes)  # what the second found in place
    plan = then.plan._replace(
        changes=(*changes, *then.plan.changes),
        unchanged=max(0, then.plan.unchanged - standing),
        files=None if then.plan.files is None and not files else (*files, *(then.plan.files or ())),
    )
    routes, written = _behind(len(changes), then.outcome.routes), _behind(len(files), then.outcome.files)
    return Done(plan, Outcome(routes, written))


def _succeeded(items: Iterable[_Item], failures: Mapping[int, str]) -> tuple[_Item, ...]:
    return tuple(item for position, item in enumerate(items) if position not in failures)


def _behind(count: int, failures: Mapping[int, str]) -> dict[int, str]:
    return {count + position: why for position, why in failures.items()}
