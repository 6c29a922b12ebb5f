"""``verify --probe``: from which machines to ask which addresses, and what the answers mean for the proof."""

import argparse
import resource
import sys
from collections.abc import Iterator, Sequence

from podroutes.cli.collection import Evidence
from podroutes.errors import PodroutesError
from podroutes.host.probe_rounds import ProbeSource, Progress, probe
from podroutes.model.address import Address, Prefix, parse_address
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.proof import Cause, Proof
from podroutes.model.text import printable

_BAR = 30  # characters


def probe_all(found: Evidence, arguments: argparse.Namespace) -> list[Probed]:
    """Send packets from this machine, or from every one of the lab, to every other node's pod gateway or to --pod."""
    targets = _targets(found, arguments.pod)
    versions = sorted({address.version for _, address in targets})
    vantages = list(_vantages(found, versions))
    try:
        return probe(vantages, targets, _progress() if sys.stderr.isatty() else _quiet)
    finally:
        for vantage in vantages:
            vantage.close()
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def disagreements(proof: Proof, found: Evidence, results: Sequence[Probed]) -> list[Disagreement]:
    """Return where packets did not do what the proof says; what it cannot tell is contradicted by nothing."""
    against: dict[str, list[tuple[Cause, frozenset[Prefix]]]] = {each.source: [] for each in results}
    for finding in proof.findings:
        for block in finding.blocks if finding.cause.severity != "warning" else ():
            destinations = frozenset(block.destinations)
            for source in against.keys() & set(block.sources):
                against[source].append((finding.cause, destinations))
    owned: dict[str, list[Prefix]] = {}
    for claim in found.source.claims.honoured:
        owned.setdefault(claim.node.name, []).append(claim.dst)
    differences = []
    for probed in results:
        dst = next((each for each in owned.get(probed.node, ()) if each.covers(probed.target)), None)
        said = {
            cause.severity
            for cause, destinations in against[probed.source]
            if dst in destinations and (cause.part is None or cause.part.covers(probed.target))
        }
        if dst is not None and said != {"cannot-tell"} and ("unreachable" in said) == probed.answered:
            differences.append(Disagreement(probed, not said))
    return differences


def _targets(found: Evidence, pod: str | None) -> list[tuple[str, Address]]:
    claims = found.source.claims.honoured
    if pod is None:
        return [(claim.node.name, Address(claim.dst.version, claim.dst.value + 1)) for claim in claims]
    try:
        address = parse_address(pod)
    except ValueError as error:
        raise PodroutesError(f"--pod: {printable(pod)} {error}") from None
    return [(next((claim.node.name for claim in claims if claim.dst.covers(address)), pod), address)]


def _vantages(found: Evidence, versions: Sequence[int]) -> Iterator[ProbeSource]:
    if found.own:
        yield ProbeSource(found.own.name, versions)
        return
    from podroutes.lab import inside  # noqa: PLC0415, we are inside one

    nodes = found.source.cluster.nodes
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * len(nodes) + 64
    if soft < wanted and (hard == resource.RLIM_INFINITY or wanted <= hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    for node in nodes:
        if node.name in found.network.hosts:
            inside.join_network(node.name)
            yield ProbeSource(node.name, versions)


def _progress() -> Progress:
    shown = -1

    def show(done: int, everything: int) -> None:
        nonlocal shown
        width = _BAR * done // everything
        if width != shown:
            shown = width
            print(f"\rprobing [{'#' * width:{_BAR}}] {done}/{everything}", end="", file=sys.stderr, flush=True)

    return show


def _quiet(done: int, everything: int) -> None:
    """Show nothing: nobody is looking."""
