"""The README's chart, as SVG: bars on a logarithmic scale, in light and dark."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench import engine
from bench.pairing import Result

_PANELS = (
    (engine.FULL, "10,000 routes into an empty table"),
    (engine.NOTHING, "10,000 routes checked, nothing to change"),
    (engine.ALL, "10,000 next hops moved"),
)
_ROUTES = 10_000
_LEFT_OUT = {engine.PLAIN}
_WIDTH, _NAMES, _VALUES, _BAR, _PITCH = 900, 340, 110, 16, 24
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .note { font-size: 11px; fill: #656d76 }
  .peer { fill: #8c959f } .ours { fill: #1a7f37 } .floor { fill: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #8d96a0 }
    .peer { fill: #6e7681 } .ours { fill: #3fb950 } .floor { fill: #373e47 }
  }
"""


def write(path: Path, results: Sequence[Result], machine: dict[str, str]) -> bool:
    """Draw the contests at 10,000 routes into PATH; False when RESULTS have none of them."""
    found = {result["operation"]: result for result in results if result["routes"] == _ROUTES}
    panels = [(found[operation], title) for operation, title in _PANELS if operation in found]
    if not panels:
        return False
    body: list[str] = []
    y = 8
    for result, title in panels:
        drawn, y = _panel(result, title, y)
        body += drawn
    note = f"Medians in milliseconds, logarithmic. {machine['kernel']}, {machine['cpu']}, {machine['cores']} cores, "
    note += f"Python {machine['python']}, iproute2 {machine['iproute2']}. Made by ./dev bench."
    body.append(f'<text class="note" x="8" y="{y + 8}">{escape(note)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 20}" role="img"'
    label = "podroutes beside ip, pyroute2, BIRD and FRR: time to write, check and change 10,000 routes"
    lines = [f'{head} aria-label="{label}">', f"<style>{_STYLE}</style>", *body, "</svg>", ""]
    path.write_text("\n".join(lines))
    return True


def _panel(result: Result, title: str, y: int) -> tuple[list[str], int]:
    rows = [each for each in result["contestants"] if each["median_ms"] and each["name"] not in _LEFT_OUT]
    rows.sort(key=lambda each: each["median_ms"])
    lines = [f'<text class="title" x="8" y="{y + 14}">{escape(title)}</text>']
    return [*lines, *_bars(rows, y + 24)], y + 24 + len(rows) * _PITCH + 14


def _bars(rows: Sequence[Result], y: int) -> Iterator[str]:
    low = math.floor(math.log10(min(each["median_ms"] for each in rows)))  # bars begin at a power of ten
    span = math.log10(max(each["median_ms"] for each in rows)) - low
    for each in rows:
        name, value = each["name"], each["median_ms"]
        kind = {engine.OURS: "ours", engine.FLOOR: "floor"}.get(name, "peer")
        width = (math.log10(value) - low) / span * (_WIDTH - _NAMES - _VALUES)
        number = f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
        yield f'<text x="{_NAMES - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{kind}" x="{_NAMES}" y="{y}" width="{max(width, 2):.1f}" height="{_BAR}" rx="2"/>'
        yield f'<text x="{_NAMES + width + 8:.1f}" y="{y + 13}">{number}</text>'
        y += _PITCH
