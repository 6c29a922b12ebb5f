"""Checks whether a node accepts packets from its own pods: their devices, forwarding, and the check of their source addresses."""

from collections.abc import Iterator

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.proof import Cause
from podroutes.model.text import listing, printable
from podroutes.verify.address_family import Places
from podroutes.verify.causes import source_cause
from podroutes.verify.pods import Pods, is_strange, leads_outside, outermost, selecting, strange
from podroutes.verify.reverse_path import source_verdict


def departure(places: Places, name: str) -> tuple[Cause, ...]:
    """Return why some packets of NAME's pods are dropped by NAME, whatever their destination.

    Causes with a ``source`` apply to these pods only. Unknown forwarding is not included.
    """
    own = [number for number in places.own[name] if places.targets[number].pods]
    judged: list[tuple[Prefix, Cause | None]] = []
    for number in own:
        judged += _judged(places, name, number)
    failing = [(part, cause) for part, cause in judged if cause]
    if len(failing) == len(judged):
        causes = dict.fromkeys(cause for _, cause in failing)
        certain = all(cause.severity == "unreachable" for cause in causes)
        return tuple(cause if certain else cause._replace(severity="cannot-tell") for cause in causes)
    return tuple(dict.fromkeys(cause._replace(severity="cannot-tell", source=part) for part, cause in failing))


def _judged(places: Places, name: str, place: int) -> Iterator[tuple[Prefix, Cause | None]]:
    """Yield the causes for each part of one pod CIDR at each possible incoming device."""
    host, pods = places.network.hosts[name], places.pods[place]
    if not pods.entries:
        yield places.targets[place].prefix, _nowhere(places, host, place)
        return
    for part, src in places.source_parts(place):
        for iif in pods.entries if not pods.routed else _devices(places, host, src):
            cause = _device_cause(places, host, places.targets[place].prefix, pods, iif)
            if cause is None and host.forwards(places.version, iif) is False:
                cause = Cause("unreachable", "forwarding-off", name, None, iif)
            if cause is None and places.version == 4:
                cause = _source_cause(places, host, place, src, iif)
            yield part, cause or _gateway_cause(places, host, place, src, iif)


def _gateway_cause(places: Places, host: Host, place: int, src: Address, iif: str) -> Cause | None:
    """Return the cause that the pod SRC may not find its gateway, None if it does, or its gateway is unknown."""
    cidr = places.targets[place].prefix
    inside = [address for address in host.addresses if cidr.covers(address.address) and address.address != src]
    wide = [address.address for address in inside if address.length < BITS[cidr.version] and address.dev != LOOPBACK]
    gateways = (
        wide or [address.address for address in inside if address.dev == iif] or [address.address for address in inside]
    )
    neighbours = places.neighbours
    answers = [
        neighbours.answers.for_attached(host, iif, gateway, src, places.look(host.name, gateway))
        for gateway in gateways
    ]
    answers_exist = all(answers) if wide else True in answers  # which of several addresses is the gateway is unknown
    if answers_exist or not answers:
        return None
    return Cause(
        "cannot-tell", "no-neighbour", host.name, None, f"{printable(host.name)} does not answer for {gateways[0]}"
    )


def _devices(places: Places, host: Host, src: Address) -> list[str]:
    decision = places.look(host.name, src).decide(Flow(src))
    return [outermost(host, str(hop.dev)) for hop in decision.hops] or [LOOPBACK]


def _nowhere(places: Places, host: Host, place: int) -> Cause:
    """Return the cause that the incoming device of pods is unknown; certain if nothing is attached to this machine."""
    src = places.source_parts(place)[0][1]
    decision = places.look(host.name, src).decide(Flow(src))
    leaves = str(decision.hops[0].via or decision.hops[0].dev) if decision.hops else decision.kind
    severity = "cannot-tell" if _attached(places, host) else "unreachable"  # pods may remember their gateway
    return Cause(severity, "no-pod-device", host.name, decision.route, leaves)  # type: ignore[arg-type]


def _attached(places: Places, host: Host) -> list[str]:
    """Return the working devices that may have pods: not on a link to other machines, not the loopback, not a bridge port."""
    return [
        dev
        for dev in host.links
        if host.works(dev)
        and dev != LOOPBACK
        and dev not in host.masters
        and (host.medium(dev).kind == "bridge" or not places.network.segment(host.name, dev))
        and host.attached(dev)
    ]


def _device_cause(places: Places, host: Host, cidr: Prefix, pods: Pods, iif: str) -> Cause | None:
    if len(pods.devices) > 1:
        every = listing([printable(device) for device in pods.devices])
        return Cause("cannot-tell", "wrong-pod-device", host.name, None, every)
    if not host.works(iif):
        severity = "cannot-tell" if _attached(places, host) else "unreachable"
        return Cause(severity, "link-down", host.name, None, f"{iif} of {host.name}")  # type: ignore[arg-type]
    if not host.is_wire(iif):
        detail = (
            f"whether pods are behind {printable(iif)} of {printable(host.name)}, which does without ARP or is a tunnel"
        )
        return Cause("cannot-tell", "cannot-tell", host.name, None, detail)
    if not (host.attached(iif) and leads_outside(host, iif)):
        detail = f"{printable(iif)} is a device that no pod is attached to"
        return Cause("cannot-tell", "no-pod-device", host.name, None, detail)
    if host.selects(iif):
        return Cause("cannot-tell", "cannot-tell", host.name, None, selecting(host, iif))
    if is_strange(places.network, host, iif, cidr):
        return Cause("cannot-tell", "cannot-tell", host.name, None, strange(host, iif))
    return None


def _source_cause(places: Places, host: Host, place: int, src: Address, iif: str) -> Cause | None:
    reach = places.reaches[host.name]
    outs = [reach.main or LOOPBACK]
    if any(rule.iif for rule in host.rules.get(4) or ()):
        outs = [dev for dev in host.links if dev != iif]
    tables = places.look(host.name, src)
    verdicts = [source_verdict(tables, Flow(src, src, iif), Flow(src, None, out)) for out in outs]
    faults = {verdict.fault for verdict in verdicts}
    if len(faults) > 1:
        return Cause("cannot-tell", "cannot-tell", host.name, None, "the way back to the source cannot be told")
    if faults in ({""}, set()):
        return None
    return source_cause(host.name, iif, verdicts[0], places.targets[place].prefix, taken="taken-locally")
