"""The whole page: its head, its policy, and its sections in order."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from json import dumps
from typing import Any

from podroutes.views import proof as words
from podroutes.views.html import findings, matrix, tables
from podroutes.views.html.diagram import Standing, diagram
from podroutes.views.html.grid import Grid, lay_out
from podroutes.views.html.markup import Html, joined, tag
from podroutes.views.html.report import Report
from podroutes.views.style import Style

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='7' fill='%23{}'/%3E%3C/svg%3E"
)
_MAP = "Each network as a wire, and the nodes on it. Choose a node to see what packets from there do not reach."
_MATRIX = "From every node (row) to every pod CIDR (column), and how it fails."
_MINUS = "\N{MINUS SIGN}"  # as wide as the plus beside it
_HINT = "Point at a cell, tap it, or move with the arrow keys: who sends, to whom, and what becomes of it."
_CAUSES = "Why pairs fail, and what to do about it."


def page(report: Report) -> str:
    """Return REPORT as one HTML document: style, script and data are inside it, and whatever is elsewhere is forbidden."""
    style, *scripts = (
        files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js", "matrix.js")
    )
    script = "".join(scripts)
    grid = lay_out(report.proof, report.cluster, report.targets)
    standing = Standing(report, grid)
    found = report.proof.findings
    sections = [
        ("map", "Map", _MAP, joined(diagram(report, standing), tag("output", id="chosen"))),
        ("matrix", "Matrix", _MATRIX, _matrix(matrix.fitting(grid))),
        ("causes", "Findings", _CAUSES, findings.section(found)),
        (
            "problem",
            "Inventory",
            "What is wrong with the inventory.",
            tables.problems(report) if report.problems else "",
        ),
        ("probe", "Packets", "What became of real packets.", tables.packets(report.probe) if report.probe else ""),
        ("node", "Nodes", "", tables.nodes(report, standing)),
        ("cidr", "Pod CIDRs", "", tables.cidrs(grid, standing)),
    ]
    if not report.proof.proven:  # what to do comes first
        sections.sort(key=lambda section: section[0] != "causes")
    body = tag(
        "body",
        _banner(report),
        tag(
            "nav",
            *(tag("a", name, href=f"#{key}") for key, name, _, content in sections if content),
            aria_label="Sections",
        ),
        tag("main", *(_section(*section) for section in sections if section[-1])),
        tag("footer", f"Made by podroutes {report.version}. This page loads nothing and sends nothing."),
        tag("script", _harmless(findings.data(found, grid)), type="application/json", id="data"),
        tag("script", Html(script)),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href=_ICON.format("1f7a5c" if report.good else "b5381b")),
        tag("title", f"{_verdict(report)}: {report.cluster.source}, {report.time}"),
        tag("style", Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _verdict(report: Report) -> str:
    return "Proven" if report.good else "Not proven"


def _banner(report: Report) -> Html:
    proof = report.proof
    if not proof.pairs:
        says = "There is nothing to prove: no node has to reach the pod CIDR of another one"
    elif not proof.proven:
        says = "Not every pod CIDR is reachable from every node"
    elif report.lost:
        says = "The tables lead everywhere, but not all packets were answered"
    elif report.errors:
        says = "What the inventory lets be routed is reachable, but the inventory has errors"
    else:
        says = "Every pod CIDR is reachable from every node"
    facts = [
        (
            "Nodes",
            f"{len(proof.sources):,}"
            + (f" of {len(proof.sources) + len(proof.unseen):,} seen" if proof.unseen else ""),
        ),
        ("Pod CIDRs", f"{proof.pod_cidrs:,}"),
        ("Pairs", f"{proof.pairs:,}"),
        *((("Packets", f"{report.asked - report.lost:,} of {report.asked:,} answered"),) if report.probe else ()),
        ("Checked", report.time),
        ("Tables", report.tables),
        ("Inventory", report.cluster.source),
        ("podroutes", report.version),
    ]
    return tag(
        "header",
        tag("p", _verdict(report), class_="badge"),
        tag("h1", says),
        tag("p", words.verdict(proof, Style(enabled=False)), class_="verdict"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts)),
        class_="good" if report.good else "bad",
    )


def _section(key: str, name: str, lead: str, content: str) -> Html:
    return tag("section", tag("h2", name), tag("p", lead, class_="lead") if lead else "", content, id=key)


def _matrix(grid: Grid) -> Html:
    folded = tag(
        "p",
        f"There are too many pairs to show each: a cell stands for {grid.factor} by {grid.factor} of them, and shows the worst.",
        class_="note",
    )
    orders = [("as-is", "as in the inventory"), ("worst", "most failing first"), ("failing", "only what fails")]
    tools = tag(
        "p",
        tag(
            "label",
            "Order ",
            tag("select", *(tag("option", name, value=value) for value, name in orders), id="order"),
        ),
        tag("button", _MINUS, type="button", data_zoom="out", aria_label="Smaller"),
        tag("button", "+", type="button", data_zoom="in", aria_label="Larger"),
        class_="tools",
        hidden=True,
    )
    return joined(
        folded if grid.factor > 1 else "",
        matrix.legend(grid),
        tools,
        tag(
            "div",
            tag("div", matrix.drawing(grid), class_="scroll picture", tabindex=0),
            tag("output", _HINT, id="told", hidden=True),
            class_="stage",
        ),
    )


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy (W3C CSP Level 3) that allows what is inside this page, by its hash, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"


def _harmless(data: Any) -> Html:
    """Return DATA as JSON in ASCII without any character that ends or opens an element (HTML, 4.12.1.3)."""
    text = dumps(data, separators=(",", ":"))
    return Html(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
