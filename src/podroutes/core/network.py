"""All machines together: who has an address, and where a packet arrives that was sent to it.

Two devices are taken to be on one segment when they have addresses of one subnet. Tables tell no more than that about
wires, so where it takes more to know the answer there is none.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from podroutes.core.lookup import Tables
from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix, network
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.route import NextHop
from podroutes.model.text import printable

Look = Callable[[str, Address], Tables]  # the tables of a machine that decide about one destination
_KEPT = 64  # machines whose whole tables are kept ready at a time: each can have thousands of routes


class Arrival(NamedTuple):
    """A packet comes in at a machine whose tables are known."""

    host: str
    iif: str


class Lost(NamedTuple):
    """A packet cannot be followed: ``fate`` is one of follow.Fate, ``detail`` who or what it is about."""

    fate: str
    detail: str = ""


class Network:
    """The machines whose tables are known, by name, and the nodes of the inventory, known or not."""

    def __init__(self, hosts: Iterable[Host], cluster: Cluster) -> None:
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self.nodes: Mapping[str, Node] = {node.name: node for node in cluster.nodes}
        self._pods = sorted({cidr for node in cluster.nodes for cidr in node.pod_cidrs})
        self._pod_set, self._pod_lengths = set(self._pods), {cidr.length for cidr in self._pods}
        self._owners: dict[Address, list[Arrival]] = {}
        for host in self.hosts.values():
            for each in host.addresses:
                self._owners.setdefault(each.address, []).append(Arrival(host.name, each.dev))
        self._unseen = {
            address: node.name for node in cluster.nodes if node.name not in self.hosts for address in node.internal_ips
        }
        self._segments: dict[tuple[str, str], tuple[Prefix, ...]] = {}
        self._tables: dict[tuple[str, int], Tables] = {}

    @property
    def unseen(self) -> list[str]:
        """The nodes of the inventory whose tables are not known."""
        return [name for name in self.nodes if name not in self.hosts]

    def look(self, name: str, dst: Address) -> Tables:
        """Return the whole tables of a machine."""
        key = name, dst.version
        if key not in self._tables:
            while len(self._tables) >= _KEPT:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = Tables(self.hosts[name], dst.version)
        return self._tables[key]

    def owners(self, address: Address) -> list[Arrival]:
        """Return every known machine that has ADDRESS, with the device that has it."""
        return self._owners.get(address, [])

    def node_with(self, address: Address) -> str | None:
        """Return the node that has ADDRESS, by its tables or else by the inventory."""
        return next((owner.host for owner in self.owners(address)), self._unseen.get(address))

    def pass_on(self, sender: Host, hop: NextHop, dst: Address) -> Arrival | Lost:
        """Return where a packet for DST arrives that SENDER hands to HOP."""
        target = hop.via or dst
        owners = [owner for owner in self.owners(target) if owner.host != sender.name and owner.iif != LOOPBACK] or [
            owner for owner in self.owners(target) if owner.host != sender.name
        ]
        near = {
            Arrival(owner.host, dev)
            for owner in owners
            if (dev := self._entrance(sender.name, str(hop.dev), owner, target.version)) is not None
        }
        if len(near) == 1:
            return self._if_up(near.pop())
        if len({owner.host for owner in near}) > 1:
            return Lost("unknown", f"{_several(near)} all have the address {target}")
        if near:
            return Lost("unknown", f"{near.pop().host} has several devices on one network")
        if hop.via is None and target not in self._unseen:
            return Lost("on-link", str(hop.dev))
        if owners:
            return Lost(
                "unknown",
                f"{_several(owners)} has the address {target}, but in no network of {printable(str(hop.dev))}",
            )
        if target in self._unseen:
            return Lost("unseen", self._unseen[target])
        return Lost("left", str(target))

    def _if_up(self, arrival: Arrival) -> Arrival | Lost:
        link = self.hosts[arrival.host].links.get(arrival.iif)
        if link is not None and link.up and link.carrier:
            return arrival
        return Lost("link-down", f"{arrival.iif} of {arrival.host}")

    def _entrance(self, sender: str, dev: str, owner: Arrival, version: int) -> str | None:
        """Return the device by which OWNER hears what SENDER puts on DEV.

        To ARP, Linux answers for its addresses on any device (arp_ignore 0), to neighbour solicitation on the right one.
        """
        segment = self.segment(sender, dev)
        others = (each.dev for each in self.hosts[owner.host].addresses) if version == 4 else ()
        devices = dict.fromkeys((owner.iif, *others))
        return next((each for each in devices if _meet(segment, self.segment(owner.host, each))), None)

    def _is_of_pods(self, prefix: Prefix) -> bool:
        """Whether PREFIX shares an address with a pod CIDR."""
        inside = bisect_left(self._pods, prefix) < bisect_left(self._pods, Prefix(prefix.version, prefix.last + 1, 0))
        address = Address(prefix.version, prefix.value)
        return inside or any(
            network(address, length) in self._pod_set for length in self._pod_lengths if length <= prefix.length
        )

    def segment(self, host: str, dev: str) -> tuple[Prefix, ...]:
        """Return the subnets of a device that others may be in, too: not link-local, not of pods, not single addresses."""
        key = host, dev
        if key not in self._segments:
            own = {
                each.prefix
                for each in self.hosts[host].addresses
                if each.dev == dev and each.length < BITS[each.address.version]
            }
            self._segments[key] = tuple(
                prefix for prefix in own if not LINK_LOCAL.covers(prefix) and not self._is_of_pods(prefix)
            )
        return self._segments[key]


def _meet(one: Iterable[Prefix], other: tuple[Prefix, ...]) -> bool:
    return any(prefix.overlaps(each) for prefix in one for each in other)


def _several(arrivals: Iterable[Arrival]) -> str:
    return " and ".join(printable(name) for name in sorted({arrival.host for arrival in arrivals}))
