"""Every failing pair explained: the causes, what each means and what to do, and whom it concerns."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from podroutes.model.proof import CAUSES, Finding
from podroutes.model.text import escaped, listing
from podroutes.views.html.grid import Grid
from podroutes.views.html.markup import Html, joined, tag
from podroutes.views.html.tables import search
from podroutes.views.proof import sentence

_ALIKE = 250  # findings of one cause that are listed
_RANGES = 300_000  # characters that the pairs of all findings take as ranges of places
_NAMED = 6  # names that are listed without a script
_SIGNS = {"unreachable": "✕", "cannot-tell": "?", "warning": "!"}


def shown(findings: Sequence[Finding]) -> list[tuple[str, list[Finding], int]]:
    """Return each cause with the findings that are listed, and how many are left out."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.cause.code, []).append(finding)
    return [(code, those[:_ALIKE], len(those) - len(those[:_ALIKE])) for code, those in by_code.items()]


def section(findings: Sequence[Finding]) -> Html:
    """Return all findings by cause, worst first."""
    if not findings:
        return tag(
            "p",
            "No finding: every packet to a pod CIDR gets to the node that owns it, and every answer back.",
            class_="calm",
        )
    groups, number = list[Html](), 0
    for code, those, left in shown(findings):
        groups.append(_group(code, those, left, number, len(groups) < 3))
        number += len(those)
    return joined(search("findings", "Search causes, nodes, pod CIDRs"), tag("div", *groups, id="findings"))


def _group(code: str, those: Sequence[Finding], left: int, number: int, opened: bool) -> Html:  # noqa: FBT001
    meaning, fix = CAUSES[code]
    severity = those[0].cause.severity
    pairs = sum(finding.pairs for finding in those)
    count = f"{len(those) + left:,} finding{'s' * (len(those) + left != 1)}, {pairs:,}{'+' if left else ''} pair{'s' * (pairs != 1)}"
    rest = tag(
        "p",
        f"{left:,} more findings of this cause are left out of this page; `podroutes verify -o json` lists all.",
        class_="note",
    )
    return tag(
        "details",
        tag(
            "summary",
            tag("i", _SIGNS[severity], class_=f"sign {severity}"),
            tag("b", code),
            " ",
            tag("span", count, class_="count"),
        ),
        tag("p", meaning),
        _fix(fix) if any(finding.fix == fix for finding in those) else "",
        tag("ol", *(_item(finding, number + index) for index, finding in enumerate(those))),
        rest if left else "",
        class_="cause",
        data_code=code,
        open=opened,
    )


def _item(finding: Finding, number: int) -> Html:
    sources = list(dict.fromkeys(name for block in finding.blocks for name in block.sources))
    targets = list(dict.fromkeys(str(dst) for block in finding.blocks for dst in block.destinations))
    pairs = f"{finding.pairs:,} pair{'s' * (finding.pairs != 1)}"
    return tag(
        "li",
        tag("p", *_code(sentence(finding))),
        "" if finding.fix == CAUSES[finding.cause.code][1] else _fix(finding.fix),
        tag(
            "details",
            tag("summary", pairs),
            tag(
                "p",
                "from ",
                tag("b", listing([escaped(name) for name in sources], _NAMED)),
                " to ",
                tag("b", listing(targets, _NAMED)),
            ),
            class_="pairs",
        ),
        id=f"f{number}",
        class_="row",
    )


def _fix(words: str) -> Html:
    return tag("p", tag("b", "What to do: "), *_code(words), class_="fix")


def _code(words: str) -> Iterable[Html]:
    """Yield WORDS with what stands in `backticks` as code."""
    for index, part in enumerate(words.split("`")):
        if part:
            yield tag("code", part) if index % 2 else joined(part)


def pairs(findings: Sequence[Finding], grid: Grid) -> list[list[list[str]] | None]:
    """Return the blocks of each finding that is listed, as ranges of rows and of columns; None where they are too many."""
    rows = {name: row for row, name in enumerate(grid.rows)}
    columns = {target.prefix: column for column, target in enumerate(grid.columns)}
    found: list[list[list[str]] | None] = []
    room = _RANGES
    for _, those, _ in shown(findings):
        for finding in those:
            blocks = [
                [_ranges(rows[name] for name in block.sources), _ranges(columns[dst] for dst in block.destinations)]
                for block in finding.blocks
            ]
            size = sum(len(names) for block in blocks for names in block)
            found.append(blocks if size <= room else None)
            room -= size if size <= room else 0
    return found


def _ranges(places: Iterable[int]) -> str:
    """Return places as ``0-4,7``."""
    runs = [
        [place for _, place in run]
        for _, run in groupby(enumerate(sorted(set(places))), lambda each: each[1] - each[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def data(findings: Sequence[Finding], grid: Grid) -> dict[str, Any]:
    """Return what page.js has to know beyond what the page shows."""
    return {
        "rows": list(map(escaped, grid.rows)),
        "columns": [[str(target.prefix), escaped(target.owner)] for target in grid.columns],
        "findings": pairs(findings, grid),
    }
