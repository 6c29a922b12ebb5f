"""Formats a push: a table of the plans, a table at the end, and a document."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from podroutes.model.plan import Plan
from podroutes.model.push import NOT_BEGUN, Pushed
from podroutes.model.text import counted, escaped, listing, printable
from podroutes.views import plan as plan_view
from podroutes.views import plan_json
from podroutes.views.style import Style

_COLOURS = {"applied": "green", "rolled-back": "yellow", "returning": "red", "unknown": "red"}


def table(all_pushed: Sequence[Pushed], style: Style) -> Iterator[str]:
    """Yield one line for pushed machine: name, final state, changes, and errors."""
    rows = [(escaped(pushed.node), _state(pushed), _done(pushed), escaped(pushed.error)) for pushed in all_pushed]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for pushed, row in zip(all_pushed, rows, strict=True):
        name, state, done = (f"{text:{width}}" for text, width in zip(row, widths, strict=False))
        colour = "red" if pushed.error and pushed.state == "unchanged" else _COLOURS.get(pushed.state, "dim")
        yield f"{style('bold', name)}  {style(colour, state)}  {done}  {row[3]}".rstrip()


def line(pushed: Pushed) -> str:
    """Return the result of one machine in one line."""
    return ": ".join(filter(None, (escaped(pushed.node), _state(pushed), _done(pushed), escaped(pushed.error))))


def summary(all_pushed: Sequence[Pushed], verb: str) -> str:
    """Return the summary of a push in one line."""
    applied = sum(pushed.state == "applied" for pushed in all_pushed)
    waiting = sum(pushed.error.startswith(NOT_BEGUN) for pushed in all_pushed)
    failed = sum(pushed.failed for pushed in all_pushed) - waiting
    same = sum(pushed.state == "unchanged" and not pushed.failed for pushed in all_pushed)
    verdict = f"{verb} {'incomplete' if failed or waiting else 'complete'}"
    parts = [f"{applied} of {_nodes(len(all_pushed))} changed", f"{same} in sync already"]
    parts += [f"{failed} failed"] * bool(failed) + [f"{waiting} not begun"] * bool(waiting)
    again = " Correct what failed, then run it again: it goes on where it ended." if waiting else ""
    return f"{verdict}: {', '.join(parts)}.{again}"


def plans(all_pushed: Sequence[Pushed], style: Style) -> Iterator[str]:
    """Yield one line for each machine that could be read: its name, and what its plan comes to."""
    shown = [(escaped(pushed.node), pushed.plan) for pushed in all_pushed if pushed.plan and not pushed.error]
    width = max((len(name) for name, _ in shown), default=0)
    for name, plan in shown:
        yield f"{style('bold', f'{name:{width}}')}  {plan_view.summary(plan)}"


def total(all_pushed: Sequence[Pushed]) -> str:
    """Return what all plans come to, in one line."""
    plans = [pushed.plan for pushed in all_pushed if pushed.plan and not pushed.error]
    actions = [change.action for plan in plans for change in plan.changes]
    counts = ", ".join(f"{actions.count(action):,} to {action}" for action in ("add", "replace", "delete"))
    routes = f"{len(actions):,} route{'s' * (len(actions) != 1)}"
    held = sum(len(plan.held) for plan in plans)
    files = sum(len(plan.files or ()) for plan in plans)
    settings = sum(len(plan.host) for plan in plans)
    more = [f"{held:,} held"] * bool(held) + [f"{files:,} file{'s' * (files != 1)} to change"] * bool(files)
    more += [f"{counted(settings, 'setting')} to change"] * bool(settings)
    return f"{'; '.join([f'{routes} on {_nodes(sum(plan.pending for plan in plans))}: {counts}', *more])}."


def question(all_pushed: Sequence[Pushed], verb: str) -> str:
    """Return the question before changes are made."""
    return f"{verb} this on {_nodes(sum(pushed.pending for pushed in all_pushed))}? [y/N] "


def deletions(all_pushed: Sequence[Pushed]) -> str:
    """Return the number of held deletions, of machines, and the nodes that they serve; "" if there are none."""
    held = [len(pushed.plan.held) for pushed in all_pushed if pushed.plan and pushed.plan.held]
    problems = [problem for pushed in all_pushed if pushed.plan for problem in pushed.plan.problems]
    names = sorted({name for problem in problems if problem.code == "mass-delete" for name in problem.nodes})
    if not held:
        return ""
    whose = listing([printable(name) for name in names])
    return f"{sum(held)} routes on {_nodes(len(held))} would go at once: the inventory lists no podCIDR for {whose}."


def _state(pushed: Pushed) -> str:
    until = f"{datetime.fromtimestamp(pushed.until).astimezone():%H:%M:%S}" if pushed.until else "its time"
    return {
        "unchanged": "unchanged",
        "applied": "applied",
        "rolled-back": "rolled back",
        "returning": f"rolls back by itself at {until}",
        "unknown": f"applied, or rolled back by itself at {until}",
    }[pushed.state]


def _done(pushed: Pushed) -> str:
    plan = pushed.plan
    if not plan or (pushed.error and not pushed.begun):
        return ""
    if not plan.pending:
        return f"{plan.unchanged} in place"
    if pushed.state != "applied":
        return ""
    changed = pushed.outcome.routes_changed if pushed.outcome else plan.changes
    failed = len(plan.changes) - len(changed)
    actions = [change.action for change in changed]
    words = {"add": "added", "replace": "replaced", "delete": "deleted"}
    counts = [f"{actions.count(action)} {word}" for action, word in words.items() if action in actions]
    counts += [f"{failed} failed"] if failed else []
    files = len(plan.files or ())
    return ", ".join([*counts, *([f"{files} file{'s' * (files != 1)}"] if files else [])])


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count != 1)}"


def document(all_pushed: Sequence[Pushed]) -> dict[str, Any]:
    """Return the stable JSON shape: each node's plan as ``plan -o json`` has it, and how it was left."""
    return {"nodes": [_node(pushed) for pushed in all_pushed]}


def _node(pushed: Pushed) -> dict[str, Any]:
    plan = pushed.plan or Plan(pushed.node, (), 0, ())
    shown = plan_json.outcome(pushed.outcome) if pushed.begun and pushed.outcome else plan_json.plan(plan)
    if pushed.begun and pushed.state != "applied":
        for row in (*shown["changes"], *shown.get("files", ())):
            row["applied"] = False
    until = datetime.fromtimestamp(pushed.until, UTC).isoformat(timespec="seconds") if pushed.until else None
    return {
        **shown,
        "in_sync": not pushed.error and plan.in_sync,
        "state": pushed.state,
        "error": pushed.error or None,
        "rolls_back_at": until,
        "connections": pushed.connections,
    }
