"""The agents of a cluster at one look: a line for each node, and what is wrong, once for all nodes that have it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from podroutes.model.agents import Asked
from podroutes.model.text import escaped, listing
from podroutes.views import status as views
from podroutes.views.style import Style

State = Literal["in-sync", "attention", "not-ready", "silent"]
_WORDS: dict[State, tuple[str, str]] = {
    "in-sync": ("in sync", "green"),
    "attention": ("needs attention", "yellow"),
    "not-ready": ("not ready", "red"),
    "silent": ("silent", "red"),
}


def state(asked: Asked, now: float) -> State:
    """Return the state of one agent at time NOW, seconds since the epoch."""
    if asked.status is None:
        return "silent"
    if not asked.status["ready"]:
        return "not-ready"
    return "attention" if views.troubles(asked.status, now) else "in-sync"


def understood(asked: Asked, now: float) -> Asked:
    """Return ASKED, without its status where that is of another version and cannot be read."""
    try:
        state(asked, now)
        list(_line(asked, now))
        list(_troubles(asked, now))
        condition([asked], now)
    except (LookupError, TypeError, ValueError, AttributeError):
        return Asked(asked.node, error="its agent is of another version, and its answer is not understood")
    return asked


def text(all_asked: Sequence[Asked], now: float, style: Style, *, full: bool) -> Iterator[str]:
    """Yield a line for each node, without FULL for each that is not in sync; then what is wrong; then the totals."""
    shown = [asked for asked in all_asked if full or state(asked, now) != "in-sync"]
    width = max((len(escaped(row.node)) for row in shown), default=0)
    words = max((len(_WORDS[state(row, now)][0]) for row in shown), default=0)
    for agent in shown:
        word, colour = _WORDS[state(agent, now)]
        name = style("bold", f"{escaped(agent.node):{width}}")
        yield f"{name}  {style(colour, f'{word:{words}}')}  {_line(agent, now)}".rstrip()
    if shown:
        yield ""
    yield from _grouped(all_asked, now, style)
    yield summary(all_asked, now)


def summary(all_asked: Sequence[Asked], now: float) -> str:
    """Return how many nodes are in each state, in one line."""
    states = [state(asked, now) for asked in all_asked]
    others = [f"{states.count(word)} {_WORDS[word][0]}" for word in _WORDS if word != "in-sync" and word in states]
    nodes = f"{len(states)} node{'s' * (len(states) != 1)}"
    well = states.count("in-sync")
    return f"{', '.join([f'{well} of {nodes} in sync', *others])}."


def _line(asked: Asked, now: float) -> str:
    """Return what there is to say of one agent."""
    if asked.status is None:
        return escaped(asked.error)
    shown = asked.status
    if not shown["ready"]:
        return escaped(str(shown["reason"]))
    routes = shown["routes"]
    compared = f", compared {views.ago(shown['last_pass'], now)} ago" if shown["last_pass"] else ""
    return f"{routes['installed']} of {routes['wanted']} routes{compared}, up {views.ago(shown['started'], now)}"


class _Group(NamedTuple):
    """What one cause comes to: the messages of a problem code, or one trouble, and the nodes that have it."""

    code: str
    fix: str
    messages: dict[str, None]
    nodes: dict[str, None]


def _grouped(all_asked: Sequence[Asked], now: float, style: Style) -> Iterator[str]:
    """Yield each trouble once, with the nodes that have it; problems by code, as one cause has one fix."""
    groups: dict[str, _Group] = {}
    for asked in all_asked:
        for code, message, fix in _troubles(asked, now):
            group = groups.setdefault(code or message, _Group(code, fix, {}, {}))
            group.messages[message] = group.nodes[asked.node] = None
    for group in sorted(groups.values(), key=lambda group: -len(group.nodes)):
        message, *others = group.messages
        more = f" (and {len(others)} more)" if others else ""
        code = f"{style('bold', group.code)}: " if group.code else ""
        names = listing([escaped(node) for node in group.nodes])
        where = f"{len(group.nodes)} of {len(all_asked)} node{'s' * (len(all_asked) != 1)}"
        yield f"{style('yellow', '!')} {code}on {where} ({names}): {message}{more}"
        if group.fix:
            yield f"  fix: {group.fix}"
    if groups:
        yield ""


def _troubles(asked: Asked, now: float) -> Iterator[tuple[str, str, str]]:
    """Yield code, message and fix of what is wrong on one node; code and fix are "" where there are none."""
    if asked.status is None:
        return
    for problem in asked.status["problems"]:
        if problem["code"] != "mass-delete":  # the held routes tell of it
            yield escaped(problem["code"]), escaped(problem["message"]), escaped(problem["fix"])
    for line in views.troubles({**asked.status, "problems": []}, now):
        yield "", line, ""


def condition(all_asked: Sequence[Asked], now: float) -> object:
    """Return what of the answers a person who watches wants to be told of."""
    return [(state(asked, now), asked.error, asked.status and views.condition(asked.status)) for asked in all_asked]


def document(all_asked: Sequence[Asked], now: float) -> dict[str, Any]:
    """Return the stable JSON shape; ``status`` is what an agent says, null where it says nothing."""
    nodes: list[Mapping[str, Any]] = [
        {"node": asked.node, "state": state(asked, now), "error": asked.error or None, "status": asked.status}
        for asked in all_asked
    ]
    return {"in_sync": all(node["state"] == "in-sync" for node in nodes), "nodes": nodes}
