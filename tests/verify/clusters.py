"""Random clusters: what was done to each, what packets do there, and where the proof says something else."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import NamedTuple

from podroutes.model.address import Address
from podroutes.model.proof import Finding
from verify.field import Field, Shape, verdict
from verify.grammar import Grammar

_PATIENT = 12  # times that a packet is sent which would make the proof wrong; the machine may be busy

Sent = list[tuple[Address, Address, bool]]


class Disagreement(NamedTuple):
    """Packets do something else than the proof says: ``wrong`` is ``false proof`` or ``false alarm``."""

    wrong: str
    pair: str
    findings: tuple[Finding, ...]
    sent: Sent


class Outcome(NamedTuple):
    """One random cluster. ``complete``: everything about it was collected. ``counts`` are pairs by verdict."""

    changes: tuple[str, ...]
    shape: Shape
    version: int
    complete: bool
    counts: Counter[str]
    disagreements: tuple[Disagreement, ...]
    unknown: tuple[str, ...] = ()  # why pairs cannot be told


def shape(random: Random) -> Shape:
    """Return a random shape: two to four nodes in one or two networks, a router mostly where it takes one."""
    names = [f"n{index}" for index in range(random.choice([2, 2, 2, 3, 3, 4]))]
    lans = {name: random.choice([(8,)] * 5 + [(9,), (9,), (8, 9)]) for name in names}
    apart = not all(set(one) & set(other) for one, other in pairwise(lans.values()))
    routed = frozenset(name for name in names if random.random() < 0.12)
    podless = frozenset(names[:1] if random.random() < 0.1 else ())
    return Shape(lans, apart or random.random() < 0.4, routed - podless, podless)


def examined(seed: int) -> Outcome:
    """Make the random cluster SEED, send packets, and compare."""
    random = Random(seed)
    made, version = shape(random), random.choice([4, 4, 6])
    with Field(made, version) as field:
        warm = random.random() < 0.4
        if warm:
            field.packets(1)
        grammar = Grammar(random, made, version, field.machines, warm=warm)
        changes = grammar.changes()
        changes += grammar.hidden(changes)
        field.do(changes, strict=False)
        return compared(field, changes)


def compared(field: Field, changes: Iterable[str]) -> Outcome:
    """Hold the proof for FIELD to its packets; those that would make it wrong are sent again and again."""
    early = field.prove() if len(field.machines) % 2 else None
    sent = field.packets()
    proof = field.prove()
    for patience in (_PATIENT, 0):
        counts, wrong, unknown = Counter[str](), list[Disagreement](), list[str]()
        for (source, target), packets in sent.items():
            findings = verdict(proof.findings, source, target)
            severities = {finding.cause.severity for finding in findings}
            said = "unreachable" if "unreachable" in severities else "cannot-tell" if severities else "proven"
            counts[said] += 1
            if said == "cannot-tell":
                unknown.append("; ".join(sorted({f"{each.cause.code} {each.cause.detail}" for each in findings})))
            before = verdict(early.findings, source, target) if early else findings
            for kind, against in {_wrong(findings, packets): findings, _wrong(before, packets): before}.items():
                if kind:
                    wrong.append(Disagreement(kind, f"{source} to {target}", tuple(against), packets))
        if not wrong or not patience:
            break
        again = field.packets(patience)
        sent = {
            pair: [
                (src, dst, one or other) for (src, dst, one), (_, _, other) in zip(sent[pair], again[pair], strict=True)
            ]
            for pair in sent
        }
    complete = not field.hidden and not field.without_sysctls
    return Outcome(tuple(changes), field.shape, field.version, complete, counts, tuple(wrong), tuple(unknown))


def _wrong(findings: list[Finding], packets: Sent) -> str:
    """Return what is wrong with FINDINGS about a pair: a proof although packets are lost, or an alarm that none bears out."""
    if not findings:
        return "" if all(came for _, _, came in packets) else "false proof"
    for finding in findings:
        if finding.cause.severity == "unreachable":
            meant = [came for src, dst, came in packets if _about(finding, src, dst)]
            if meant and all(meant):
                return "false alarm"
    return ""


def _about(finding: Finding, src: Address, dst: Address) -> bool:
    part, source = finding.cause.part, finding.cause.source
    return (part is None or part.covers(dst)) and (source is None or source.covers(src))
