"""``verify --probe``: from which machines to ask which addresses, and what the answers mean for the proof."""

import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from podroutes.cli.collection import Evidence
from podroutes.cli.common import warn
from podroutes.cli.option_values import ProofOptions
from podroutes.errors import KubernetesError, PodroutesError
from podroutes.host.probe_rounds import ProbeSource, Progress, probe
from podroutes.model.address import Address, Prefix, parse_address
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.proof import Cause, Proof
from podroutes.model.text import printable

_BAR = 30  # characters


def probe_all(found: Evidence, options: ProofOptions) -> "Sent":
    """Send packets from this machine, or from every one of the lab, to a pod of every other node or to --pod.

    Where no pod of a node is known its pod gateway is asked, which the node itself answers for.
    """
    pods = _pods(found, options) if options.pod is None else {}
    targets = _targets(found, options.pod, pods)
    versions = sorted({address.version for _, address in targets})
    vantages = list(_vantages(found, versions))
    try:
        results = probe(vantages, targets, _progress() if sys.stderr.isatty() else _quiet)
    finally:
        for vantage in vantages:
            vantage.close()
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    real = {address for each in pods.values() for address in each}
    if options.pod is not None:
        real = {address for _, address in targets if not _is_of_node(found, address)}
    possible = sum(node != vantage.source for vantage in vantages for node, _ in targets)
    return Sent([each._replace(pod=each.target in real) for each in results], possible)


class Sent(NamedTuple):
    """What became of packets; ``possible`` pairs there are, of which ``results`` has those that were chosen."""

    results: list[Probed]
    possible: int


def disagreements(proof: Proof, found: Evidence, results: Sequence[Probed]) -> list[Disagreement]:
    """Return where packets did not do what the proof says; what it cannot tell is contradicted by nothing."""
    names = {name for each in results for name in (each.source, each.node)}
    against: dict[str, list[tuple[Cause, frozenset[Prefix]]]] = {name: [] for name in names}
    for finding in proof.findings:
        for block in finding.blocks if finding.cause.severity != "warning" else ():
            destinations = frozenset(block.destinations)
            for source in names.intersection(block.sources):
                against[source].append((finding.cause, destinations))
    owned = _owned(found)

    def causes(source: str, target: str, version: int, address: Address | None = None) -> list[Cause]:
        """Return what stands against packets from SOURCE to ADDRESS, or to any other pod of TARGET."""
        cidrs = {each for each in owned.get(target, ()) if each.version == version}
        return [
            cause
            for cause, destinations in against.get(source, ())
            if cidrs & destinations and (cause.part is None or address is None or cause.part.covers(address))
        ]

    differences = []
    for probed in results:
        known = any(cidr.covers(probed.target) for cidr in owned.get(probed.node, ()))
        there = causes(probed.source, probed.node, probed.target.version, probed.target)
        if not known or not probed.asked:
            continue
        if probed.lost and not there and not causes(probed.node, probed.source, probed.target.version):
            differences.append(Disagreement(probed, proven=True))
        # That a node answers itself says nothing about its pods; what happens to the sender's pods does not happen to it.
        elif (
            probed.answered
            and probed.pod
            and any(cause.severity == "unreachable" and cause.node != probed.source for cause in there)
        ):
            differences.append(Disagreement(probed, proven=False))
    return differences


def _targets(found: Evidence, pod: str | None, pods: Mapping[str, Sequence[Address]]) -> list[tuple[str, Address]]:
    claims = found.source.claims.honoured
    if pod is None:
        return [(claim.node.name, _target(claim.dst, pods.get(claim.node.name, ()))) for claim in claims]
    try:
        address = parse_address(pod)
    except ValueError as error:
        raise PodroutesError(f"--pod: {printable(pod)} {error}") from None
    return [(next((claim.node.name for claim in claims if claim.dst.covers(address)), pod), address)]


def _target(cidr: Prefix, pods: Sequence[Address]) -> Address:
    """Return the address to ask in a pod CIDR: a pod's, else the first one, which is the pod gateway's."""
    return next((each for each in pods if cidr.covers(each)), Address(cidr.version, cidr.value + 1))


def _is_of_node(found: Evidence, address: Address) -> bool:
    """Whether a machine has ADDRESS, or it is a pod CIDR's first one, which is the pod gateway's where nobody says otherwise."""
    claims = found.source.claims.honoured
    return bool(found.network.owners(address)) or any(
        address == Address(claim.dst.version, claim.dst.value + 1) for claim in claims
    )


def _pods(found: Evidence, options: ProofOptions) -> dict[str, list[Address]]:
    """Return addresses of pods by their node, where it is known of any: those of a lab, of the Kubernetes API, or collected ones."""
    claims = found.source.claims.honoured
    if found.own is None:
        from podroutes.lab.topology import pod_address  # noqa: PLC0415, we are inside one

        pods: dict[str, list[Address]] = {}
        for claim in claims:
            pods.setdefault(claim.node.name, []).append(pod_address(claim.dst))
        return pods
    if options.source.kubernetes:
        return _api_pods(found, options)
    return _collected_pods(found)


def _collected_pods(found: Evidence) -> dict[str, list[Address]]:
    """Return the pods that host-local's files and the neighbour tables name, at their nodes; those in use come first."""
    pods: dict[str, list[Address]] = {}
    for name, cidrs in _owned(found).items():
        host = found.network.hosts.get(name)
        if host is None:
            continue
        heard = [address for _, address in host.neighbours.entries] if host.neighbours else []
        named = dict.fromkeys(
            address for address in (*heard, *host.leases) if any(cidr.covers(address) for cidr in cidrs)
        )
        pods[name] = [address for address in named if not found.network.owners(address)]
    return pods


def _api_pods(found: Evidence, options: ProofOptions) -> dict[str, list[Address]]:
    from podroutes import kubernetes  # noqa: PLC0415, loads HTTP and TLS

    owned = _owned(found)
    try:
        return kubernetes.running_pods(
            kubernetes.connect(options.source.kubeconfig, options.source.context),
            lambda name, address: any(cidr.covers(address) for cidr in owned.get(name, ())),
            sum(map(len, owned.values())),
        )
    except KubernetesError as error:
        warn(f"cannot list pods, so that the nodes' own addresses are asked: {error}")
        return {}


def _owned(found: Evidence) -> dict[str, list[Prefix]]:
    owned: dict[str, list[Prefix]] = {}
    for claim in found.source.claims.honoured:
        owned.setdefault(claim.node.name, []).append(claim.dst)
    return owned


def _sent_from(found: Evidence, name: str) -> dict[int, Address]:
    """Return the address of a node in its own pod CIDR, by IP version: answers come back as they do to its pods."""
    cidrs = _owned(found).get(name, [])
    host = found.network.hosts[name]
    inside = (each.address for each in host.addresses if any(cidr.covers(each.address) for cidr in cidrs))
    return {address.version: address for address in inside}


def _vantages(found: Evidence, versions: Sequence[int]) -> Iterator[ProbeSource]:
    if found.own:
        yield ProbeSource(found.own.name, versions, _sent_from(found, found.own.name))
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
            yield ProbeSource(node.name, versions, _sent_from(found, node.name))


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
