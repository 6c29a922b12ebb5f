"""One packet's way, hop by hop."""

from collections.abc import Iterator
from typing import Any

from podroutes.model.address import BITS, network
from podroutes.model.forwarding_path import End, Hop
from podroutes.model.host import DEFAULT, LOCAL, Rule
from podroutes.model.proof import Block, Finding, Trace
from podroutes.model.route import MAIN
from podroutes.model.text import escaped
from podroutes.views import iproute
from podroutes.views.proof import sentence
from podroutes.views.style import Style

_TABLES = {LOCAL: "local", MAIN: "main", DEFAULT: "default"}
_FATES = {
    "local": "takes it",
    "on-link": "puts it on {}",
    "refused": "refuses it ({})",
    "forwarding-off": "does not forward what comes in by {}",
    "forwarding-unknown": "forwards what comes in by {}, or not: that was not collected",
    "reverse-path": "drops it: it would answer by another device than {} (rp_filter)",
    "asymmetric": "may drop it: it would answer by another device than {}, and its rp_filter was not collected",
    "martian-source": "drops it: its source is an address of its own",
    "link-down": "cannot send it: {} is down or has no carrier",
    "bridge-port": "cannot send it: {} is a port of a bridge, which takes the answers",
    "no-neighbour": "cannot send it: {}",
    "bridge-port-remembered": "may not be able to send it: {} is a port of a bridge, which takes the answers",
    "remembered": "may not be able to send it: {}",
    "loop": "sends it back to {}, where it was before",
    "left": "hands it to {}, whose tables are not known",
    "unseen": "hands it to {}, whose tables have not been seen",
    "unknown": "does what cannot be told: {}",
}
_SAID = {"unreachable": "not delivered", "cannot-tell": "cannot tell"}


def text(trace: Trace, style: Style) -> Iterator[str]:
    """Yield ``1 worker-0  10.200.1.5: rule 32766 lookup main, 10.200.1.0/24 via …`` for each hop, then what becomes of it."""
    depths: list[int] = []
    wide = max(len(escaped(hop.host)) for hop in trace.forwarding_path.hops)
    for index, hop in enumerate(trace.forwarding_path.hops):
        depths.append(depths[hop.before] + 1 if hop.before >= 0 else 1)
        yield f"{depths[index]} {style('bold', escaped(hop.host).ljust(wide))}  {trace.flow.dst}: {decided(hop)}"
        for end in trace.forwarding_path.ends:
            if end.hop == index:
                yield f"{'':{wide + 4}}{_end(end)}"
        for join in trace.forwarding_path.joins:
            if join.hop == index:
                yield f"{'':{wide + 4}}hands it to {escaped(trace.forwarding_path.hops[join.into].host)}, where it goes on as above"
    if trace.cause is None:
        yield style("green", "delivered")
    else:
        verdict = "delivered, by a detour" if trace.delivered else _SAID[trace.cause.severity]
        yield f"{style('green' if trace.delivered else 'red', verdict)}: {_why(trace)}"
        yield f"  fix: {trace.fix}"


def decided(hop: Hop) -> str:
    """Return the rule and the route that decide at HOP."""
    decision = hop.decision
    by = (
        f"rule {_rule(decision.rule)}"
        if decision.rule
        else "no policy rule"
        if decision.route is None
        else "table main"
    )
    if decision.route:
        return f"{by}, {iproute.line(decision.route)}"
    return by if decision.rule else "no route"


def _rule(rule: Rule) -> str:
    words = [str(rule.priority), "not" if rule.inverted else ""]
    words += [f"from {rule.src}" if rule.src else "", f"to {rule.dst}" if rule.dst else ""]
    words += [
        f"iif {escaped(rule.iif)}" if rule.iif else "",
        f"fwmark {rule.mark:#x}/{rule.mask:#x}" if rule.mask else "",
    ]
    words += [f"tos {rule.tos:#x}" if rule.tos else "", rule.action]
    words += [_TABLES.get(rule.table, str(rule.table))] if rule.action == "lookup" else []
    return " ".join(filter(None, words))


def _end(end: End) -> str:
    return _FATES[end.fate].format(escaped(end.detail))


def _why(trace: Trace) -> str:
    if trace.cause is None:
        return ""
    dst = network(trace.flow.dst, BITS[trace.flow.dst.version])
    return sentence(Finding(trace.cause._replace(part=None), (Block((trace.start,), (dst,)),)))


def document(trace: Trace) -> dict[str, Any]:
    """Return the stable JSON shape; ``before`` is the place of the hop that a packet comes from, null for the first.

    A branch that comes to a hop where another one has been ends there, with the fate ``joins``.
    """
    ends = [{"hop": end.hop, "fate": end.fate, "detail": end.detail or None} for end in trace.forwarding_path.ends]
    hops = trace.forwarding_path.hops
    joins = [{"hop": join.hop, "fate": "joins", "detail": hops[join.into].host} for join in trace.forwarding_path.joins]
    return {
        "src": str(trace.flow.src),
        "dst": str(trace.flow.dst),
        "delivered": trace.delivered,
        "verdict": "proven" if trace.delivered or trace.cause is None else trace.cause.severity,
        "hops": [
            {
                "host": hop.host,
                "iif": hop.iif,
                "rule": _rule(hop.decision.rule) if hop.decision.rule else None,
                "route": iproute.line(hop.decision.route) if hop.decision.route else None,
                "kind": hop.decision.kind,
                "before": hop.before if hop.before >= 0 else None,
            }
            for hop in trace.forwarding_path.hops
        ],
        "ends": [*ends, *joins],
        "cause": trace.cause
        and {
            "severity": trace.cause.severity,
            "code": trace.cause.code,
            "node": trace.cause.node,
            "message": _why(trace),
            "fix": trace.fix,
        },
    }
