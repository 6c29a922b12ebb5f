"""One IP version of a cluster: its targets, which are identified by their indexes, the nodes that send to them, and their pods."""

from collections.abc import Iterable, Sequence

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.proof import Target
from podroutes.model.route import NextHop
from podroutes.plan.sequence import Traits
from podroutes.verify.lookup import Tables
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.pods import Pods, ends, pods_of
from podroutes.verify.reach import Reach, ReachIndex
from podroutes.verify.targets import parts

Parts = list[tuple[Prefix, Address]]
_PARTICULAR = 64  # the number of addresses, not found equally by all neighbours, up to which senders are compared by what they find


class Places:
    """The targets, pods and tables of one IP version."""

    def __init__(self, neighbours: Neighbours, targets: Sequence[Target], version: int) -> None:
        self.neighbours = neighbours
        self.network = neighbours.network
        self.targets = targets
        self.version = version
        self.all = frozenset(range(len(targets)))
        self.own: dict[str, list[int]] = {name: [] for name in self.network.nodes}
        for index, target in enumerate(targets):
            self.own[target.owner].append(index)
        taking_part = [name for name in self.network.nodes if self._takes_part(name)]
        self.sources = [name for name in taking_part if name in self.network.hosts]
        self.unseen = [name for name in taking_part if name not in self.network.hosts]
        self.catalogue = ReachIndex(neighbours, targets, version)
        self.pods = [Pods(reserved=ends(target.prefix)) for target in targets]
        for name in self.sources:
            routes = self.catalogue.own_routes(self.network.hosts[name]) if self.own[name] else ()
            for number in self.own[name]:
                self.pods[number] = self._pods(name, number, routes)
        self.entries = {name: self._entries(name) for name in self.sources}
        self.reaches = {name: self._reach(name) for name in self.sources}
        self._selected = {
            rule.src for host in self.network.hosts.values() for rule in host.rules.get(version) or () if rule.src
        }
        self._parts: dict[int, Parts] = {}
        self._source_parts: dict[int, Parts] = {}
        nobody = Tables(next(iter(self.network.hosts.values())), version, (), custom_local=False)
        self._tables: tuple[str, Tables] = ("", nobody)  # the last one used
        self._own_tables: dict[str, Tables] = {}
        self._particular = self._found_differently()

    def _takes_part(self, name: str) -> bool:
        node = self.network.nodes[name]
        versions = {address.version for address in node.internal_ips} | {
            pod_cidr.version for pod_cidr in node.pod_cidrs
        }
        return self.version in versions

    def _pods(self, name: str, place: int, routes: Iterable[object]) -> Pods:
        target, host = self.targets[place], self.network.hosts[name]
        if not target.pods:
            return Pods()
        return pods_of(host, target, self.network.nodes[name].internal_ips, routes)  # type: ignore[arg-type]

    def _entries(self, name: str) -> tuple[str, ...]:
        """Return the incoming devices of packets of a node's pods, one of each equivalent group; none: unknown."""
        pods = [self.pods[number] for number in self.own[name] if self.targets[number].pods]
        if not pods:
            return (LOOPBACK,)
        host = self.network.hosts[name]
        named = {rule.iif for rule in host.rules.get(self.version) or () if rule.iif}
        alike: dict[object, str] = {}
        for dev in (dev for made in pods for dev in made.entries):
            alike.setdefault((dev in named and dev, dev in host.masters, host.forwards(self.version, dev)), dev)
        return tuple(alike.values())

    def _reach(self, name: str) -> Reach:
        own = tuple(self.targets[number].prefix for number in self.own[name])
        alone = tuple(
            Prefix(address.version, address.value, BITS[address.version])
            for address in self.network.nodes[name].internal_ips
            if address.version == self.version
        )
        return self.catalogue.reach(self.network.hosts[name], Traits(self.entries[name], own or alone))

    def parts(self, place: int) -> Parts:
        """Return the parts of a target that some machine distinguishes, each with an address that a pod may have."""
        if place not in self._parts:
            self._parts[place] = self._split(place, self.catalogue.specifics[place])
        return self._parts[place]

    def source_parts(self, place: int) -> Parts:
        """Return the parts of a target whose pods some machine may treat differently as senders."""
        if place not in self._source_parts:
            whole = self.targets[place].prefix
            inside = {prefix for prefix in self._selected if whole.covers(prefix) and prefix != whole}
            self._source_parts[place] = self._split(place, self.catalogue.specifics[place] | inside)
        return self._source_parts[place]

    def _split(self, place: int, specifics: set[Prefix]) -> Parts:
        whole, pods = self.targets[place].prefix, self.pods[place]
        if pods.routed:
            return [(cidr, Address(cidr.version, cidr.value)) for cidr in sorted(pods.routed)]
        reserved = {Prefix(prefix.version, prefix.value, BITS[prefix.version]) for prefix in pods.reserved}
        pieces = parts(whole, specifics | reserved)
        return [(part, address) for part, address in pieces if address not in pods.reserved] or pieces

    def sources_of(self, name: str) -> Parts:
        """Return an address for each part of NAME's pods that some machine may treat differently as senders."""
        own = [number for number in self.own[name] if self.targets[number].pods]
        if own:
            return [source_part for number in own for source_part in self.source_parts(number)]
        alone = [address for address in self.network.nodes[name].internal_ips if address.version == self.version]
        return [(Prefix(address.version, address.value, BITS[address.version]), address) for address in alone[:1]]

    def look(self, name: str, dst: Address) -> Tables:
        """Return tables with at least the routes that can match DST."""
        reach, place = self.reaches.get(name), self.catalogue.place(dst)
        if reach is None or place is None:
            return self.network.look(name, dst)
        if place in reach.own:
            if name not in self._own_tables:
                self._own_tables[name] = self._made(reach.host, reach.own_routes)
            return self._own_tables[name]
        if place not in reach.missing:
            return self._made(reach.host, self.catalogue.routes(reach.host, [place]))
        if name != self._tables[0]:
            self._tables = name, self._made(reach.host, self.catalogue.routes(reach.host, reach.missing | reach.own))
        return self._tables[1]

    def _made(self, host: Host, routes: Iterable[object]) -> Tables:
        custom = self.network.custom_local(host)
        return Tables(host, self.version, routes, custom_local=custom)  # type: ignore[arg-type]

    def likeness(self, reach: Reach, iif: str) -> object:
        """Return a key of the properties that decide about other machines' targets; machines with equal keys share all verdicts."""
        host = reach.host
        devices = tuple(
            (
                dev,
                host.works(dev),
                self.network.segment(host.name, dev),
                self.neighbours.sends(host, dev, self.version),
            )
            for dev in sorted(host.links)
            if dev != LOOPBACK
        )
        rules, forwards = host.rules.get(self.version), host.forwards(self.version, iif)
        faulty = {dev for dev, _, _, fault in devices if fault}
        entries = (
            frozenset(
                key for key in (host.neighbours.entries if faulty and host.neighbours else ()) if key[0] in faulty
            ),
            frozenset(self.neighbours.permanent.odd(host).items()),
            self.network.strays(host),
            host.neighbours is None,
        )
        return reach.key, devices, rules, iif, forwards, iif in host.masters, self._whom_it_finds(host), entries

    def _whom_it_finds(self, host: Host) -> object:
        if len(self._particular) > _PARTICULAR:
            return host.name
        devices = [dev for dev in sorted(host.links) if self.network.segment(host.name, dev)]
        return tuple(
            tuple(self.neighbours.receivers(host, NextHop(address, dev), Flow(address)))
            for address in self._particular
            for dev in devices
        )

    def _found_differently(self) -> list[Address]:
        """Return the addresses of machines that not all neighbours find, or not at the same device."""
        known_addresses = dict.fromkeys(
            address.address
            for host in self.network.hosts.values()
            for address in host.addresses
            if address.address.version == self.version
            and not LINK_LOCAL.covers(address.address)
            and self.catalogue.place(address.address) is None
            and not (address.dev == LOOPBACK and address.length < BITS[self.version])
        )
        return [address for address in known_addresses if not self._found_by_all(address)]

    def _found_by_all(self, address: Address) -> bool:
        owners = self.network.owners(address)
        return len(owners) == 1 and (not self.network.segment(*owners[0]) or self.neighbours.plain(owners[0], address))
