"""The reachability matrix as SVG. The picture is the data: matrix.js reads the states of all pairs out of its paths."""

from collections.abc import Iterable

from podroutes.model.text import escaped
from podroutes.views.html.grid import APART, FAILING, OWN, Grid, State, folded
from podroutes.views.html.markup import Html, joined, tag

LABELLED = 40  # rows and columns up to which each has its name beside it
_WIDEST = 600  # cells a side: more than that is less than a pixel each
_RUNS = 25_000  # runs of cells, 16 bytes each
_LONGEST = 24  # characters of a label
_SHADES = 8  # colours of one severity in page.css, from which causes are told apart
_CROWDED = 0.05  # share of failing cells from which they are not drawn over good ones: each gets its place in a picture to scroll
_SEEN = 6  # pixels of a cell there
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS = {
    OWN: "own pods",
    APART: "another IP version",
}


def fitting(grid: Grid) -> Grid:
    """Return GRID, folded as often as it takes to be seen and sent."""
    factor = -(-max(len(grid.rows), len(grid.columns), 1) // _WIDEST)
    while True:
        small = folded(grid, factor)
        if sum(1 for state in small.cells for _ in small.runs(state)) <= _RUNS:
            return small
        factor *= 2


def words(state: State) -> str:
    """Return what a state is called: ``no-route`` of a failing pair, ``own pods``."""
    return _WORDS.get(state) or (f"{state.code} (warning)" if state.severity == "warning" else state.code)


def shades(grid: Grid) -> dict[State, tuple[str, str]]:
    """Return for every cause its classes, of which the first is its severity, and the letter that marks its cells."""
    colours: dict[State, tuple[str, str]] = {}
    counts: dict[str, int] = {}
    for state in grid.cells:
        if state.code:
            shade = counts.setdefault(state.severity, 0)
            counts[state.severity] += 1
            colours[state] = f"{state.severity} k{shade % _SHADES}", _LETTERS[len(colours) % len(_LETTERS)]
    return colours


def drawing(grid: Grid) -> Html:
    """Return the picture of a grid that fits."""
    small = max(grid.height, grid.width) <= LABELLED
    cell = (
        (52 if max(grid.height, grid.width) <= 6 else 34 if max(grid.height, grid.width) <= 14 else 22) if small else 1
    )
    left, top = (
        (_room(list(grid.rows)), _room([_column(grid, at) for at in range(grid.width)]) * 3 // 4 + 8)
        if small
        else (0, 0)
    )
    marks = shades(grid)
    paths = [_path(grid, state, *marks.get(state, (state.severity, ""))) for state in reversed(list(grid.cells))]
    cells = tag(
        "g",
        tag("rect", class_="proven", width=grid.width, height=grid.height),
        *paths,
        tag(
            "g", tag("rect", width=grid.width, height=grid.height, fill="url(#lines)") if small else "", class_="lines"
        ),
        tag("g", class_="cursor"),
        class_="cells",
        transform=f"translate({left} {top}) scale({cell})",
    )
    failing = sum(grid.count(state) for state in grid.cells if state.severity in FAILING)
    crowded = not small and failing > _CROWDED * grid.width * grid.height
    right = top * 3 // 4 if small else 0  # slanted names lean out over the last column
    return tag(
        "svg",
        _patterns(marks.values()),
        cells,
        tag("g", *(_labels(grid, cell, left, top) if small else ()), class_="labels"),
        viewBox=f"0 0 {left + grid.width * cell + right} {top + grid.height * cell}",
        width=left + grid.width * cell + right if small else grid.width * _SEEN if crowded else None,
        height=grid.height * _SEEN if crowded else None,
        class_="small" if small else "dense crowded" if crowded else "dense",
        preserveAspectRatio="xMinYMin" if small else "none",  # a cell of many need not be square
        role="img",
        aria_label=f"{grid.height} rows (source nodes) by {grid.width} columns (pod CIDRs); every failing pair is explained below",
        data_width=grid.width,
        data_height=grid.height,
        data_factor=grid.factor,
    )


def _path(grid: Grid, state: State, classes: str, letter: str) -> Html:
    count = grid.count(state)
    cells = "cell" if count == 1 else "cells"
    return tag(
        "path",
        tag("title", f"{words(state)}: {count} {cells}"),
        class_=classes,
        fill=f"url(#sign-{letter})" if letter else None,
        data_code=state.code or state.severity,
        data_words=words(state),
        d="".join(f"M{first} {row}h{behind - first}v1h{first - behind}z" for row, first, behind in grid.runs(state)),
    )


def _patterns(marks: Iterable[tuple[str, str]]) -> Html:
    """Return a sign for each cause, its letter in a corner, so that it does not take colours to tell them apart."""
    signs = {
        "unreachable": "M.34.34L.66.66M.66.34L.34.66",
        "cannot-tell": "M.4.42Q.4.32.5.32T.6.42Q.6.48.5.52V.56M.5.66V.68",
        "warning": "M.5.3V.56M.5.66V.68",
        "own": "M.42.5H.58",
    }
    tiles = [
        tag(
            "pattern",
            tag("rect", class_=classes, width=1, height=1),
            tag("path", class_="sign", d=signs[classes.split()[0]]),
            tag("text", letter, x="0.83", y="0.28") if len(letter) == 1 else "",
            id=f"sign-{letter}",
            width=1,
            height=1,
            patternUnits="userSpaceOnUse",
        )
        for classes, letter in (*marks, ("own", "own"))
    ]
    lines = tag("pattern", tag("path", d="M0 0H1M0 0V1"), id="lines", width=1, height=1, patternUnits="userSpaceOnUse")
    return tag("defs", *tiles, lines)


def _labels(grid: Grid, cell: int, left: int, top: int) -> list[Html]:
    rows = [
        tag("text", _cut(name), x=left - 8, y=f"{top + (at + 0.5) * cell:g}", class_="row")
        for at, name in enumerate(grid.rows)
    ]
    columns = [
        tag(
            "text",
            _cut(_column(grid, at)),
            transform=f"translate({left + (at + 0.5) * cell:g} {top - 8}) rotate(-45)",
            class_="column",
        )
        for at in range(grid.width)
    ]
    return rows + columns


def _column(grid: Grid, at: int) -> str:
    return str(grid.columns[at].prefix)


def _room(names: list[str]) -> int:
    """Return how many pixels the longest of NAMES takes; a character of the page's 13 px font is about 7 wide."""
    return 7 * max((len(_cut(name)) for name in names), default=0) + 12


def _cut(name: str) -> str:
    name = escaped(name)
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def legend(grid: Grid) -> Html:
    """Return a button for each state that occurs, to see it alone."""
    marks = shades(grid)
    shown = [
        tag(
            "button",
            tag("i", class_=marks.get(state, (state.severity,))[0], data_letter=marks.get(state, ("", ""))[1] or None),
            joined(words(state), " ", tag("b", f"{grid.count(state):,}")),
            type="button",
            aria_pressed="false",
            data_code=state.code or state.severity,
        )
        for state in grid.cells
    ]
    rest = grid.width * grid.height - sum(map(grid.count, grid.cells))
    proven = tag("span", tag("i", class_="proven"), joined("proven ", tag("b", f"{rest:,}")))
    return tag("div", *shown, proven, class_="legend", role="group", aria_label="Causes")
