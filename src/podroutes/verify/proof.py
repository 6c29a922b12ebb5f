"""Decides for all pairs whether each pod CIDR is reachable from each node, by classes of sources and destinations.

1. ``reach`` compares each node's routes, as sets, with the direct routes to the owners. 2. For each target: does its owner deliver
arriving packets? 3. For each source: does the node accept packets of its pods? 4. Packets without a direct route are followed
machine by machine, once for all nodes with equal tables. 5. Answers are packets to the source's pod CIDR, and so pairs of their
own; it remains to check whether the machines on the path accept packets from there (``objections``). See docs/design/proof.md.
"""

from collections.abc import Iterator, Sequence
from itertools import filterfalse
from typing import NamedTuple

from podroutes.model.host import LOOPBACK
from podroutes.model.proof import Block, Cause, Finding, Proof, Target
from podroutes.model.text import listing
from podroutes.plan.claims import Claims
from podroutes.verify.address_family import Places
from podroutes.verify.departures import departure
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.network import Network
from podroutes.verify.outcomes import Fate, Fates
from podroutes.verify.remedies import named
from podroutes.verify.targets import targets

VERSIONS = (4, 6)


def prove(network: Network, claims: Claims) -> Proof:
    """Decide about each node and each undisputed pod CIDR. Pairs whose tables were not collected are "cannot tell"."""
    neighbours = Neighbours(network)
    provers = [
        _Prover(neighbours, found, version) for version in VERSIONS if (found := targets(claims, network, version))
    ]
    owners = {target.prefix: target.owner for prover in provers for target in prover.targets}
    findings = named((finding for prover in provers for finding in prover.prove()), network, owners)
    findings.sort(key=lambda finding: (finding.cause.severity != "unreachable", finding.cause.severity, -finding.pairs))
    cidrs = sum(target.pods for prover in provers for target in prover.targets)
    sources = dict.fromkeys(name for prover in provers for name in prover.places.sources)
    followed = sum(prover.fates.followed for prover in provers)
    pairs = sum(prover.pairs for prover in provers)
    return Proof(tuple(sources), cidrs, pairs, tuple(findings), tuple(network.unseen), followed, owners)


class _Class(NamedTuple):
    """The results of nodes whose tables are equal for the targets without a direct route."""

    fates: dict[int, Fate]
    alike: dict[tuple[tuple[Cause, ...], int], list[int]]  # targets by result
    judged: set[int]
    personal: set[int]  # targets whose result depends on the source


class _Prover:
    """The working state for one IP version."""

    def __init__(self, neighbours: Neighbours, found: Sequence[Target], version: int) -> None:
        self.places = Places(neighbours, found, version)
        self.targets = found
        self.fates = Fates(self.places)
        self._classes: dict[object, _Class] = {}
        self._found: dict[Cause, dict[tuple[int, ...], list[str]]] = {}
        self._silent = self._without_sysctls()
        departures = {name: departure(self.places, name) for name in self.places.sources}
        self._departures = {name: causes for name, causes in departures.items() if causes}
        self._cut_off = {  # nodes that drop all packets of their pods
            name
            for name, causes in self._departures.items()
            if all(cause.severity == "unreachable" and cause.source is None for cause in causes)
        }
        pods = sum(target.pods for target in found)
        everyone = (*self.places.sources, *self.places.unseen)
        self.pairs = pods * len(everyone) - sum(
            found[number].pods for name in everyone for number in self.places.own[name]
        )

    def prove(self) -> list[Finding]:
        """Return all findings."""
        personal = self._deliveries()
        for name in self.places.sources:
            reach = self.places.reaches[name]
            others = tuple(sorted(self.places.all.difference(reach.own))) if name in self._departures else ()
            for cause in self._departures.get(name, ()):
                self._note(cause, others, [name])
            astray = (
                reach.missing | personal if personal else reach.missing
            )  # all share one set if there are no direct routes
            if name not in self._cut_off and astray:
                self._astray(name, astray)
        self._ways_back()
        prefix = [target.prefix for target in self.targets].__getitem__
        findings = [
            Finding(cause, tuple(Block(tuple(names), tuple(map(prefix, places))) for places, names in blocks.items()))
            for cause, blocks in self._found.items()
        ]
        return [*findings, *self._not_collected()]

    def _without_sysctls(self) -> frozenset[str]:
        """Return the nodes for which forwarding to or from their pods is unknown."""
        places = self.places
        devices = {name: set(places.entries[name]) - {LOOPBACK} for name in places.sources}
        for place, arrival in places.catalogue.arrivals.items():
            if arrival and self.targets[place].pods:
                devices[arrival.host].add(arrival.iif)
        hosts = places.network.hosts
        unknown = (
            name
            for name, device in devices.items()
            if any(hosts[name].forwards(places.version, dev) is None for dev in device)
        )
        return frozenset(unknown)

    def _not_collected(self) -> Iterator[Finding]:
        """Yield a finding for each node whose tables or sysctls were not collected."""
        for code, names in (("tables-not-seen", self.places.unseen), ("sysctls-not-seen", sorted(self._silent))):
            if names:
                yield Finding(Cause("cannot-tell", code, names[0], None, listing(names)), tuple(self._around(names)))

    def _around(self, names: Sequence[str]) -> Iterator[Block]:
        """Yield the pairs that include NAMES."""
        prefix = [target.prefix for target in self.targets].__getitem__
        own = [number for name in names for number in self.places.own[name]]
        yield Block(tuple(names), tuple(map(prefix, sorted(self.places.all))), len(own))
        others = tuple(name for name in (*self.places.sources, *self.places.unseen) if name not in set(names))
        if others and own:
            yield Block(others, tuple(map(prefix, sorted(own))))

    def _goes_straight(self, name: str, place: int) -> bool:
        return name not in self._cut_off and self.places.reaches[name].straight(place)

    def _deliveries(self) -> frozenset[int]:
        """Check what owners do with packets over direct routes; return the targets whose result depends on the source."""
        personal = set()
        for place, arrival in self.places.catalogue.arrivals.items():
            if arrival is None:
                continue
            fate = self.fates.fate(place, arrival.host, arrival.iif)
            if fate.personal:
                personal.add(place)
            elif any(self._is_new(cause) for cause in fate.causes):
                straight = [name for name in self.places.sources if self._goes_straight(name, place)]
                for cause in fate.causes:
                    self._note(cause, (place,), straight)
            elif not fate.causes:
                self.fates.delivering.add((place, arrival))
        return frozenset(personal)

    def _astray(self, name: str, places: frozenset[int]) -> None:
        """Check the targets of one node without a direct route."""
        ways = [self._misled(name, iif, places) for iif in self.places.entries[name] or (LOOPBACK,)]
        causes = ways[0] if len(ways) == 1 else _in_common(ways)
        for cause, misled in causes.items():
            self._note(cause._replace(node=cause.node or name), tuple(misled), [name])

    def _misled(self, name: str, iif: str, places: frozenset[int]) -> dict[Cause, list[int]]:
        """Return the results of packets that arrive on IIF, by cause; a cause at NAME itself names no node."""
        reach = self.places.reaches[name]
        own = reach.own
        known = self._classes.setdefault((self.places.likeness(reach, iif), places), _Class({}, {}, set(), set()))
        for place in sorted(places - known.judged - own):
            fate = self.fates.fate(place, name, iif, name)
            known.judged.add(place)
            known.fates[place] = fate
            if fate.personal:
                known.personal.add(place)
            else:
                known.alike.setdefault((fate.causes, id(fate.against)), []).append(place)
        found: dict[Cause, list[int]] = {}
        for (causes, _), those in known.alike.items():
            mine = list(filterfalse(own.__contains__, those)) if causes else []
            for cause in causes if mine else ():
                found.setdefault(cause, []).extend(mine)
            certain = any(cause.severity == "unreachable" and cause.part is None for cause in causes)
            against = known.fates[those[0]].against if not certain else {}
            for cause in dict.fromkeys(objection for back in own for objection in against.get(back, ())):
                found.setdefault(cause, []).extend(filterfalse(own.__contains__, those))
        for number in sorted(known.personal - own):
            for cause in self._personally(name, iif, number):
                found.setdefault(cause, []).append(number)
        return found

    def _personally(self, name: str, iif: str, place: int) -> list[Cause]:
        """Return why some packets of NAME to a target do not arrive, with each source checked separately."""
        parts = self.places.sources_of(name)
        fates = [(part, self.fates.fate(place, name, iif, name, src)) for part, src in parts]
        if all(fate.causes for _, fate in fates):
            return list(dict.fromkeys(cause for _, fate in fates for cause in fate.causes))
        partial = ((part, cause) for part, fate in fates for cause in fate.causes)
        return list(
            dict.fromkeys(
                cause if cause.severity == "warning" else cause._replace(severity="cannot-tell", source=part)
                for part, cause in partial
            )
        )

    def _ways_back(self) -> None:
        """Find owners that drop packets over direct routes because of their source."""
        for place, arrival in self.places.catalogue.arrivals.items():
            for back, causes in self.fates.objections(arrival).items() if arrival else ():
                name = self.targets[back].owner
                if name in self.places.reaches and self._goes_straight(name, place):
                    for cause in causes:
                        self._note(cause, (place,), [name])

    def _is_new(self, cause: Cause) -> bool:
        """Return whether CAUSE is not already reported as not collected."""
        return not (cause.code == "sysctls-not-seen" and cause.node in self._silent) and not (
            cause.code == "tables-not-seen" and cause.node in self.places.unseen
        )

    def _note(self, cause: Cause, places: tuple[int, ...], names: Sequence[str]) -> None:
        if names and places and self._is_new(cause):
            self._found.setdefault(cause, {}).setdefault(places, []).extend(names)


def _in_common(ways: Sequence[dict[Cause, list[int]]]) -> dict[Cause, list[int]]:
    """Return the common result of packets that arrive on one of several devices; it is certain if all agree."""
    lost = [frozenset(place for cause, places in way.items() if _is_fault(cause) for place in places) for way in ways]
    everywhere = frozenset.intersection(*lost)
    shared: dict[Cause, list[int]] = {}
    for way in ways:
        for cause, places in way.items():
            for place in places:
                sure = place in everywhere or not _is_fault(cause)
                known = shared.setdefault(cause if sure else cause._replace(severity="cannot-tell"), [])
                if place not in known:
                    known.append(place)
    return shared


def _is_fault(cause: Cause) -> bool:
    return cause.severity != "warning"
