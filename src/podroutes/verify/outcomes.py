"""Follows packets of one class of sources to one target, and collects the objections of machines on the path to their source."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.forwarding_path import Flow, ForwardingPath
from podroutes.model.host import DEFAULT_RULES, LOOPBACK, Host
from podroutes.model.proof import Cause
from podroutes.verify.address_family import Places
from podroutes.verify.causes import Judge, explains, source_cause
from podroutes.verify.reverse_path import source_verdict
from podroutes.verify.walk import follow
from podroutes.verify.wires import Arrival

Objections = Mapping[int, tuple[Cause, ...]]  # by the index of the source's pod CIDR
_NONE: Objections = {}


class Fate(NamedTuple):
    """``arrivals`` are the machines on the path, ``against`` their objections to packets from each pod CIDR.

    ``personal``: rules on the path distinguish sources, so the result does not apply to all of them.
    """

    causes: tuple[Cause, ...]
    arrivals: tuple[Arrival, ...]
    against: Objections
    personal: bool


class Fates:
    """Follows packets, and caches the objections of machines to sources."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.judge = Judge(places.neighbours)
        self.followed = 0
        self.delivering: set[tuple[int, Arrival]] = (
            set()
        )  # targets that their owner delivers completely from this arrival
        self._objections: dict[Arrival, Objections] = {}
        self._verdicts: dict[
            object, tuple[set[int], dict[int, tuple[Cause, ...]]]
        ] = {}  # places judged, and objected to
        self._telling: dict[tuple[str, Prefix, str], bool] = {}

    def fate(self, place: int, start: str, iif: str, source: str = "", src: Address | None = None) -> Fate:
        """Follow packets to each part of a target. Causes at SOURCE itself name no node, since a class shares them."""
        places = self.places
        target, pods = places.targets[place], places.pods[place]
        causes: dict[Cause, None] = {}
        arrivals: dict[Arrival, None] = {}
        personal = False
        for part, dst in places.parts(place):
            look = places.look if src is None else places.network.look
            forwarding_path = follow(places.neighbours, look, start, Flow(dst, src, iif))
            self.followed += 1
            personal |= any(self._tells_apart(host, prefix, source) for host, prefix in forwarding_path.sources)
            arrivals.update(
                (Arrival(hop.host, hop.iif), None) for hop in forwarding_path.hops if hop.before >= 0 or hop.iif != iif
            )
            cause = self.judge.judge(forwarding_path, target, pods, part)
            if cause and not any(explains(other, cause) for other in causes):
                causes[cause] = None
            if src is None and self._holds_for_all(forwarding_path, place):
                break
        against = [found for arrival in arrivals if (found := self.objections(arrival))] if src is None else []
        shown = tuple(cause._replace(node="" if cause.node == source else cause.node) for cause in causes)
        return Fate(shown, tuple(arrivals), _joined(against), personal)

    def _holds_for_all(self, forwarding_path: ForwardingPath, place: int) -> bool:
        """Return whether packets to all other parts of a target have the same result as FORWARDING_PATH.

        They do if only the owner distinguishes them, and it delivers all that arrive on that device.
        """
        owner = self.places.targets[place].owner
        arrivals = ((place, Arrival(hop.host, hop.iif)) for hop in forwarding_path.hops if hop.host == owner)
        return place not in self.places.catalogue.divided and self.delivering.issuperset(arrivals)

    def _tells_apart(self, host: str, prefix: Prefix, source: str) -> bool:
        """Return whether a rule of HOST for PREFIX distinguishes sources; one for the host's own pods does not elsewhere."""
        key = host, prefix, source
        if key not in self._telling:
            touched = self.places.catalogue.touched(prefix)
            own = self.places.own.get(host, []) if host != source else []
            self._telling[key] = len(touched) > sum(address in touched for address in own)
        return self._telling[key]

    def objections(self, arrival: Arrival) -> Objections:
        """Return the objections of a machine to packets from each pod CIDR that arrive there."""
        known_objections = self._objections.get(arrival)
        if known_objections is None:
            known_objections = self._objections[arrival] = self._object(arrival) or _NONE
        return known_objections

    def _object(self, arrival: Arrival) -> dict[int, tuple[Cause, ...]]:
        places = self.places
        host, reach = places.network.hosts[arrival.host], places.reaches.get(arrival.host)
        if places.version == 6:
            return {}
        mode = host.reverse_path(arrival.iif)
        candidates = places.all
        alone = not places.network.custom_local(host) and not places.network.takes_networks(host)
        if mode == 0 and alone and host.rules.get(4) == DEFAULT_RULES[4]:
            named = (
                places.catalogue.place(address.address) for address in host.addresses if address.address.version == 4
            )
            candidates = frozenset(number for number in named if number is not None)
        elif reach:
            candidates = reach.not_by(arrival.iif, places.all)
        own = reach.own if reach else frozenset[int]()
        addressed = any(address.dev == arrival.iif and address.address.version == 4 for address in host.addresses)
        settings = tuple(host.either(4, arrival.iif, key) for key in ("accept_local", "send_redirects"))
        traits = arrival.iif, mode, addressed, alone, settings
        key = (places.likeness(reach, arrival.iif), traits) if reach else arrival
        judged, objected = self._verdicts.setdefault(key, (set(), {}))
        outs = self._outs(host, arrival)
        for number in candidates - judged - own:
            judged.add(number)
            if causes := tuple(self._against(arrival, number, outs)):
                objected[number] = causes
        return {
            place: tuple(cause._replace(node=cause.node or arrival.host) for cause in causes)
            for place, causes in objected.items()
            if place in candidates and place not in own
        }

    def _outs(self, host: Host, arrival: Arrival) -> list[str]:
        """Return the possible outgoing devices of packets from ARRIVAL, as far as they affect the route of answers."""
        if any(rule.iif for rule in host.rules.get(4) or ()):
            return [dev for dev in host.links if dev != arrival.iif]
        if self.places.network.takes_networks(host):
            return [LOOPBACK, arrival.iif]  # if it leaves on its incoming device, its source is looked up
        return [LOOPBACK]

    def _against(self, arrival: Arrival, place: int, outs: list[str]) -> Iterator[Cause]:
        """Yield the objections of a machine to packets from one pod CIDR, without its name."""
        judged: list[tuple[Prefix, Cause | None]] = []
        prefix = self.places.targets[place].prefix
        for part, src in self.places.source_parts(place):
            tables = self.places.look(arrival.host, src)
            verdicts = [source_verdict(tables, Flow(src, src, arrival.iif), Flow(src, None, out)) for out in outs]
            faults = {verdict.fault for verdict in verdicts}
            if len(faults) > 1:
                unknown = Cause("cannot-tell", "cannot-tell", "", None, "the way back to the source cannot be told")
                judged.append((part, unknown))
            else:
                fault = any(faults)
                judged.append((part, source_cause("", arrival.iif, verdicts[0], prefix) if fault else None))
        failing = [(part, cause) for part, cause in judged if cause]
        if len(failing) == len(judged) and all(cause.severity == "unreachable" for _, cause in failing):
            yield from dict.fromkeys(cause for _, cause in failing)
        elif len(failing) == len(judged) and len({cause for _, cause in failing}) == 1:
            yield failing[0][1]
        else:
            yield from dict.fromkeys(cause._replace(severity="cannot-tell", source=part) for part, cause in failing)


def _joined(against: list[Objections]) -> Objections:
    """Join objections; a single one is returned as it is, since it may be large."""
    if len(against) < 2:
        return against[0] if against else _NONE
    joined: dict[int, tuple[Cause, ...]] = {}
    for cause in against:
        for place, causes in cause.items():
            joined[place] = tuple(dict.fromkeys((*joined.get(place, ()), *causes)))
    return joined
