"""Explains the stable codes, for ``podroutes help CODE``."""

from collections.abc import Iterator

from podroutes.model.finding import FINDINGS
from podroutes.model.problem import CODES
from podroutes.model.proof import CAUSES


def known() -> list[str]:
    """Return all codes, sorted."""
    return sorted({*CODES, *CAUSES, *FINDINGS})


def explanation(code: str) -> Iterator[str]:
    """Yield the lines that explain CODE; one section for each table that has it."""
    parts = [*_problem(code), *_cause(code), *_finding(code)]
    for number, (where, meaning, fix) in enumerate(parts):
        if number:
            yield ""
        yield f"{code}: {where}"
        yield f"  {meaning}"
        yield f"  fix: {fix}"


def _problem(code: str) -> Iterator[tuple[str, str, str]]:
    if code in CODES:
        yield "a problem of the inventory or of a route (plan, apply, agent, ...)", *CODES[code]


def _cause(code: str) -> Iterator[tuple[str, str, str]]:
    if code in CAUSES:
        yield "why packets do not arrive, or may not (verify, trace)", *CAUSES[code]


def _finding(code: str) -> Iterator[tuple[str, str, str]]:
    if code in FINDINGS:
        kind = FINDINGS[code]
        meaning = f"{kind.title}. {kind.reason}"
        yield f"a finding about a machine, {kind.severity} (doctor)", meaning, f"{kind.advice}\n  source: {kind.source}"
