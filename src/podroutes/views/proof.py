"""A proof, or what stands against it, for people and for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from podroutes.model.problem import Problem
from podroutes.model.proof import CAUSES, Cause, Finding, Proof
from podroutes.model.text import escaped, listing
from podroutes.views import data, iproute
from podroutes.views.style import Style

_COLOURS = {"unreachable": "red", "cannot-tell": "yellow", "warning": "yellow"}
_ALIKE = 8  # findings of one code shown in full


def sentence(finding: Finding) -> str:
    """Return one finding as a sentence: ``worker-2 has no route to 10.200.1.0/24; it leaves by the default route to …``."""
    cause = finding.cause
    node, detail = escaped(cause.node), escaped(cause.detail)
    whole = listing(list(dict.fromkeys(str(dst) for block in finding.blocks for dst in block.destinations)))
    what = f"{cause.part} of {whole}" if cause.part else whole
    line = f"`{iproute.line(cause.route)}`" if cause.route else "no route"
    return {
        "asymmetric-path": f"{node} gets packets for {what} by {detail}, and answers by another device",
        "cannot-tell": f"{node}: what becomes of {what} cannot be told: {detail}",
        "detour": f"{node} sends {what} round by {detail}: {line}",
        "forwarding-off": f"{node} does not forward what comes in by {detail}, so {what} is cut off",
        "link-down": f"{node} cannot deliver {what}: {detail} is down or has no carrier",
        "martian-source": f"{node} drops packets for {what} that come in by {detail}: their source is an address of its own",
        "no-pod-device": f"{node} has no route to its own {what}; {_leaves(cause)}",
        "no-route": f"{node} has no route to {what}; {_leaves(cause)}",
        "reverse-path": f"{node} drops packets for {what} that come in by {detail}: it would answer by another device (rp_filter)",
        "route-refuses": f"{node} refuses {what}: {line if cause.route else 'a policy rule says ' + detail}",
        "routing-loop": f"{node} sends {what} round in a circle: {line}",
        "stolen-part": f"{node} has a more specific route for {what}: {line} "
        + (f"takes it to {detail}" if cause.route and cause.route.next_hops else "refuses it"),
        "tables-not-seen": f"{node} hands {what} to {detail}, whose tables have not been seen",
        "unknown-gateway": f"{node} hands {what} to {detail}, which is no node and whose tables have not been seen",
        "wrong-next-hop": f"{node} sends {what} to {detail}, which does not own it: {line}",
        "wrong-node": f"{node} takes {what} for its own: {line}",
    }[cause.code]


def _leaves(cause: Cause) -> str:
    if cause.route is None:
        return "nothing else covers it"
    which = "the default route" if not cause.route.dst.length else f"the route to {cause.route.dst}"
    return (
        f"it is refused by {which}" if not cause.route.next_hops else f"it leaves by {which} to {escaped(cause.detail)}"
    )


def text(proof: Proof, style: Style) -> Iterator[str]:
    """Yield every finding with its fix, then the verdict."""
    seen: dict[str, int] = {}
    for finding in proof.findings:
        cause = finding.cause
        seen[cause.code] = seen.get(cause.code, 0) + 1
        if seen[cause.code] <= _ALIKE:
            yield f"{style(_COLOURS[cause.severity], cause.severity)} {style('bold', cause.code)}: {sentence(finding)}"
            sources = list(dict.fromkeys(escaped(name) for block in finding.blocks for name in block.sources))
            if sources != [escaped(cause.node)]:
                yield f"  from: {listing(sources)}"
            yield f"  fix: {CAUSES[cause.code][1]}"
    for code, count in seen.items():
        if count > _ALIKE:
            yield f"… and {count - _ALIKE} more of {style('bold', code)}; -o json lists them all"
    yield verdict(proof, style)
    if proof.unseen:
        yield f"not seen: the tables of {listing([escaped(name) for name in proof.unseen])}; collect them into a directory for --tables DIR"


def verdict(proof: Proof, style: Style) -> str:
    """Return what a proof comes to, in one line."""
    counts = (
        f"{_count(len(proof.sources), 'node')}, {_count(proof.pod_cidrs, 'pod CIDR')}, {_count(proof.pairs, 'pair')}"
    )
    if not proof.pairs:
        return f"{style('red', 'nothing to prove')}: {counts}: no node has to reach the podCIDR of another one"
    if not proof.proven:
        failed = [
            f"{count} {one if count == 1 else several}"
            for severity, one, several in (
                ("unreachable", "fails", "fail"),
                ("cannot-tell", "cannot be told", "cannot be told"),
            )
            if (count := _pairs(proof.of(severity)))
        ]
        return f"{style('red', 'not proven')}: {counts}; {', '.join(failed)}"
    if proof.unseen:
        return f"{style('green', 'proven')} for {listing([escaped(name) for name in proof.sources])} alone: every packet to a pod CIDR is handed to its owner ({counts})"
    return f"{style('green', 'proven')}: {counts}: every pod CIDR is reachable from every node"


def _pairs(findings: Sequence[Finding]) -> int:
    return sum(finding.pairs for finding in findings)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def document(proof: Proof, problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the stable JSON shape; ``blocks`` of a finding stand for every pair of its sources and destinations."""
    return {
        "proven": proof.proven and not any(problem.severity == "error" for problem in problems),
        "nodes": len(proof.sources),
        "pod_cidrs": proof.pod_cidrs,
        "pairs": proof.pairs,
        "unreachable": _pairs(proof.of("unreachable")),
        "cannot_tell": _pairs(proof.of("cannot-tell")),
        "not_seen": list(proof.unseen),
        "findings": [_finding(finding) for finding in proof.findings],
        "problems": [data.problem(problem) for problem in problems],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    cause = finding.cause
    return {
        "severity": cause.severity,
        "code": cause.code,
        "node": cause.node,
        "part": str(cause.part) if cause.part else None,
        "route": iproute.line(cause.route) if cause.route else None,
        "detail": cause.detail or None,
        "message": sentence(finding),
        "fix": CAUSES[cause.code][1],
        "pairs": finding.pairs,
        "blocks": [
            {"sources": list(block.sources), "destinations": list(map(str, block.destinations))}
            for block in finding.blocks
        ],
    }
