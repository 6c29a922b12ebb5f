"""A running agent for people, for programs and for Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podroutes.model.status import BUCKETS, Histogram, Status
from podroutes.model.text import escaped, listing
from podroutes.views import plan_json
from podroutes.views.documents import API_VERSION
from podroutes.views.style import Style

_SAMPLE = tuple[str, float]  # labels as they are written, value

# Every metric: its type and what it tells. docs/agent.md is this table, held to it by a test.
METRICS = {
    "podroutes_build_info": ("gauge", "Always 1; the labels tell the version and the node."),
    "podroutes_ready": ("gauge", "1 when the nodes are known and the kernel was compared with them, else 0."),
    "podroutes_routes": ("gauge", "Routes by state: wanted, installed, foreign, failed, held or contested."),
    "podroutes_problems": ("gauge", "Problems by code, as `podroutes plan` lists them."),
    "podroutes_changes_total": ("counter", "Changes made in the kernel, by action."),
    "podroutes_change_failures_total": ("counter", "Changes that the kernel refused."),
    "podroutes_healed_total": ("counter", "Routes put back at once after somebody took them away."),
    "podroutes_passes_total": ("counter", "Whole comparisons of the nodes with the kernel, by reason."),
    "podroutes_pass_duration_seconds": ("gauge", "How long the last whole pass took."),
    "podroutes_last_pass_timestamp_seconds": ("gauge", "When the last whole pass ended."),
    "podroutes_kernel_overflows_total": ("counter", "Times that announcements of the kernel were lost (ENOBUFS)."),
    "podroutes_holds_total": ("counter", "Times that a deletion of very many routes was held back."),
    "podroutes_hold_since_timestamp_seconds": ("gauge", "Since when deletions are held back, 0 while none are."),
    "podroutes_mass_deletions_total": (
        "counter",
        "Routes that were held back and went all the same, by reason: confirmed, watched or listed.",
    ),
    "podroutes_node_to_kernel_seconds": ("histogram", "From a node event to its route in the kernel."),
    "podroutes_source_connected": ("gauge", "1 while the source of nodes can be read."),
    "podroutes_source_nodes": ("gauge", "Nodes that the source tells of."),
    "podroutes_source_last_event_timestamp_seconds": (
        "gauge",
        "When the source said anything last, bookmarks included.",
    ),
    "podroutes_source_changes_total": ("counter", "Node events and edits that changed something."),
    "podroutes_source_heartbeats_total": ("counter", "Node events that changed nothing that matters here."),
    "podroutes_source_lists_total": ("counter", "Times that the source told all its nodes."),
    "podroutes_source_retries_total": ("counter", "Times that the source had to be asked again."),
    "podroutes_source_received_bytes_total": ("counter", "Bytes that the source sent."),
    "podroutes_connections_refused_total": (
        "counter",
        "HTTP connections that were closed without an answer: too many, or too slow.",
    ),
    "podroutes_log_lines_dropped_total": ("counter", "Lines of the log that could not be written."),
    "podroutes_state_writable": ("gauge", "1 while the last good state can be kept on disk."),
}


def metrics(status: Status) -> Iterator[str]:
    """Yield the lines of the text format that Prometheus reads (version 0.0.4)."""
    for name, samples in _samples(status).items():
        kind, meaning = METRICS[name]
        yield f"# HELP {name} {meaning}"
        yield f"# TYPE {name} {kind}"
        yield from (f"{name}{labels} {value:.15g}" for labels, value in samples)


def _samples(status: Status) -> dict[str, Iterable[_SAMPLE]]:
    source = status.source
    codes: dict[str, int] = {}
    for problem in status.problems:
        codes[problem.code] = codes.get(problem.code, 0) + 1
    return {
        "podroutes_build_info": [(_labels(version=status.version, node=status.node), 1)],
        "podroutes_ready": [("", status.ready)],
        "podroutes_routes": _by("state", status.routes._asdict()),
        "podroutes_problems": _by("code", codes),
        "podroutes_changes_total": _by("action", status.changes),
        "podroutes_change_failures_total": [("", status.refused)],
        "podroutes_healed_total": [("", status.healed)],
        "podroutes_passes_total": _by("reason", status.passes),
        "podroutes_pass_duration_seconds": [("", status.last_duration)],
        "podroutes_last_pass_timestamp_seconds": [("", status.last_pass)],
        "podroutes_kernel_overflows_total": [("", status.overflows)],
        "podroutes_holds_total": [("", status.holds)],
        "podroutes_hold_since_timestamp_seconds": [("", status.hold.since if status.hold else 0)],
        "podroutes_mass_deletions_total": _by("reason", status.releases),
        "podroutes_node_to_kernel_seconds": _histogram(status.latency),
        "podroutes_source_connected": [("", source.connected)],
        "podroutes_source_nodes": [("", source.nodes)],
        "podroutes_source_last_event_timestamp_seconds": [("", source.heard)],
        "podroutes_source_changes_total": [("", source.changes)],
        "podroutes_source_heartbeats_total": [("", source.heartbeats)],
        "podroutes_source_lists_total": [("", source.lists)],
        "podroutes_source_retries_total": [("", source.retries)],
        "podroutes_source_received_bytes_total": [("", source.bytes)],
        "podroutes_connections_refused_total": [("", status.connections_refused)],
        "podroutes_log_lines_dropped_total": [("", status.log_lines_dropped)],
        "podroutes_state_writable": [("", not status.state_error)],
    }


def _by(label: str, values: Mapping[str, int]) -> list[_SAMPLE]:
    return [(_labels(**{label: key}), value) for key, value in values.items()]


def _labels(**values: str) -> str:
    shown = (value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for value in values.values())
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(values, shown, strict=True)) + "}"


def _histogram(histogram: Histogram) -> Iterator[_SAMPLE]:
    below = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        below += count
        yield f'_bucket{{le="{bound}"}}', below
    yield "_sum", histogram.total
    yield "_count", below


def document(status: Status) -> dict[str, Any]:
    """Return everything as JSON; times are seconds since the epoch, null for never."""
    return {
        "apiVersion": API_VERSION,
        "version": status.version,
        "node": status.node,
        "pid": status.pid,
        "started": status.started,
        "ready": status.ready,
        "reason": status.not_ready_reason,
        "source": {
            **status.source._asdict(),
            "heard": status.source.heard or None,
            "listed": status.source.listed or None,
            "error": status.source.error or None,
        },
        "routes": status.routes._asdict(),
        "hold": {**status.hold._asdict(), "until": status.hold.until or None} if status.hold else None,
        "released": status.released._asdict() if status.released else None,
        "contested": [
            {"dst": str(route.dst), "losses": route.losses, "rival": route.rival or None, "until": route.until}
            for route in status.contested
        ],
        "kept": [plan_json.kept(kept_route) for kept_route in status.kept],
        "failures": dict(status.failures),
        "problems": [plan_json.problem(problem) for problem in status.problems],
        "last_pass": status.last_pass or None,
        "last_duration": status.last_duration,
        "error": status.error or None,
        "state_error": status.state_error or None,
        "listen_error": status.listen_error or None,
        "log_error": status.log_error or None,
        "counters": {
            "passes": dict(status.passes),
            "changes": dict(status.changes),
            "refused": status.refused,
            "healed": status.healed,
            "holds": status.holds,
            "releases": dict(status.releases),
            "overflows": status.overflows,
            "connections_refused": status.connections_refused,
            "log_lines_dropped": status.log_lines_dropped,
        },
    }


def text(shown: Mapping[str, Any], now: float, style: Style) -> Iterator[str]:
    """Yield what SHOWN, a ``document`` as another process sent it, says to a person at time NOW (seconds since the epoch)."""
    source, routes, counters = shown["source"], shown["routes"], shown["counters"]
    state = (
        style("green", "in sync") if shown["ready"] and not troubles(shown, now) else style("yellow", "needs attention")
    )
    if not shown["ready"]:
        state = style("red", "not ready") + f": {escaped(str(shown['reason']))}"
    yield f"{style('bold', escaped(shown['node'] or '?'))}  {state}"
    yield f"  agent    podroutes {escaped(shown['version'])}, process {shown['pid']}, up {ago(shown['started'], now)}"
    last_event = f", heard {ago(source['heard'], now)} ago" if source["heard"] else ""
    link = "connected" if source["connected"] else style("red", "not connected")
    yield f"  source   {escaped(source['name'])}: {source['nodes']} nodes, {link}{last_event}"
    yield "  routes   " + ", ".join(f"{count} {name}" for name, count in routes.items() if count or name in _ALWAYS)
    if shown["last_pass"]:
        took = f"{1000 * shown['last_duration']:.1f} ms"
        yield f"  compared {ago(shown['last_pass'], now)} ago in {took}; {counters['healed']} healed since the start"
    for line in troubles(shown, now):
        yield f"  {style('yellow', '!')} {line}"


def condition(shown: Mapping[str, Any]) -> object:
    """Return what of SHOWN a person who watches wants to be told of: everything but times and counters."""
    hold = shown["hold"]
    return (
        [shown[name] for name in ("ready", "reason", "routes", "failures", "error", "state_error")],
        [shown["source"][name] for name in ("connected", "nodes", "error")],
        [(row["code"], row["message"]) for row in shown["problems"]],
        [row["dst"] for row in (*shown["contested"], *shown.get("kept", ()))],
        hold and hold["digest"],
    )


_ALWAYS = ("wanted", "installed")
_FEW = 8
_LATELY = 3600.0  # seconds for which a mass deletion needs attention


def troubles(shown: Mapping[str, Any], now: float) -> list[str]:
    """Return what a person should know of, a line each."""
    lines = [escaped(shown["error"])] if shown["error"] else []
    if not shown["source"]["connected"]:
        lines.append(f"source: {escaped(shown['source']['error'] or 'not connected')}")
    lines += [*_held(shown["hold"], now), *_released(shown.get("released"), now)]
    kept_routes = shown.get("kept", ())
    lines += [
        f"{kept_route['dst']} via {kept_route['via']} is kept: {escaped(kept_route['reason'])}"
        for kept_route in kept_routes[:_FEW]
    ]
    if len(kept_routes) > _FEW:
        lines.append(f"… and {len(kept_routes) - _FEW} more routes are kept; -o json lists them all")
    for route in shown["contested"]:
        rival = f" to {escaped(route['rival'])}" if route["rival"] else ""
        lines.append(f"{route['dst']} was lost {route['losses']} times{rival}; it is restored less often now")
    lines += [f"{dst}: {escaped(why)}" for dst, why in shown["failures"].items()]
    if shown["state_error"]:
        lines.append(f"the last good state cannot be kept: {escaped(shown['state_error'])}")
    if shown.get("log_error"):
        dropped = shown["counters"]["log_lines_dropped"]
        lines.append(f"the log cannot be written: {escaped(shown['log_error'])}; {dropped} lines dropped")
    problems = [row for row in shown["problems"] if row["code"] != "mass-delete"]  # told above
    lines += [f"{problem['code']}: {problem['message']}; fix: {problem['fix']}" for problem in problems[:_FEW]]
    if len(problems) > _FEW:
        lines.append(f"… and {len(problems) - _FEW} more problems; -o json lists them all")
    return lines


def _held(hold: Mapping[str, Any] | None, now: float) -> Iterator[str]:
    """Yield what is held: how many routes, whose, and what ends it."""
    if hold:
        until = f", or in {ago(now, hold['until'])} if none of them returns" if hold["until"] else ""
        yield (
            f"{_routes(hold['routes'])} of {_whose(hold['nodes'])} would go at once: held for {ago(hold['since'], now)}; "
            f"it ends when the nodes return, by `podroutes confirm {escaped(hold['digest'])}`{until}"
        )


def _released(released: Mapping[str, Any] | None, now: float) -> Iterator[str]:
    """Yield what was held and went lately."""
    if released and now - released["at"] < _LATELY:
        yield (
            f"{_routes(released['routes'])} of {_whose(released['nodes'])} went {ago(released['at'], now)} ago: "
            f"{escaped(released['reason'])}"
        )


def _routes(count: int) -> str:
    return f"{count} route{'s' * (count != 1)}"


def _whose(names: list[str]) -> str:
    return escaped(listing(names))


def ago(then: float, now: float) -> str:
    """Return how long THEN was before NOW, in the largest unit: ``3 min``."""
    seconds = max(0, int(now - then))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
