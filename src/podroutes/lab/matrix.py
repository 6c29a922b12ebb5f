"""Formats the results of a ping of all pairs, as text and as a document."""

from typing import Any

from podroutes.lab.pinging import Pinged
from podroutes.model.text import escaped
from podroutes.views.style import Style

_WIDEST = 12  # the largest number of machines whose matrix fits a terminal
_LISTED = 20  # failing pairs that are listed without a matrix
_WORKS, _FAILS, _SELF = "✓", "✗", "·"
COLOURS = {_WORKS: "green", _FAILS: "red", _SELF: "dim"}


def text(pinged: Pinged, style: Style, what: str = "packets") -> list[str]:
    """Return lines: a matrix of all pairs if it fits, then the verdict and the reasons of failures.

    WHAT is a noun for what was sent.
    """
    lines = []
    if len(pinged.machines) <= _WIDEST:
        for version in sorted({pair.target.version for pair in pinged.pairs}):
            lines += [*_matrix(pinged, version, style), ""]
    if not pinged.pairs:
        return ["nothing to ask: no pod has another machine to talk to"]
    failures = pinged.failures
    if not failures:
        return [*lines, f"all {len(pinged.pairs)} {what} arrived and were answered"]
    lines.append(f"{len(failures)} of {len(pinged.pairs)} {what} were not answered:")
    if len(pinged.machines) <= _WIDEST:
        return [*lines, *_reasons(pinged)]
    for pair, why in list(failures.items())[:_LISTED]:
        lines.append(f"  {_place(pinged, pair.source)} → {escaped(pair.destination)} ({pair.target}): {why}")
    if len(failures) > _LISTED:
        lines.append(f"  … and {len(failures) - _LISTED} more: -o json lists all")
    return lines


def document(pinged: Pinged) -> dict[str, Any]:
    """Return the document for ``-o json``: the number of pairs, how many answered, and each failed pair with its reason."""
    return {
        "pairs": len(pinged.pairs),
        "answered": len(pinged.pairs) - len(pinged.failures),
        "failures": [
            {"source": pair.source, "destination": pair.destination, "address": str(pair.target), "reason": why}
            for pair, why in pinged.failures.items()
        ],
    }


def _matrix(pinged: Pinged, version: int, style: Style) -> list[str]:
    verdicts: dict[tuple[str, str], bool] = {}
    for pair, why in pinged.pairs.items():
        if pair.target.version == version:
            key = (pair.source, pair.destination)
            verdicts[key] = verdicts.get(key, True) and not why
    sources = [name for name in pinged.machines if any(source == name for source, _ in verdicts)]
    targets = [name for name in pinged.machines if any(target == name for _, target in verdicts)]
    first = max(len(_place(pinged, name)) for name in sources)
    lines = [f"{f'IPv{version}':{first}}  " + "  ".join(targets)]
    for source in sources:
        marks = [
            _SELF if source == target else _WORKS if verdicts.get((source, target)) else _FAILS for target in targets
        ]
        # Coloured after padding: escape sequences have no width.
        cells = "  ".join(
            mark.center(len(target)).replace(mark, style(COLOURS[mark], mark))
            for mark, target in zip(marks, targets, strict=True)
        )
        lines.append(f"{_place(pinged, source):{first}}  {cells}".rstrip())
    return lines


def _reasons(pinged: Pinged) -> list[str]:
    """Group failures by reason, since one cause usually breaks many pairs; the matrix shows which."""
    grouped: dict[str, list[str]] = {}
    for pair, why in pinged.failures.items():
        grouped.setdefault(why, []).append(f"{_place(pinged, pair.source)} → {pair.target}")
    return [
        f"  {why}: {pairs[0]}" + (f" and {len(pairs) - 1} more" if len(pairs) > 1 else "")
        for why, pairs in grouped.items()
    ]


def _place(pinged: Pinged, name: str) -> str:
    """Return the sender of the machine NAME: its pod, or itself."""
    return escaped(name) if name in pinged.podless else f"pod on {escaped(name)}"
