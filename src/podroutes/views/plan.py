"""Formats plans, problems and routes as text."""

from collections.abc import Iterator, Sequence

from podroutes.model.changes import counts
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Outcome, Plan
from podroutes.model.problem import Problem
from podroutes.model.route import PROTOCOL, protocol_name
from podroutes.model.route_state import Entry
from podroutes.model.text import counted, escaped
from podroutes.views import iproute
from podroutes.views.style import Style

_SIGNS = {"add": ("+", "green"), "replace": ("~", "yellow"), "delete": ("-", "red")}
_FILE_SIGNS = {
    "create": _SIGNS["add"],
    "replace": _SIGNS["replace"],
    "edit": _SIGNS["replace"],
    "delete": _SIGNS["delete"],
}
_HOST_SIGNS = {**_FILE_SIGNS, "load": _SIGNS["add"], "update": _SIGNS["replace"], "set": _SIGNS["replace"]}
_STATES = {"ok": "green", "missing": "red", "stale": "yellow", "foreign": "yellow", "unreachable": "red"}
_ALIKE = 8  # problems of one code that are shown in full; a link that is down causes thousands of equal ones


def changes(plan: Plan, style: Style) -> Iterator[str]:
    """Yield a line for each change and each held deletion: ``+ 10.200.1.0/24 via 192.168.8.21 dev ens18  worker-1``."""
    both = (*plan.changes, *plan.held)
    shown = [(change, f"{change.route.dst} {iproute.where(change.route)}".rstrip()) for change in both]
    width = max((len(text) for _, text in shown), default=0)
    for index, (change, text) in enumerate(shown):
        held = index >= len(plan.changes)
        sign, colour = ("!", "yellow") if held else _SIGNS[change.action]
        note = "  held" if held else _note(change)
        who = escaped(change.node) if change.node else ""
        yield f"  {style(colour, sign)} {text:{width}}  {style('bold', who)}{style('dim', note)}".rstrip()
    for setting in plan.host:
        sign, colour = _HOST_SIGNS[setting.action]
        was = f"was {setting.was}" if setting.was else ""
        text = f"{setting.kind} {escaped(setting.name)} {setting.detail}".rstrip()
        yield f"  {style(colour, sign)} {text}  {style('dim', was)}".rstrip()
    for file in plan.files or ():
        sign, colour = _FILE_SIGNS[file.action]
        yield f"  {style(colour, sign)} {escaped(file.file.path)}  {style('dim', file.backend)}".rstrip()
        if file.was:
            yield from (f"      {line}" for line in edit(file, style))


def held(plan: Plan, style: Style) -> Iterator[str]:
    """Yield a line for each held deletion."""
    return changes(plan._replace(changes=(), files=None, host=()), style)


def edit(change: FileChange, style: Style) -> Iterator[str]:
    """Yield the edit of an administrator's file as a unified diff, diff(1)."""
    from difflib import unified_diff  # noqa: PLC0415, seldom asked for

    colours = {"-": "red", "+": "green"}
    before = change.was.text.splitlines() if change.was else []
    for line in unified_diff(before, change.file.text.splitlines(), change.file.path, change.file.path, lineterm=""):
        text = escaped(line)
        yield style(colours[line[0]], text) if line[:1] in colours else text


def kept(plan: Plan, style: Style) -> Iterator[str]:
    """Yield a line for each kept route: ``= 10.200.1.0/24 via 192.168.8.21 dev ens18  worker-1  kept: why``."""
    for kept_route in plan.kept:
        text = f"{kept_route.route.dst} {iproute.where(kept_route.route)}".rstrip()
        yield f"  {style('cyan', '=')} {text}  {style('bold', escaped(kept_route.node))}  kept: {kept_route.reason}"


def _note(change: Change) -> str:
    if change.was and change.was.protocol != change.route.protocol:
        verb = "renumbered" if change.was.ours or change.route.protocol != PROTOCOL else "taken over"
        return f"  {verb} from protocol {protocol_name(change.was.protocol)}"
    if change.was:
        return f"  was {iproute.where(change.was)}".rstrip()
    return "" if change.node else "not wanted"


def summary(plan: Plan) -> str:
    """Return the summary of a plan in one line."""
    problems = _problem_counts(plan)
    held = f", {len(plan.held)} held" if plan.held else ""
    if not plan.pending:
        if plan.errors or plan.kept:
            return f"No changes. {_routes(plan.unchanged)} in place{_kept(plan)}{held}{problems}."
        return (
            f"No changes. {escaped(plan.node)} agrees with the inventory: {_routes(plan.unchanged)} in place{problems}."
        )
    verbs = ", ".join(f"{count} to {action}" for action, count in counts(plan.changes).items())
    files = f"; {_files(len(plan.files))} to change" if plan.files else ""
    files += f"; {counted(len(plan.host), 'setting')} to change" if plan.host else ""
    return f"Plan: {verbs}{held}, {plan.unchanged} unchanged{_kept(plan)}{files}{problems}."


def outcome(outcome: Outcome, verb: str = "Apply") -> str:
    """Return what became of a plan that was carried out, in one line; VERB is what the user asked for."""
    plan = outcome.plan
    done = counts(outcome.routes_changed)
    made = f"{done['add']} added, {done['replace']} replaced, {done['delete']} deleted"
    failed = f", {outcome.failed} failed" if outcome.failed else ""
    held = f", {len(plan.held)} held" if plan.held else ""
    files = f"; {_files(len(outcome.files_written))} changed" if plan.files else ""
    done_settings = sum(result.failure is None for result in outcome.host)
    files += f"; {counted(done_settings, 'setting')} changed" if plan.host else ""
    verdict = f"{verb} {'complete' if outcome.complete else 'incomplete'}"
    unchanged = f"{plan.unchanged} unchanged{_kept(plan)}"
    return f"{verdict}: {made}{failed}{held}, {unchanged}{files}{_problem_counts(plan)}."


def failures(outcome: Outcome, style: Style) -> Iterator[str]:
    """Yield a line for every change that could not be made."""
    for file, failure in outcome.files:
        if failure is not None:
            yield f"{style('red', 'failed')} {file.action} {escaped(file.file.path)}: {failure}"
    for setting, failure in outcome.host:
        if failure is not None:
            yield f"{style('red', 'failed')} {setting.action} {setting.kind} {escaped(setting.name)}: {failure}"
    for change, refusal in outcome.routes if outcome.failed else ():
        if refusal:
            where = f"{change.route.dst} {iproute.where(change.route)}".rstrip()
            yield f"{style('red', 'failed')} {change.action} {where}: {refusal.text}"


def _kept(plan: Plan) -> str:
    return f", {len(plan.kept)} only kept" if plan.kept else ""


def _problem_counts(plan: Plan) -> str:
    errors, warnings = plan.errors, len(plan.problems) - plan.errors
    shown = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((errors, "error"), (warnings, "warning")) if count
    ]
    return f"; {', '.join(shown)}" if shown else ""


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _routes(count: int) -> str:
    return f"{count} route{'s' * (count != 1)}"


def problems(found: Sequence[Problem], style: Style) -> Iterator[str]:
    """Yield each problem with its fix; of many equal ones the first few and the number of others."""
    seen: dict[str, int] = {}
    for problem in found:
        seen[problem.code] = seen.get(problem.code, 0) + 1
        if seen[problem.code] <= _ALIKE:
            colour = "red" if problem.severity == "error" else "yellow"
            yield f"{style(colour, problem.severity)} {style('bold', problem.code)}: {problem.message}"
            yield f"  fix: {problem.advice}"
    for code, count in seen.items():
        if count > _ALIKE:
            yield f"… and {count - _ALIKE} more of {style('bold', code)}; -o json lists them all"


def survey(entries: Sequence[Entry], style: Style) -> Iterator[str]:
    """Yield one line for each route in the style of ip-route(8), with its node, its state, and whether the next boot loses it."""
    lines = [iproute.line(entry.route) for entry in entries]
    names = [escaped(entry.node) if entry.node else "-" for entry in entries]
    wide, broad = (max(map(len, column), default=0) for column in (lines, names))
    for entry, route, name in zip(entries, lines, names, strict=True):
        yield f"{route:{wide}}  {name:{broad}}  {style(_STATES[entry.state], entry.state)}{_end(entry)}"


def _end(entry: Entry) -> str:
    until = ""
    if entry.state == "ok" and not entry.lasts:
        until = f", but {escaped(entry.boot)}" if entry.boot else ", until reboot"
    elif entry.state == "ok" and entry.boot:
        until = f", by {escaped(entry.boot)}"
    return f"{until}, kept: {entry.kept}" if entry.kept else until
