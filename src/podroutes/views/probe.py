"""What real packets found, as a matrix, and where it is not what the proof says."""

from collections.abc import Iterator, Sequence
from typing import Any

from podroutes.model.finding import Examined
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.text import escaped, listing
from podroutes.views import doctor as doctor_view
from podroutes.views.style import Style

_WIDEST = 12  # machines up to which a matrix fits a terminal
_LISTED = 20  # failures that are listed one by one


def text(
    results: Sequence[Probed],
    disagreements: Sequence[Disagreement],
    examined: Sequence[Examined],
    possible: int,
    style: Style,
) -> Iterator[str]:
    """Yield the matrix where it fits, what was not answered, path MTUs, disagreements and what the doctor says, and the sum."""
    for version in (4, 6):
        yield from _matrix([result for result in results if result.target.version == version], version, style)
    lost = [result for result in results if result.lost]
    for route in lost[:_LISTED]:
        yield f"{style('red', 'lost')} {_pair(route)}: {route.error}"
    if len(lost) > _LISTED:
        yield f"… and {len(lost) - _LISTED} more; -o json lists them all"
    yield from _mtus(results)
    for difference in disagreements[:_LISTED]:
        yield f"{style('yellow', 'disagreement')} {_pair(difference.probed)}: {_difference(difference)}"
    if len(disagreements) > _LISTED:
        yield f"… and {len(disagreements) - _LISTED} more; -o json lists them all"
    yield from _doctor(disagreements, examined, style)
    yield from _not_tested(results)
    asked = [result for result in results if result.asked]
    sent, received = sum(result.sent for result in asked), sum(result.received for result in asked)
    summary = f"{len(asked) - len(lost)} of {len(asked)} pairs answered, {received} of {sent} packets"
    left = f"; {possible - len(asked)} of {possible} pairs were not asked" if possible > len(asked) else ""
    yield f"probe: {summary}{left}"


def _not_tested(results: Sequence[Probed]) -> Iterator[str]:
    """Yield where nobody but the node itself answered: its forwarding and its pods were not tested."""
    nodes = list(dict.fromkeys(escaped(result.node) for result in results if result.answered and not result.pod))
    if nodes:
        named = listing(nodes) if len(nodes) <= _WIDEST else f"{len(nodes)} nodes"
        yield f"forwarding not tested: of {named} no pod is known, and the node itself answered; name one with --pod, or use --kubernetes"


def _pair(probed: Probed) -> str:
    return f"{escaped(probed.source)} → {escaped(probed.node)} ({probed.target})"


def _difference(difference: Disagreement) -> str:
    if difference.proven:
        return f"the tables lead there and back, but packets get {difference.probed.error}"
    return "the tables do not lead there and back, but packets are answered: somebody else has the address, or the tables have changed"


def _doctor(disagreements: Sequence[Disagreement], examined: Sequence[Examined], style: Style) -> Iterator[str]:
    """Yield what examining the machines at both ends has found, and whose were not examined."""
    for each in examined:
        yield f"the doctor on {escaped(each.node)}:" + ("" if each.findings else " nothing found")
        yield from (f"  {line}" for line in doctor_view.text(each.findings, style))
        yield from (f"  {line}" for line in doctor_view.unexamined_lines(each.unexamined, style))
    ends = dict.fromkeys(
        end for disagreement in disagreements for end in (disagreement.probed.source, disagreement.probed.node)
    )
    if others := [escaped(name) for name in ends if name not in {each.node for each in examined}]:
        yield f"ask `podroutes doctor` on {listing(others)} as well"


def _matrix(results: Sequence[Probed], version: int, style: Style) -> Iterator[str]:
    """Yield a row a source, a column a node: the mean time in ms, or the loss."""
    sources = list(dict.fromkeys(result.source for result in results))
    asked = {result.node for result in results}
    nodes = [name for name in dict.fromkeys([*sources, *(result.node for result in results)]) if name in asked]
    if not results or len(nodes) > _WIDEST or len(sources) > _WIDEST:
        return
    cells = {(result.source, result.node): result for result in results}
    wide = max(len(escaped(name)) for name in [*sources, f"IPv{version}"])
    yield f"{f'IPv{version}':{wide}}  " + "  ".join(f"{escaped(node):>9}" for node in nodes)
    for source in sources:
        yield f"{escaped(source):{wide}}  " + "  ".join(
            _cell(cells.get((source, node)), style, max(9, len(escaped(node)))) for node in nodes
        )


def _cell(probed: Probed | None, style: Style, wide: int) -> str:
    if probed is None:
        return f"{'·':>{wide}}"
    if not probed.asked:
        return f"{'not asked':>{wide}}"
    if not probed.answered:
        return style("red", f"{'lost':>{wide}}")
    if probed.received < probed.sent and probed.how == "icmp":
        return style("yellow", f"{f'{100 - 100 * probed.received // probed.sent}% lost':>{wide}}")
    return f"{f'{probed.mean:.2f} ms':>{wide}}"


def _mtus(results: Sequence[Probed]) -> Iterator[str]:
    """Yield the path MTU, one line for all pairs that have the same."""
    by_mtu: dict[int, list[str]] = {}
    for result in results:
        if result.mtu is not None:
            by_mtu.setdefault(result.mtu, []).append(_pair(result))
    measured = sum(map(len, by_mtu.values()))
    answered = sum(result.answered for result in results)
    every = "every pair" if measured == answered else f"all {measured} of {answered} pairs for which there was time"
    for mtu, pairs in sorted(by_mtu.items(), reverse=True):
        some = listing(pairs) if len(pairs) <= _LISTED else f"{len(pairs)} pairs"
        yield f"path MTU {mtu}: {every if len(by_mtu) == 1 else some}"


def document(
    results: Sequence[Probed], disagreements: Sequence[Disagreement], examined: Sequence[Examined], possible: int
) -> dict[str, Any]:
    """Return the stable JSON shape; times are in milliseconds."""
    return {
        "pairs": possible,
        "asked": sum(result.asked for result in results),
        "lost": sum(result.lost for result in results),
        "results": [
            {
                "source": result.source,
                "node": result.node,
                "address": str(result.target),
                "pod": result.pod,
                "sent": result.sent,
                "received": result.received,
                "loss": round(1 - result.received / result.sent, 3) if result.sent else None,
                "fastest_ms": round(result.fastest, 3) if result.answered else None,
                "mean_ms": round(result.mean, 3) if result.answered else None,
                "mtu": result.mtu,
                "how": result.how,
                "error": result.error or None,
            }
            for result in results
        ],
        "disagreements": [
            {
                "source": disagreement.probed.source,
                "address": str(disagreement.probed.target),
                "proven": disagreement.proven,
                "answered": disagreement.probed.answered,
            }
            for disagreement in disagreements
        ],
        "doctor": [doctor_view.document(each.findings, each.unexamined, each.node, None) for each in examined],
    }
