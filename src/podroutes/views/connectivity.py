"""Formats the results of ``podroutes test`` as text, as a document and as JUnit XML."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

from podroutes.model.connectivity import Check, Checked
from podroutes.model.text import escaped
from podroutes.views.style import Style

_KINDS = {
    "pod-to-pod": "pod to pod",
    "pod-to-node": "pod to node",
    "node-to-pod": "node to pod",
    "pod-to-outside": "pod to outside",
}
_LISTED = 20  # failures of one kind that are listed in text


def text(checked: Checked, style: Style) -> Iterator[str]:
    """Yield a line for each kind of test with its failures, and a summary."""
    for kind, words in _KINDS.items():
        checks, failures = _of(checked, kind)
        if not checks:
            continue
        passed = f"{len(checks) - len(failures)} of {len(checks)}"
        yield f"{style('red' if failures else 'green', 'failed' if failures else 'ok'):{6}}  {words}: {passed}"
        for check in failures[:_LISTED]:
            yield f"        {_described(check)}: {checked.failures[check]}"
        if len(failures) > _LISTED:
            yield f"        … and {len(failures) - _LISTED} more: -o json lists all"
    yield ""
    untested = checked.pairs - len(checked.checks)
    if untested:
        yield f"{untested} more pairs were not tested; those that were are spread evenly over all senders."
    if not checked.checks:
        yield "Nothing to test: no pod has a partner."
    elif checked.failures:
        yield f"{len(checked.failures)} of {len(checked.checks)} tests failed."
    else:
        yield f"All {len(checked.checks)} tests passed: each datagram arrived with the right source address."


def document(lab: str, checked: Checked) -> dict[str, Any]:
    """Return the document of the results of LAB."""
    kinds = []
    for kind in _KINDS:
        checks, failures = _of(checked, kind)
        if not checks and kind == "pod-to-outside":
            continue  # few labs have an outside
        kinds.append({"kind": kind, "tests": len(checks), "failures": len(failures)})
    return {
        "lab": lab,
        "passed": not checked.failures and bool(checked.checks),
        "tests": len(checked.checks),
        "untested": checked.pairs - len(checked.checks),
        "kinds": kinds,
        "failures": [
            {
                "kind": check.kind,
                "source": check.source,
                "source_address": str(check.source_address),
                "destination": check.destination,
                "address": str(check.address),
                "reason": reason,
            }
            for check, reason in checked.failures.items()
        ],
    }


def junit(lab: str, checked: Checked) -> Iterator[str]:
    """Yield the lines of the results of LAB as JUnit XML: one suite for each kind, one case for each test."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    name = quoteattr(f"podroutes test, lab {lab}")
    yield f'<testsuites name={name} tests="{len(checked.checks)}" failures="{len(checked.failures)}">'
    for kind in _KINDS:
        checks, failures = _of(checked, kind)
        if not checks:
            continue
        yield f'  <testsuite name="{kind}" tests="{len(checks)}" failures="{len(failures)}">'
        for check in checks:
            case = f'    <testcase classname="{kind}" name={quoteattr(_described(check))}'
            reason = checked.failures.get(check)
            yield f"{case}><failure message={quoteattr(reason)}/></testcase>" if reason else f"{case}/>"
        yield "  </testsuite>"
    yield "</testsuites>"


def _of(checked: Checked, kind: str) -> tuple[list[Check], list[Check]]:
    """Return the tests of KIND, and those of them that failed."""
    checks = [check for check in checked.checks if check.kind == kind]
    return checks, [check for check in checks if check in checked.failures]


def _described(check: Check) -> str:
    """Return the two ends of a test: ``pod on worker-0 → pod on worker-1 (10.200.1.2)``."""
    sender, receiver = check.kind.split("-to-")
    ends = [
        f"pod on {escaped(node)}" if end == "pod" else escaped(node)
        for end, node in ((sender, check.source), (receiver, check.destination))
    ]
    return f"{ends[0]} → {ends[1]} ({check.address})"
