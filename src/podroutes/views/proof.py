"""Formats a proof or its findings as text and as a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from podroutes.model.problem import Problem
from podroutes.model.proof import CAUSES, Cause, Finding, Proof
from podroutes.model.text import escaped, listing
from podroutes.views import iproute, plan_json
from podroutes.views.style import Style

_COLOURS = {"unreachable": "red", "cannot-tell": "yellow", "warning": "yellow"}
_ALIKE = 3  # up to so many findings of one code are all shown; of more only the first
_ABOUT_NODES = {"tables-not-seen", "sysctls-not-seen"}  # findings that affect a node as source and destination


def sentence(finding: Finding) -> str:
    """Return one finding as a sentence: ``worker-2 has no route to 10.200.1.0/24; it leaves by the default route to …``."""
    cause = finding.cause
    node, detail = escaped(cause.node), escaped(cause.detail)
    whole = listing(list(dict.fromkeys(str(dst) for block in finding.blocks for dst in block.destinations)))
    what = f"{cause.part} of {whole}" if cause.part else whole
    line = f"`{iproute.line(cause.route)}`" if cause.route else "no route"
    senders = (
        str(cause.source)
        if cause.source
        else listing(list(dict.fromkeys(escaped(name) for block in finding.blocks for name in block.sources)))
    )
    return {
        "asymmetric-path": f"{node} gets packets for {what} by {detail}, and answers by another device",
        "bridge-port": f"{node} cannot deliver {what}: {detail} is a port of a bridge, which takes the answers of next hops",
        "cannot-tell": f"{node}: what becomes of {what} cannot be told: {detail}",
        "detour": f"{node} sends {what} round by {detail}: {line}",
        "forwarding-off": f"{node} does not forward what comes in by {detail}, so {what} is cut off",
        "link-down": f"{node} cannot deliver {what}: {detail} is down or has no carrier",
        "martian-source": f"{node} drops packets of {senders} for {what} that come in by {detail}: it has their source address itself",
        "no-neighbour": f"{node} cannot deliver {what}: {detail}",
        "no-pod-device": f"{node} has no device for its own pods: {_leaves(cause) if cause.severity == 'unreachable' or cause.route else detail}",
        "no-route": f"{node} has no route to {what}; {_leaves(cause)}",
        "reverse-path": f"{node} drops packets of {senders} for {what} that come in by {detail}: it would answer by another device (rp_filter)",
        "route-refuses": f"{node} refuses {what}: {line if cause.route else 'a policy rule says ' + detail}",
        "rule-takes-pods": f"{node} sends {what} elsewhere than its main table would: {detail}"
        + (f": {line}" if cause.route else ""),
        "routing-loop": f"{node} sends {what} round in a circle: {line}",
        "stolen-part": f"{node} has a more specific route for {what}: {line} "
        + (f"takes it to {detail}" if cause.route and cause.route.next_hops else "refuses it"),
        "sysctls-not-seen": f"it was not collected whether packets are forwarded by {detail or node}",
        "tables-not-seen": f"the tables of {detail} were not collected, so that nothing is known of what goes there or comes from there",
        "taken-locally": f"{node}, which owns {what}, takes its packets for itself: {line}",
        "unknown-gateway": f"{node} hands {what} to {detail}, which is not a node and whose tables have not been seen",
        "wrong-next-hop": f"{node} sends {what} to {detail}, which does not own it: {line}",
        "wrong-pod-device": f"{node} sends packets for its own {what} to {detail}, and not to the device that its pods are behind: {line}"
        if cause.severity == "unreachable"
        else f"{node} has its pod CIDR on several devices, and which one its pods are behind is not known: {detail}",
        "wrong-node": f"{node} puts {what} on {detail}, where nobody answers for it: {line}"
        if cause.route and cause.route.kind == "unicast"
        else f"{node} takes {what} for its own: {line}",
    }[cause.code]


def _leaves(cause: Cause) -> str:
    if cause.route is None:
        return "nothing else covers it"
    which = "the default route" if not cause.route.dst.length else f"the route to {cause.route.dst}"
    return (
        f"it is refused by {which}" if not cause.route.next_hops else f"it leaves by {which} to {escaped(cause.detail)}"
    )


def text(proof: Proof, style: Style) -> Iterator[str]:
    """Yield the verdict, the findings with their fixes (of many equal ones the first), and the verdict again."""
    said = verdict(proof, style)
    yield said
    by_code: dict[tuple[str, str], list[Finding]] = {}
    for finding in proof.findings:
        by_code.setdefault((finding.cause.severity, finding.cause.code), []).append(finding)
    for (severity, code), those in by_code.items():
        yield from _alike(severity, code, those, style)
    if proof.unseen:
        yield f"not seen: collect the tables of {listing([escaped(name) for name in proof.unseen])} into the directory of --tables DIR"
    if proof.findings:
        yield said
    if proof.proven:
        yield ASSUMED


def _alike(severity: str, code: str, those: Sequence[Finding], style: Style) -> Iterator[str]:
    """Yield the findings of one code, of many the first, each with its remedy."""
    shown = those if len(those) <= _ALIKE else those[:1]
    for finding in shown:
        yield f"{style(_COLOURS[severity], severity)} {style('bold', code)}: {sentence(finding)}"
        sources = list(dict.fromkeys(escaped(name) for block in finding.blocks for name in block.sources))
        if sources != [escaped(finding.cause.node)] and code not in _ABOUT_NODES:
            yield f"  from: {listing(sources)}"
        if finding.remedy:
            yield f"  fix: {finding.fix}"
    if len(those) > len(shown):
        nodes = list(dict.fromkeys(escaped(finding.cause.node) for finding in those))
        yield f"  the same on {_count(len(nodes), 'node')}: {listing(nodes)}; -o json lists all {len(those)} findings"
    if not all(finding.remedy for finding in shown):
        yield f"  fix: {CAUSES[code][1]}"


ASSUMED = (
    "taken for granted: one subnet is one wire, and no packet filter is in the way; `verify --probe` sends real packets"
)


def verdict(proof: Proof, style: Style) -> str:
    """Return the verdict of a proof in one line."""
    nodes = len(proof.sources) + len(proof.unseen)
    counts = f"{_count(nodes, 'node')}, {_count(proof.pod_cidrs, 'pod CIDR')}, {_count(proof.pairs, 'pair')}"
    if not proof.pairs:
        return f"{style('red', 'nothing to prove')}: {counts}: no node has to reach the podCIDR of another one"
    if not proof.proven:
        failed = [
            f"{count:,} {one if count == 1 else several}"
            for severity, one, several in (
                ("unreachable", "fails", "fail"),
                ("cannot-tell", "cannot be told", "cannot be told"),
            )
            if (count := proof.count(severity))
        ]
        return f"{style('red', 'not proven')}: {counts}; {', '.join(failed)}"
    return f"{style('green', 'proven')}: {counts}: every pod CIDR is reachable from every node"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def document(proof: Proof, problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the stable JSON document. ``blocks`` of a finding stand for all pairs of their sources and destinations."""
    return {
        "proven": proof.proven and not any(problem.severity == "error" for problem in problems),
        "nodes": len(proof.sources) + len(proof.unseen),
        "pod_cidrs": proof.pod_cidrs,
        "pairs": proof.pairs,
        "unreachable": proof.count("unreachable"),
        "cannot_tell": proof.count("cannot-tell"),
        "not_seen": list(proof.unseen),
        "findings": [_finding(finding) for finding in proof.findings],
        "problems": [plan_json.problem(problem) for problem in problems],
        "assumed": ["one subnet is one wire", "no packet filter is in the way"],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    cause = finding.cause
    return {
        "severity": cause.severity,
        "code": cause.code,
        "node": cause.node,
        "part": str(cause.part) if cause.part else None,
        "source_part": str(cause.source) if cause.source else None,
        "route": iproute.line(cause.route) if cause.route else None,
        "detail": cause.detail or None,
        "message": sentence(finding),
        "fix": finding.fix,
        "pairs": finding.pairs,
        "blocks": [
            {"sources": list(block.sources), "destinations": list(map(str, block.destinations))}
            for block in finding.blocks
        ],
    }
