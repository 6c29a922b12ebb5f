"""Nodes, pod CIDRs, what is wrong with the inventory, what packets found: tables to search and to sort."""

from collections.abc import Sequence

from podroutes.model.text import escaped
from podroutes.views.html.diagram import Standing, networks
from podroutes.views.html.grid import Grid
from podroutes.views.html.markup import Html, joined, tag
from podroutes.views.html.report import Probe, Report

_MOST = 2_500  # rows of one table
_NOTHING = "·"
Cell = str | int


def search(target: str, hint: str) -> Html:
    """Return the field that searches what has the id TARGET; it takes a script, and is hidden without."""
    return tag(
        "p",
        tag(
            "input",
            type="search",
            placeholder=hint,
            aria_label=hint,
            data_for=target,
            autocomplete="off",
            spellcheck="false",
        ),
        tag("output", data_of=target),
        class_="search",
        hidden=True,
    )


def nodes(report: Report, standing: Standing) -> Html:
    """Return all nodes, those with faults first."""
    wires = networks(report.cluster, report.hosts)
    rows: list[tuple[str, list[Cell]]] = [
        (
            standing.state(node.name),
            [
                node.name,
                ", ".join(map(str, node.internal_ips)) or _NOTHING,
                ", ".join(map(str, wires[node.name])) or _NOTHING,
                ", ".join(map(str, node.pod_cidrs)) or _NOTHING,
                standing.outgoing(node.name),
                standing.incoming(node.name),
                standing.words(node.name),
            ],
        )
        for node in {node.name: node for node in report.cluster.nodes}.values()
    ]
    heads = ["Node", "InternalIP", "Network", "Pod CIDRs", "Not reached from here", "Not reached by", "State"]
    return _table("nodes", "Search nodes", heads, _worst_first(rows))


def cidrs(grid: Grid, standing: Standing) -> Html:
    """Return every column of the matrix, those that fail first."""
    seen = len(grid.rows) - len(standing.unseen)
    rows: list[tuple[str, list[Cell]]] = []
    for target, failing in zip(grid.columns, standing.to_column, strict=True):
        kind = "pods" if target.pods else "the node itself"
        state = f"{failing} of {seen} nodes fail" if failing else "reached"
        rows.append(
            (
                "cut" if failing else "fine",
                [str(target.prefix), target.owner, f"IPv{target.prefix.version}", kind, failing, state],
            )
        )
    heads = ["Pod CIDR", "Owner", "Family", "What it is", "Not reached by", "State"]
    return _table("cidrs", "Search pod CIDRs", heads, _worst_first(rows))


def problems(report: Report) -> Html:
    """Return what is wrong with the inventory, errors first."""
    by_severity = sorted(report.problems, key=lambda each: each.severity != "error")
    rows: list[tuple[str, list[Cell]]] = [
        ("fault" if each.severity == "error" else "warned", [each.severity, each.code, each.message, each.advice])
        for each in by_severity
    ]
    return _table("problems", "Search the inventory's problems", ["Severity", "Code", "What", "What to do"], rows)


def packets(probe: Probe) -> Html:
    """Return what real packets found, what was lost first, and where that is not what the tables say."""
    odd = [
        tag(
            "li",
            f"{escaped(disagreement.probed.source)} → {escaped(disagreement.probed.node)} ({disagreement.probed.target}): "
            + (
                "the tables lead there and back, but no packet was answered: look for a firewall, a reverse path filter or the CNI."
                if disagreement.proven
                else "the tables do not lead there and back, but packets are answered: somebody else has the address, or they have changed."
            ),
        )
        for disagreement in probe.disagreements[:_MOST]
    ]
    rows: list[tuple[str, list[Cell]]] = [
        (
            "fine" if result.answered else "fault" if result.asked else "unseen",
            [
                result.source,
                result.node,
                str(result.target),
                f"{100 - 100 * result.received // result.sent} %" if result.sent else _NOTHING,
                f"{result.fastest:.2f}" if result.answered else _NOTHING,
                f"{result.mean:.2f}" if result.answered else _NOTHING,
                str(result.mtu) if result.mtu is not None else _NOTHING,
                result.how,
                result.error or ("answered" if result.pod else "answered by the node: forwarding not tested"),
            ],
        )
        for result in probe.results
    ]
    heads = ["From", "To", "Address", "Loss", "Fastest (ms)", "Mean (ms)", "Path MTU", "How", "Result"]
    differing = joined(
        tag("h3", "Where packets and tables disagree"),
        tag("ul", *odd, class_="odd"),
        _left_out(len(probe.disagreements) - len(odd)),
    )
    return joined(differing if odd else "", _table("packets", "Search what was sent", heads, _worst_first(rows)))


def _worst_first(rows: Sequence[tuple[str, list[Cell]]]) -> list[tuple[str, list[Cell]]]:
    order = ("fault", "cut", "touched", "unseen", "warned", "fine")
    return sorted(rows, key=lambda row: order.index(row[0]))


def _table(name: str, hint: str, heads: Sequence[str], rows: Sequence[tuple[str, list[Cell]]]) -> Html:
    numbers = [isinstance(cell, int) for cell in rows[0][1]] if rows else [False] * len(heads)
    head = tag(
        "tr",
        *(
            tag("th", heading, scope="col", class_="n" if n else None)
            for heading, n in zip(heads, numbers, strict=True)
        ),
    )
    body = [
        tag(
            "tr",
            *(
                tag("td", f"{cell:,}" if isinstance(cell, int) else cell, class_="n" if isinstance(cell, int) else None)
                for cell in cells
            ),
            class_=state,
        )
        for state, cells in rows[:_MOST]
    ]
    table = tag("table", tag("thead", head), tag("tbody", *body), id=name)
    scrolled = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=hint.removeprefix("Search "))
    return joined(search(name, hint), scrolled, _left_out(len(rows) - len(body)))


def _left_out(count: int) -> Html:
    words = f"{count:,} more rows are left out of this page, the worst being shown; `podroutes verify -o json` has all failures."
    return tag("p", words, class_="note") if count else Html()
