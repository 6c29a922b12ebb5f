"""Is every pod CIDR reachable from every node? Decided for all pairs, by classes of sources and of destinations.

1. ``reach``: each node's routes are compared, as sets, with those that lead straight to the owners. 2. For every target,
what its owner does with packets that come in there. 3. What a node does not send straight is followed machine by machine,
once for all nodes whose tables agree about it. 4. The way back: answers are packets to the source's own pod CIDR, hence
pairs of their own; left to see is whether they leave by the device that packets come in by (rp_filter).
See docs/design/proof.md.
"""

from collections.abc import Sequence
from itertools import filterfalse
from typing import NamedTuple

from podroutes.core.causes import asymmetry, explains, judge
from podroutes.core.claims import Claims
from podroutes.core.follow import follow, source_verdict
from podroutes.core.lookup import Tables
from podroutes.core.network import Arrival, Network
from podroutes.core.reach import Catalogue, Reach
from podroutes.core.targets import parts, targets
from podroutes.model.address import Address, Prefix
from podroutes.model.host import LOOPBACK
from podroutes.model.journey import Flow, Journey
from podroutes.model.proof import Block, Cause, Finding, Proof, Target

VERSIONS = (4, 6)


def prove(network: Network, claims: Claims) -> Proof:
    """Decide about every node whose tables are known and every undisputed pod CIDR."""
    provers = [_Prover(network, found, version) for version in VERSIONS if (found := targets(claims, network, version))]
    findings = [finding for prover in provers for finding in prover.prove()]
    findings.sort(key=lambda finding: (finding.cause.severity != "unreachable", finding.cause.severity, -finding.pairs))
    cidrs = sum(target.pods for prover in provers for target in prover.targets)
    sources = dict.fromkeys(name for prover in provers for name in prover.sources)
    followed = sum(prover.followed for prover in provers)
    pairs = sum(prover.pairs for prover in provers)
    return Proof(tuple(sources), cidrs, pairs, tuple(findings), tuple(network.unseen), followed)


class _Fate(NamedTuple):
    """What becomes of packets of one class of sources to one target: ``arrivals`` are the machines on the way."""

    causes: tuple[Cause, ...]
    arrivals: tuple[Arrival, ...]
    against: frozenset[int]  # targets whose own packets some machine on the way has something against
    blind: bool


_NONE = frozenset[int]()


class _Class(NamedTuple):
    """What is known of nodes whose tables agree about the targets that they do not send straight."""

    fates: dict[int, _Fate]
    alike: dict[tuple[tuple[Cause, ...], int], list[int]]  # targets by what becomes of them
    personal: set[int]  # targets whose fate depends on the source
    judged: set[int]


class _Prover:
    """The working state for one IP version."""

    def __init__(self, network: Network, found: Sequence[Target], version: int) -> None:
        self.network = network
        self.targets = found
        self.version = version
        self.followed = 0
        self.sources = [
            name for name, node in network.nodes.items() if name in network.hosts and self._takes_part(name)
        ]
        self._catalogue = Catalogue(network, found, version)
        self._reaches = {name: self._catalogue.reach(network.hosts[name]) for name in self.sources}
        self._all = frozenset(range(len(found)))
        self._parts = {
            place: parts(target.prefix, self._catalogue.specifics[place]) for place, target in enumerate(found)
        }
        self._selected = {
            rule.src for host in network.hosts.values() for rule in host.rules.get(version) or () if rule.src
        }
        nobody = Tables(next(iter(network.hosts.values())), version, ())
        self._tables: tuple[str, Tables] = ("", nobody)  # the last one used
        self._own_tables: dict[str, Tables] = {}
        self._delivering: set[tuple[int, Arrival]] = (
            set()
        )  # targets all of which the owner delivers that comes in there
        self._classes: dict[object, _Class] = {}
        self._suspected: dict[Arrival, frozenset[int]] = {}
        self._verdicts: dict[object, dict[int, str]] = {}
        self._faults: dict[tuple[Arrival, int], str] = {}
        self._found: dict[Cause, dict[tuple[int, ...], list[str]]] = {}
        self._iifs = {name: self._pod_device(reach) for name, reach in self._reaches.items()}
        self._grounded = {  # nodes that do not even let out what their pods send
            name
            for name, iif in self._iifs.items()
            if iif != LOOPBACK and network.hosts[name].forwards(version, iif) is False
        }
        pods = sum(target.pods for target in found)
        self.pairs = sum(pods - sum(found[place].pods for place in self._reaches[name].own) for name in self.sources)

    def prove(self) -> list[Finding]:
        """Return all findings."""
        personal = self._deliveries()
        for name in self.sources:
            reach = self._reaches[name]
            astray = reach.missing | personal if personal else reach.missing
            if name in self._grounded:
                astray = self._all
            if astray:
                self._astray(name, self._iifs[name], astray)
        self._ways_back()
        prefix = [target.prefix for target in self.targets].__getitem__
        return [
            Finding(cause, tuple(Block(tuple(names), tuple(map(prefix, places))) for places, names in blocks.items()))
            for cause, blocks in self._found.items()
        ]

    def _takes_part(self, name: str) -> bool:
        node = self.network.nodes[name]
        versions = {each.version for each in node.internal_ips} | {each.version for each in node.pod_cidrs}
        return self.version in versions

    def _goes_straight(self, name: str, place: int) -> bool:
        return name not in self._grounded and self._reaches[name].straight(place)

    def _deliveries(self) -> frozenset[int]:
        """Judge what owners do with packets that come straight; return the targets where that depends on the source."""
        personal = set()
        for place, arrival in self._catalogue.arrivals.items():
            if arrival is None:
                continue
            fate = self._fate(place, arrival.host, arrival.iif)
            if not fate.blind:
                personal.add(place)
            elif fate.causes:
                straight = [name for name in self.sources if self._goes_straight(name, place)]
                for cause in fate.causes:
                    self._note(cause, (place,), straight)
            else:
                self._delivering.add((place, arrival))
        return frozenset(personal)

    def _astray(self, name: str, iif: str, places: frozenset[int]) -> None:
        """Judge what one node does with targets that it does not send straight to their owners."""
        own = self._reaches[name].own
        known = self._classes.setdefault((self._class(self._reaches[name], iif), places), _Class({}, {}, set(), set()))
        for place in sorted(places - known.judged - own):
            fate = self._fate(place, name, iif, name)
            known.judged.add(place)
            known.fates[place] = fate
            if fate.blind:
                known.alike.setdefault((fate.causes, id(fate.against)), []).append(place)
            else:
                known.personal.add(place)
        found: dict[Cause, list[int]] = {}
        for (causes, _), those in known.alike.items():
            mine = list(filterfalse(own.__contains__, those)) if causes else []
            for cause in causes if mine else ():
                found.setdefault(cause, []).extend(mine)
            for place in those if not causes and not own.isdisjoint(known.fates[those[0]].against) else ():
                for cause in self._back_causes(known.fates[place], own) if place not in own else ():
                    found.setdefault(cause, []).append(place)
        for place in sorted(known.personal - own):
            fates = [self._fate(place, name, iif, name, src) for src in self._sources_of(name, iif)]
            for cause in dict.fromkeys(cause for each in fates for cause in each.causes):
                found.setdefault(cause, []).append(place)
        for cause, misled in found.items():
            self._note(cause._replace(node=cause.node or name), tuple(misled), [name])

    def _fate(self, place: int, start: str, iif: str, source: str = "", src: Address | None = None) -> _Fate:
        """Follow packets to every part of a target. Causes at SOURCE itself name no node, as they are shared by a class."""
        causes: dict[Cause, None] = {}
        arrivals: dict[Arrival, None] = {}
        blind = True
        for part, dst in self._parts[place]:
            journey = follow(self.network, self._look if src is None else self.network.look, start, Flow(dst, src, iif))
            self.followed += 1
            blind &= journey.blind
            arrivals.update(
                (Arrival(hop.host, hop.iif), None) for hop in journey.hops if hop.before >= 0 or hop.iif != iif
            )
            cause = judge(self.network, journey, self.targets[place], part)
            if cause is None and src is not None:
                cause = asymmetry(journey)
            if cause and not any(explains(other, cause) for other in causes):
                causes[cause] = None
            if src is None and self._holds_for_all(journey, place, part):
                break
        suspects = [found for arrival in arrivals if (found := self._suspects(arrival))] if src is None else []
        against = (
            suspects[0] if len(suspects) == 1 else _NONE.union(*suspects) if suspects else _NONE
        )  # shared, as it is large
        shown = tuple(cause._replace(node="" if cause.node == source else cause.node) for cause in causes)
        return _Fate(shown, tuple(arrivals), against, blind)

    def _holds_for_all(self, journey: Journey, place: int, part: Prefix) -> bool:
        """Whether packets to all other parts of a target fare as those of JOURNEY to PART.

        They do where nobody but the owner tells them apart, and it delivers all that come in by that device.
        """
        prefix, owner, _ = self.targets[place]
        arrivals = ((place, Arrival(hop.host, hop.iif)) for hop in journey.hops if hop.host == owner)
        return part == prefix and place not in self._catalogue.divided and self._delivering.issuperset(arrivals)

    def _ways_back(self) -> None:
        """Find packets that come straight to their owner, whose answers would not leave by the device they came in by."""
        for place, arrival in self._catalogue.arrivals.items():
            for back in self._suspects(arrival) if arrival else ():
                name = self.targets[back].owner
                if arrival and name in self._reaches and self._goes_straight(name, place):
                    self._note(self._back_cause(arrival, back), (place,), [name])

    def _suspects(self, arrival: Arrival) -> frozenset[int]:
        """Return the targets whose own packets, coming in there, the machine has something against (rp_filter)."""
        found = self._suspected.get(arrival)
        if found is None:
            host, reach = self.network.hosts[arrival.host], self._reaches.get(arrival.host)
            candidates = self._all
            if self.version == 6 or host.reverse_path(arrival.iif) == 0:
                candidates = frozenset()
            elif reach:
                candidates = reach.not_by(arrival.iif, self._all)
            known = self._verdicts.setdefault(
                (self._class(reach, arrival.iif), arrival.iif, host.reverse_path(arrival.iif)) if reach else arrival, {}
            )
            for place in candidates - known.keys():
                src = self._parts[place][0][1]
                known[place] = source_verdict(
                    self._look(arrival.host, src), Flow(src, src, arrival.iif), Flow(src, None, arrival.iif)
                )
            found = self._suspected[arrival] = frozenset(filter(known.get, candidates))
            self._faults.update(((arrival, place), known[place]) for place in found)
        return found

    def _back_causes(self, fate: _Fate, own: frozenset[int]) -> tuple[Cause, ...]:
        found = ((arrival, back) for arrival in fate.arrivals for back in sorted(self._suspects(arrival) & own))
        return tuple(dict.fromkeys(self._back_cause(arrival, back) for arrival, back in found))

    def _back_cause(self, arrival: Arrival, place: int) -> Cause:
        verdict = self._faults[arrival, place]
        if verdict == "asymmetric":
            return Cause("warning", "asymmetric-path", arrival.host, None, arrival.iif)
        if verdict == "unknown":
            return Cause("cannot-tell", "cannot-tell", arrival.host, None, "the way back to the source is not modelled")
        return Cause("unreachable", verdict, arrival.host, None, arrival.iif)

    def _look(self, name: str, dst: Address) -> Tables:
        """Return tables that hold at least what a look-up of DST can meet."""
        reach, place = self._reaches.get(name), self._catalogue.place(dst)
        if reach is None or place is None:
            return self.network.look(name, dst)
        if place in reach.own:
            if name not in self._own_tables:
                self._own_tables[name] = Tables(reach.host, self.version, reach.own_routes)
            return self._own_tables[name]
        if place not in reach.missing:
            return Tables(reach.host, self.version, self._catalogue.routes(reach.host, [place]))
        if name != self._tables[0]:
            routes = self._catalogue.routes(reach.host, reach.missing | reach.own)
            self._tables = name, Tables(reach.host, self.version, routes)
        return self._tables[1]

    def _pod_device(self, reach: Reach) -> str:
        """Return the device that packets of a node's pods come in by, ``lo`` where it has none and is itself the source."""
        for place in sorted(reach.own):
            if self.targets[place].pods:
                decision = self._look(reach.host.name, self._parts[place][0][1]).decide(Flow(self._parts[place][0][1]))
                if decision.kind == "unicast" and decision.hops[0].via is None and decision.hops[0].dev:
                    return decision.hops[0].dev
        return LOOPBACK

    def _sources_of(self, name: str, iif: str) -> list[Address]:
        """Return an address for every part of the pod CIDRs of NAME that some policy rule tells apart."""
        if iif == LOOPBACK:
            return [each for each in self.network.nodes[name].internal_ips if each.version == self.version][:1]
        found = []
        for place in sorted(self._reaches[name].own):
            whole = self.targets[place].prefix
            specifics = self._catalogue.specifics[place] | {
                each for each in self._selected if whole.covers(each) and each != whole
            }
            found += [
                address for _, address in parts(whole, specifics) if self.network.hosts[name].owns(address) is None
            ]
        return found

    def _class(self, reach: Reach, iif: str) -> object:
        """Return what tells apart machines that may treat targets of others differently; equal ones share every verdict."""
        host = reach.host
        devices = tuple(
            (dev, link.up, link.carrier, self.network.segment(host.name, dev))
            for dev, link in sorted(host.links.items())
        )
        rules, forwards = host.rules.get(self.version), host.forwards(self.version, iif)
        return reach.key, devices, rules, iif, forwards, iif in host.masters

    def _note(self, cause: Cause, places: tuple[int, ...], names: Sequence[str]) -> None:
        if names:
            self._found.setdefault(cause, {}).setdefault(places, []).extend(names)
