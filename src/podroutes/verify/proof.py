"""Is every pod CIDR reachable from every node? Decided for all pairs, by classes of sources and of destinations.

1. ``reach``: each node's routes are compared, as sets, with those that lead straight to the owners. 2. For every target,
what its owner does with packets that come in there. 3. For every source, whether what its pods send is let in. 4. What a
node does not send straight is followed machine by machine, once for all nodes whose tables agree about it. 5. The way back:
answers are packets to the source's own pod CIDR, hence pairs of their own; left to see is whether the machines on the way
take packets from there (``objections``). See docs/design/proof.md.
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
    """Decide about every node and every undisputed pod CIDR; what was not seen cannot be told."""
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
    """What is known of nodes whose tables agree about the targets that they do not send straight."""

    fates: dict[int, Fate]
    alike: dict[tuple[tuple[Cause, ...], int], list[int]]  # targets by what becomes of them
    judged: set[int]
    personal: set[int]  # targets whose fate depends on the source


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
        self._cut_off = {  # nodes that let in nothing of what their pods send
            name
            for name, causes in self._departures.items()
            if all(cause.severity == "unreachable" and cause.source is None for cause in causes)
        }
        pods = sum(target.pods for target in found)
        everyone = (*self.places.sources, *self.places.unseen)
        self.pairs = pods * len(everyone) - sum(
            found[place].pods for name in everyone for place in self.places.own[name]
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
            )  # all share one set where nothing is straight
            if name not in self._cut_off and astray:
                self._astray(name, astray)
        self._ways_back()
        prefix = [target.prefix for target in self.targets].__getitem__
        found = [
            Finding(cause, tuple(Block(tuple(names), tuple(map(prefix, places))) for places, names in blocks.items()))
            for cause, blocks in self._found.items()
        ]
        return [*found, *self._not_collected()]

    def _without_sysctls(self) -> frozenset[str]:
        """Return the nodes of which it is not known whether they forward what comes in for their pods, or from them."""
        places = self.places
        devices = {name: set(places.entries[name]) - {LOOPBACK} for name in places.sources}
        for place, arrival in places.catalogue.arrivals.items():
            if arrival and self.targets[place].pods:
                devices[arrival.host].add(arrival.iif)
        hosts = places.network.hosts
        unknown = (
            name
            for name, each in devices.items()
            if any(hosts[name].forwards(places.version, dev) is None for dev in each)
        )
        return frozenset(unknown)

    def _not_collected(self) -> Iterator[Finding]:
        """Yield what cannot be told because the tables or the sysctls of some nodes were not collected: one finding for each."""
        for code, names in (("tables-not-seen", self.places.unseen), ("sysctls-not-seen", sorted(self._silent))):
            if names:
                yield Finding(Cause("cannot-tell", code, names[0], None, listing(names)), tuple(self._around(names)))

    def _around(self, names: Sequence[str]) -> Iterator[Block]:
        """Yield the pairs that NAMES are in."""
        prefix = [target.prefix for target in self.targets].__getitem__
        own = [place for name in names for place in self.places.own[name]]
        yield Block(tuple(names), tuple(map(prefix, sorted(self.places.all))), len(own))
        others = tuple(name for name in (*self.places.sources, *self.places.unseen) if name not in set(names))
        if others and own:
            yield Block(others, tuple(map(prefix, sorted(own))))

    def _goes_straight(self, name: str, place: int) -> bool:
        return name not in self._cut_off and self.places.reaches[name].straight(place)

    def _deliveries(self) -> frozenset[int]:
        """Judge what owners do with packets that come straight; return the targets where that depends on the source."""
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
        """Judge what one node does with targets that it does not send straight to their owners."""
        ways = [self._misled(name, iif, places) for iif in self.places.entries[name] or (LOOPBACK,)]
        found = ways[0] if len(ways) == 1 else _in_common(ways)
        for cause, misled in found.items():
            self._note(cause._replace(node=cause.node or name), tuple(misled), [name])

    def _misled(self, name: str, iif: str, places: frozenset[int]) -> dict[Cause, list[int]]:
        """Return what becomes of packets that come in by IIF, by cause; a cause at NAME itself names no node."""
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
            for cause in dict.fromkeys(each for back in own for each in against.get(back, ())):
                found.setdefault(cause, []).extend(filterfalse(own.__contains__, those))
        for place in sorted(known.personal - own):
            for cause in self._personally(name, iif, place):
                found.setdefault(cause, []).append(place)
        return found

    def _personally(self, name: str, iif: str, place: int) -> list[Cause]:
        """Return why not everything arrives that NAME sends to a target, each of its sources judged by itself."""
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
        """Find packets that come straight to their owner, which has something against where they come from."""
        for place, arrival in self.places.catalogue.arrivals.items():
            for back, causes in self.fates.objections(arrival).items() if arrival else ():
                name = self.targets[back].owner
                if name in self.places.reaches and self._goes_straight(name, place):
                    for cause in causes:
                        self._note(cause, (place,), [name])

    def _is_new(self, cause: Cause) -> bool:
        """Whether CAUSE is not told already by what was not collected."""
        return not (cause.code == "sysctls-not-seen" and cause.node in self._silent) and not (
            cause.code == "tables-not-seen" and cause.node in self.places.unseen
        )

    def _note(self, cause: Cause, places: tuple[int, ...], names: Sequence[str]) -> None:
        if names and places and self._is_new(cause):
            self._found.setdefault(cause, {}).setdefault(places, []).extend(names)


def _in_common(ways: Sequence[dict[Cause, list[int]]]) -> dict[Cause, list[int]]:
    """Return what becomes of packets that come in by one of several devices: certain is what happens by all of them."""
    lost = [frozenset(place for cause, places in way.items() if _is_fault(cause) for place in places) for way in ways]
    everywhere = frozenset.intersection(*lost)
    found: dict[Cause, list[int]] = {}
    for way in ways:
        for cause, places in way.items():
            for place in places:
                sure = place in everywhere or not _is_fault(cause)
                known = found.setdefault(cause if sure else cause._replace(severity="cannot-tell"), [])
                if place not in known:
                    known.append(place)
    return found


def _is_fault(cause: Cause) -> bool:
    return cause.severity != "warning"
