"""Formats findings as text and as a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from podroutes.model.finding import Finding, Repaired
from podroutes.model.text import escaped
from podroutes.views.style import Style

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_FIXES = 5  # commands shown; another program may have a thousand routes


def text(findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """Yield each finding: the cause, the evidence, the commands, the documentation."""
    for finding in findings:
        kind = finding.kind
        yield f"{style(_COLOURS[kind.severity], kind.severity)} {style('bold', finding.code)}: {escaped(finding.cause)}"
        for line in finding.evidence:
            yield style("dim", f"  found: {escaped(line)}")
        for command in finding.fix[:_FIXES]:
            yield f"  fix:   {escaped(command)}"
        if len(finding.fix) > _FIXES:
            yield f"  fix:   … and {len(finding.fix) - _FIXES} more; -o json lists them all"
        if not finding.fix:
            yield f"  fix:   {kind.advice}"
        yield style("dim", f"  see:   {finding.documentation}")


def repaired(done: Sequence[Repaired], style: Style) -> Iterator[str]:
    """Yield the repairs that were made, and those that failed."""
    for repair in done:
        what = f"{style('bold', repair.code)}: {escaped(repair.repair.name)} = {repair.repair.value}"
        if repair.error:
            yield f"{style('red', 'not fixed')} {what}: {repair.error}"
        else:
            yield f"{style('green', 'fixed')} {what} until the next boot; to keep it, write it into /etc/sysctl.d/"


def verdict(findings: Sequence[Finding], unexamined: Sequence[str], name: str, style: Style) -> Iterator[str]:
    """Yield what was not examined, then a summary."""
    yield from unexamined_lines(unexamined, style)
    severities = [finding.kind.severity for finding in findings]
    counts = [(severities.count(severity), severity) for severity in _COLOURS if severity in severities]
    if not counts:
        yield f"{escaped(name)}: nothing found that would stop pod traffic."
    else:
        words = {"info": "for information"}
        yield (
            f"{escaped(name)}: "
            + ", ".join(f"{count} {words.get(each, each + 's' * (count != 1))}" for count, each in counts)
            + "."
        )


def unexamined_lines(unexamined: Sequence[str], style: Style) -> Iterator[str]:
    """Yield what was not examined."""
    for line in unexamined:
        yield style("dim", f"not examined: {escaped(line)}")


def document(
    findings: Sequence[Finding], unexamined: Sequence[str], name: str | None, done: Sequence[Repaired] | None
) -> dict[str, Any]:
    """Return the document. NAME is null without an inventory; ``repaired`` is present if repairs were requested."""
    shown: dict[str, Any] = {
        "node": name,
        "healthy": not grave(findings),
        "findings": [
            {
                "code": finding.code,
                "severity": finding.kind.severity,
                "cause": finding.cause,
                "evidence": list(finding.evidence),
                "fix": list(finding.fix),
                "advice": finding.kind.advice,
                "documentation": finding.documentation,
            }
            for finding in findings
        ],
        "unexamined": list(unexamined),
    }
    if done is not None:
        shown["repaired"] = [
            {
                "code": repair.code,
                "sysctl": repair.repair.name,
                "value": repair.repair.value,
                "done": not repair.error,
                **({"error": repair.error} if repair.error else {}),
            }
            for repair in done
        ]
    return shown


def grave(findings: Sequence[Finding]) -> bool:
    """Whether any finding is more than information."""
    return any(finding.kind.severity != "info" for finding in findings)
