"""Finds the receivers of packets to a next hop, by ARP and neighbour discovery, as far as tables show.

See arp_solicit() (net/ipv4/arp.c), ndisc_solicit() and ndisc_recv_na() (net/ipv6/ndisc.c). Static neighbour entries are not
collected, so results that depend on them are unknown.
"""

from typing import NamedTuple

from podroutes.model.address import BITS, LINK_LOCAL, Address, Prefix, network
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import DEFAULT_RULES, LOCAL, LOOPBACK, Host
from podroutes.model.route import NextHop
from podroutes.model.text import printable
from podroutes.verify.answers import Answers
from podroutes.verify.network import Network
from podroutes.verify.permanent_entries import PermanentEntries
from podroutes.verify.pods import selecting
from podroutes.verify.proxies import Proxies
from podroutes.verify.targets import parts
from podroutes.verify.wires import Arrival


class Lost(NamedTuple):
    """A packet cannot be followed. ``fate`` is a Fate of ``forwarding_path``, ``detail`` names a device, an address or a node."""

    fate: str
    detail: str = ""


class Neighbours:
    """Finds receivers in one cluster."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.answers = Answers(network)
        self.proxies = Proxies(network)
        self._senders: dict[tuple[str, str, int], Lost | None] = {}
        self._plain: dict[tuple[Arrival, Address], bool] = {}
        self._found: dict[tuple[str, str | None, Address], list[Arrival | Lost]] = {}
        self.permanent = PermanentEntries(network, self.plain)

    def receivers(self, sender: Host, hop: NextHop, flow: Flow) -> list[Arrival | Lost]:
        """Return the possible arrivals of a packet of FLOW that SENDER sends to HOP; several: one of them, unknown which."""
        if hop.via is None or (flow.src is not None and sender.owns(flow.src)):
            return self._remembered(sender, hop, flow)
        key = sender.name, hop.dev, hop.via
        if key not in self._found:
            self._found[key] = self._remembered(sender, hop, flow)
        return self._found[key]

    def _remembered(self, sender: Host, hop: NextHop, flow: Flow) -> list[Arrival | Lost]:
        """Return them; where nobody answers SENDER may still know the next hop from before."""
        dev, target = str(hop.dev), hop.via or flow.dst
        found = self._receivers(sender, hop, flow)
        lost = found[0]
        if not isinstance(lost, Lost) or lost.fate not in ("no-neighbour", "bridge-port") or not sender.attached(dev):
            return found
        known = self.network.cached(sender, dev, target)
        if known is False:
            return found
        if lost.fate == "bridge-port":
            return [Lost("bridge-port-remembered", dev)]
        remembers = "remembers" if known else "may remember"
        return [Lost("remembered", f"{lost.detail}, but {printable(sender.name)} {remembers} who had {target}")]

    def _receivers(self, sender: Host, hop: NextHop, flow: Flow) -> list[Arrival | Lost]:
        dev, target = str(hop.dev), hop.via or flow.dst
        odd = self.permanent.odd(sender).get((dev, target))
        if odd and odd.permanent:
            mate = self.permanent.leads_to(sender, dev, target)
            return [mate or Lost("unknown", f"{printable(sender.name)} has a permanent neighbour entry for {target}")]
        segment = self.network.segment(sender.name, dev)
        apart = not segment or (hop.via is None and self.network.has_pods(sender.name, dev, target))
        if hop.via is None and apart and dev != LOOPBACK and sender.is_wire(dev):
            return [Lost("on-link", dev)]
        if fault := self.sends(sender, dev, target.version) or _is_itself(sender, dev, target):
            return [fault]
        owners = [owner for owner in self.network.owners(target) if owner.host != sender.name]
        found = list[Arrival | Lost]()
        source = _arp_source(sender, dev, target, flow.src)
        others = [*self.proxies.odd(target.version), *([] if owners else self.proxies.proxies(target.version))]
        for name in dict.fromkeys([*(owner.host for owner in owners), *others]):
            found += self._answering(name, target, segment, source) if name != sender.name else ()
        if odd and not any(isinstance(each, Arrival) and odd.mac in self.permanent.macs(each.host) for each in found):
            found.append(
                Lost(
                    "unknown", f"{printable(sender.name)} remembers {odd.mac} for {target}, which is another machine's"
                )
            )
        if self.network.wires.is_doubtful(sender.name, dev, target):
            found.append(
                Lost(
                    "unknown",
                    f"several devices of {printable(sender.name)} have the network of {target}, and not all may be on it",
                )
            )
        for name in self.proxies.odd(target.version):
            if name == sender.name or self.network.on_wire(segment, name):
                continue
            if self.proxies.may_be_on(segment, name):
                found.append(
                    Lost(
                        "unknown",
                        f"whether {printable(name)}, which takes {target}, is on the network of {printable(dev)}",
                    )
                )
        return list(dict.fromkeys(found)) or [self._nobody(sender, hop, target, owners)]

    def _answering(
        self, name: str, target: Address, segment: tuple[Prefix, ...], source: Address | None
    ) -> list[Arrival | Lost]:
        """Return the possible arrivals at the machine NAME of a packet that SOURCE sends on the link of SEGMENT."""
        found, host = list[Arrival | Lost](), self.network.hosts[name]
        devices = self.network.on_wire(segment, name)
        for each in devices:
            answer = self.answers.on_wire(Arrival(name, each), target, source)
            if answer:
                found.append(Arrival(name, str(self.answers.input_device(Arrival(name, each)))))
            elif answer is None:
                named = f"{printable(each)} of {printable(name)}"
                found.append(Lost("unknown", f"whether {named} answers for {target} cannot be told"))
        if not found and target.version == 4 and host.owns(target) and any(map(host.works, devices)):
            # a machine learns the sender of an ARP request: arp_process()
            found.append(
                Lost("unknown", f"{printable(name)} does not answer for {target}, and is known only after it asked")
            )
        return found

    def _nobody(self, sender: Host, hop: NextHop, target: Address, owners: list[Arrival]) -> Lost:
        """Return the fate of a packet if no known machine answers for TARGET."""
        dev = str(hop.dev)
        segment = self.network.segment(sender.name, dev)
        near = [(owner.host, each) for owner in owners for each in self.network.on_wire(segment, owner.host)]
        if near:
            working = [host for host, each in near if self.network.hosts[host].works(each)]
            if not working:
                return Lost("link-down", f"{near[0][1]} of {near[0][0]}")
            return Lost("no-neighbour", f"{working[0]} does not answer for {target}")
        if owners:
            return self._far(dev, target, owners)
        if (node := self.network.unseen_node(target)) is not None:
            return Lost("unseen", node)
        node = self.network.claimed_by(target)
        if (
            node is not None
            and self.proxies.none[target.version]
            and self.proxies.silent(segment, target.version, target)
        ):
            return Lost("no-neighbour", f"{printable(node)} has no address {target} any more, and nobody else has it")
        if self._is_nobodys(sender, dev, target):
            return Lost("no-neighbour", f"no machine has the address {target}")
        if hop.via is not None:
            return Lost("left", str(target))
        if self.proxies.silent(segment, target.version):
            return Lost("on-link", dev)
        return Lost("unknown", f"somebody on the network of {printable(dev)} may answer for {target}")

    def _far(self, dev: str, target: Address, owners: list[Arrival]) -> Lost:
        """Return the fate of a packet to an address that its OWNERS have in no network of DEV."""
        if all(self._hidden(owner, target.version) for owner in owners):
            return Lost(
                "no-neighbour",
                f"{owners[0].host} has {target} on {printable(owners[0].iif)}, where {printable(dev)} does not find it",
            )
        several = " and ".join(printable(name) for name in sorted({owner.host for owner in owners}))
        return Lost("unknown", f"{several} has the address {target}, but in no network of {printable(dev)}")

    def _is_nobodys(self, sender: Host, dev: str, target: Address) -> bool:
        """Return whether all machines are known, nobody answers for TARGET, and SENDER does not remember anybody who did."""
        segment, version = self.network.segment(sender.name, dev), target.version
        silent = self.proxies.none[version] or (bool(segment) and self.proxies.silent(segment, version))
        pods = self.network.is_of_pods(network(target, BITS[version]))  # which are no machines
        return self.network.closed and not pods and silent and self.network.cached(sender, dev, target) is False

    def _hidden(self, owner: Arrival, version: int) -> bool:
        """Return whether a machine has an address where no other machine finds it: on no link to one.

        For IPv6 it answers only on the device of the address, for IPv4 on all that work.
        """
        host = self.network.hosts[owner.host]
        inside = [
            dev
            for dev in host.links
            if dev == LOOPBACK
            or not host.works(dev)
            or any(self.network.wires.is_pod_bridge(host.name, each) for each in (dev, host.masters.get(dev, dev)))
        ]
        if version == 4:
            return len(inside) == len(host.links)
        return owner.iif in inside and all(self.proxies.never(host, dev, 6) for dev in host.links)

    def sends(self, sender: Host, dev: str, version: int) -> Lost | None:
        """Return why SENDER finds no neighbour, or an unknown one, on the link of DEV; None if neighbour discovery works as usual."""
        key = sender.name, dev, version
        if key not in self._senders:
            self._senders[key] = self._sender_fault(sender, dev, version)
        return self._senders[key]

    def plain(self, arrival: Arrival, address: Address) -> bool:
        """Return whether all machines on the link find ADDRESS at ARRIVAL, and no other machine answers for it."""
        key = arrival, address
        if key not in self._plain:
            self._plain[key] = self._is_plain(arrival, address)
        return self._plain[key]

    def _is_plain(self, arrival: Arrival, address: Address) -> bool:
        host, segment = self.network.hosts[arrival.host], self.network.segment(*arrival)
        if not (host.works(arrival.iif) and host.attached(arrival.iif) and segment) or arrival.iif in host.masters:
            return False
        if len([dev for dev in self.network.on_wire(segment, arrival.host) if host.works(dev)]) > 1:
            return False
        if any(
            name != arrival.host and self.proxies.may_be_on(segment, name) for name in self.proxies.odd(address.version)
        ):
            return False
        for name in self.network.doubles(arrival.host):  # a machine does not answer a request from its own address
            if self.network.on_wire(segment, name) and not self._asks(host, arrival.iif, self.network.hosts[name]):
                return False
        if address.version == 6:
            return bool(self.answers.on_wire(arrival, address, None))
        askers = (who for subnet in segment if subnet.version == 4 for who in self._askers(arrival.host, subnet))
        return all(self.answers.on_wire(arrival, address, who) for who in askers)

    def _asks(self, host: Host, dev: str, other: Host) -> bool:
        """Return whether HOST sends ARP requests for the address of OTHER, to forward packets of its pods."""
        theirs = {each.address for each in other.addresses}
        routes = self.network.shared.pick(host, self.network.shared.with_gateway)
        asks = any(hop.via in theirs and hop.dev == dev for route in routes for hop in route.next_hops)
        return asks and host.rules.get(4) == DEFAULT_RULES[4]

    def _askers(self, name: str, subnet: Prefix) -> list[Address]:
        """Return an address for each part of SUBNET that a machine's routes distinguish, if neighbours may have it."""
        inside = {route.dst for route in self.network.close(name, 4).routes if subnet.covers(route.dst)}
        ends = (
            {Prefix(4, subnet.value, BITS[4]), Prefix(4, subnet.last, BITS[4])}
            if subnet.length < BITS[4] - 1
            else set()
        )
        found = parts(subnet, (inside | ends) - {subnet})
        host = self.network.hosts[name]
        return [who for part, who in found if part not in ends and host.owns(who) is None]

    def _sender_fault(self, sender: Host, dev: str, version: int) -> Lost | None:
        named = f"{printable(dev)} of {printable(sender.name)}"
        if dev == LOOPBACK:
            return Lost("loop", sender.name)
        if not sender.attached(dev):
            return Lost("no-neighbour", f"nothing is attached to {named}")
        if master := sender.masters.get(dev):
            if sender.medium(master).kind == "bridge":
                return Lost("bridge-port", dev)
            return Lost("unknown", f"{named} belongs to {printable(master)}, which takes what comes in")
        if not (wire := sender.is_wire(dev)):
            why = "chooses its peers by itself, as tunnels and devices without ARP do"
            return Lost(
                "unknown", f"{named} {'is of a type that was not collected (`ip -j -d link`)' if wire is None else why}"
            )
        if sender.selects(dev):
            return Lost("unknown", selecting(sender, dev))
        if version == 4 and self.network.shared.held(sender, self.proxies.broadcasts):
            return Lost("unknown", f"{printable(sender.name)} has a broadcast or multicast route to its own network")
        return self._deaf(sender, dev, named) if version == 6 else None

    def _deaf(self, sender: Host, dev: str, named: str) -> Lost | None:
        """Return why SENDER does not receive neighbour advertisements, None if it does."""
        own = next(
            (each.address for each in sender.addresses if each.dev == dev and LINK_LOCAL.covers(each.address)), None
        )
        if own is None:
            return Lost("no-neighbour", f"{named} has no link-local address")
        if self.network.close(sender.name, 6).local_first and self.network.receives6(
            sender, network(own, BITS[6]), dev
        ):
            return None
        kind = self.network.look(sender.name, own).decide(Flow(own, None, dev)).kind
        if kind == "unknown" or not any(route.table == LOCAL for route in sender.routes):
            return Lost("unknown", f"whether {named} takes answers to its own address cannot be told")
        if kind == "local":
            return None
        return Lost("no-neighbour", f"{named} does not take answers to its own address: table local is not asked first")


def _is_itself(sender: Host, dev: str, target: Address) -> Lost | None:
    """Return why SENDER ignores advertisements for TARGET: ndisc_recv_na() ignores those about its own address."""
    if target.version == 6 and any(each.address == target and each.dev == dev for each in sender.addresses):
        return Lost("no-neighbour", f"{sender.name} has the address {target} itself")
    return None


def _arp_source(sender: Host, dev: str, target: Address, src: Address | None) -> Address | None:
    """Return the source address of SENDER's ARP requests; inet_select_addr() of net/ipv4/devinet.c."""
    if target.version == 6:
        return None
    if src is not None and sender.owns(src) is not None:
        return src
    own = [each for each in sender.addresses if each.address.version == 4 and each.dev == dev]
    inside = [each for each in own if each.prefix.covers(target)]
    other = [each for each in sender.addresses if each.address.version == 4 and each.dev != LOOPBACK]
    return next((each.address for each in (*inside, *own, *other)), None)
