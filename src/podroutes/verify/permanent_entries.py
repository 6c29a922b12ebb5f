"""Finds neighbour entries that lead elsewhere than ARP and neighbour discovery would: written by a person or program, or learnt."""

from collections.abc import Callable, Collection, Iterator

from podroutes.model.address import LINK_LOCAL, Address
from podroutes.model.host import LOOPBACK, Host, Neighbour
from podroutes.verify.network import Network
from podroutes.verify.wires import Arrival

Key = tuple[str, Address]  # device and address


class PermanentEntries:
    """Finds them in one cluster. PLAIN tells whether all machines on a link find an address at an arrival."""

    def __init__(self, network: Network, plain: Callable[[Arrival, Address], bool]) -> None:
        self.network = network
        self._plain = plain
        self._known: dict[str, dict[Key, Neighbour]] = {}

    def odd(self, host: Host) -> dict[Key, Neighbour]:
        """Return the neighbour entries of HOST that may differ from what ARP or neighbour discovery would find.

        Permanent ones decide; those of pods are as the CNI plugin made them, if all pods in the table have one. Others are remembered for a
        while: such a one has not the MAC address of the machine that has the IP address.
        """
        if host.name not in self._known:
            self._known[host.name] = dict(self._odd(host)) if host.neighbours else {}
        return self._known[host.name]

    def macs(self, name: str) -> Collection[str]:
        """Return the MAC addresses of a machine; none if not collected."""
        host = self.network.hosts[name]
        return host.macs.values()

    def leads_to(self, host: Host, dev: str, target: Address) -> Arrival | None:
        """Return the device of a machine that such an entry leads to; None if that cannot be told."""
        mate = self.network.wires.by_mac.get(self.odd(host)[dev, target].mac)
        usable = dev != LOOPBACK and host.attached(dev) and host.is_wire(dev) and dev not in host.masters
        return mate if mate and usable and self._on_wire(host, dev, mate) else None

    def _odd(self, host: Host) -> Iterator[tuple[Key, Neighbour]]:
        known = host.neighbours.entries if host.neighbours else {}
        yield from (
            (key, entry) for key, entry in known.items() if not entry.permanent and self._is_strange(key[1], entry)
        )
        if not any(entry.permanent for entry in known.values()):
            return
        pods = {key for key in known if self.network.has_pods(host.name, *key)}
        made = all(known[key].permanent for key in pods)
        for (dev, address), entry in known.items():
            if entry.permanent and not (made and (dev, address) in pods):
                mate = self.network.wires.by_mac.get(entry.mac)
                found = mate is not None and [owner.host for owner in self.network.owners(address)] == [mate.host]
                if not (found and mate and self._plain(mate, address) and self._on_wire(host, dev, mate)):
                    yield (dev, address), entry

    def _is_strange(self, address: Address, entry: Neighbour) -> bool:
        """Return whether a learnt entry has the MAC address of none of the machines with ADDRESS, which are known."""
        owners = [self.network.hosts[owner.host] for owner in self.network.owners(address)]
        return (
            bool(owners)
            and not LINK_LOCAL.covers(address)
            and all(owner.macs and entry.mac not in owner.macs.values() for owner in owners)
        )

    def _on_wire(self, host: Host, dev: str, mate: Arrival) -> bool:
        return mate.host != host.name and mate.iif in self.network.on_wire(
            self.network.segment(host.name, dev), mate.host
        )
