"""Handles plans for a table that another program has changed meanwhile: when to plan again, and the joint result."""

import errno
from collections.abc import Iterable

from podroutes.model.plan import Outcome, Refusal

# What the kernel says of a change that was planned for another table: it is there already, it is gone, nobody knows; rtnetlink(7).
_RACES = {errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.ESTALE}


def raced(refused: Iterable[Refusal]) -> bool:
    """Whether a change was REFUSED because the table is not the one any more that it was planned for."""
    return any(refusal.errno in _RACES for refusal in refused)


def joined(first: Outcome, then: Outcome) -> Outcome:
    """Return two rounds as one: what was done in the FIRST, and everything of the one THEN, which was planned after it."""
    done = [result for result in first.routes if result.refusal is None]
    written = [result for result in first.files if result.failure is None]
    set_up = [result for result in first.host if result.failure is None]
    standing = sum(result.change.action != "delete" for result in done)  # what the second found in place
    plan = then.plan._replace(
        changes=(*(result.change for result in done), *then.plan.changes),
        unchanged=max(0, then.plan.unchanged - standing),
        files=None
        if then.plan.files is None and not written
        else (*(result.change for result in written), *(then.plan.files or ())),
        host=(*(result.change for result in set_up), *then.plan.host),
    )
    return Outcome(plan, (*done, *then.routes), (*written, *then.files), (*set_up, *then.host))
