"""Decides which machines answer ARP and neighbour solicitation, on which device, for which address.

See arp_process() (net/ipv4/arp.c) and ndisc_recv_ns() (net/ipv6/ndisc.c).
"""

from podroutes.model.address import Address
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import LOCAL, LOOPBACK, Host
from podroutes.verify.lookup import MULTICAST6, Tables
from podroutes.verify.network import Network
from podroutes.verify.reverse_path import source_verdict
from podroutes.verify.wires import Arrival

_NEVER = 8  # arp_ignore: do not reply for any local address
_SOLICITED_NODE = 0xFF02 << 112 | 0x1FF << 24  # ff02::1:ff00:0/104, RFC 4291 section 2.7.1


class Answers:
    """Decides this for one cluster. All methods return None if the answer is unknown."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def on_wire(self, arrival: Arrival, target: Address, source: Address | None) -> bool | None:
        """Return whether a machine answers on a device for TARGET, asked by SOURCE; None if unknown."""
        host, dev = self.network.hosts[arrival.host], self.input_device(arrival)
        if dev is None or not host.medium(arrival.iif).resolves:
            return None
        if not (host.works(arrival.iif) and host.attached(arrival.iif) and host.works(dev)):
            return False
        if host.selects(dev):
            return None
        if target.version == 6:
            return self._advertises(host, dev, target)
        near = any(subnet.covers(target) for subnet in self.network.segment(*arrival))
        tables = self.network.close(host.name, 4) if near else self.network.look(host.name, target)
        return self._replies(host, dev, target, source, tables)

    def for_attached(self, host: Host, dev: str, target: Address, source: Address, tables: Tables) -> bool | None:
        """Return whether HOST answers on DEV for TARGET, asked by SOURCE, which is attached there. TABLES decide about TARGET."""
        if not host.medium(dev).resolves:
            return None
        if target.version == 6:
            return self._advertises(host, dev, target)
        return self._replies(host, dev, target, source, tables)

    def input_device(self, arrival: Arrival) -> str | None:
        """Return the incoming device of packets that arrive on ARRIVAL, which may be a bridge port; None: unknown."""
        host = self.network.hosts[arrival.host]
        master = host.masters.get(arrival.iif)
        if master is None:
            return arrival.iif
        return master if host.medium(master).kind == "bridge" else None

    def _replies(self, host: Host, dev: str, target: Address, source: Address | None, tables: Tables) -> bool | None:
        """Return whether HOST replies to an ARP request for TARGET on DEV: arp_process()."""
        decision = tables.decide(Flow(target, source, dev))
        if decision.kind == "local":
            if (ignored := self._ignored(host, dev, target)) is not False:
                return None if ignored is None else False
            out = LOOPBACK
        elif (
            decision.kind == "unicast"
            and dev not in [hop.dev for hop in decision.hops]
            and host.forwards(4, dev) is not False
        ):
            proxies = host.either(4, dev, "proxy_arp")
            if not proxies and not self._listed(host, dev, target):
                return None if proxies is None else False
            out = str(decision.hops[0].dev)
        else:
            return None if decision.kind == "unknown" else False
        fault = source_verdict(tables, Flow(target, source, dev), Flow(source, target, out)).fault if source else ""
        return None if fault in ("unknown", "asymmetric") else not fault

    def _listed(self, host: Host, dev: str, target: Address) -> bool | None:
        """Return whether HOST was told to answer for TARGET: `ip neigh add proxy`; None if that was not collected."""
        proxied = host.neighbours.proxied if host.neighbours else None
        return None if proxied is None else not proxied.isdisjoint({(dev, target), ("", target)})

    def _ignored(self, host: Host, dev: str, target: Address) -> bool | None:
        """Return whether arp_ignore stops a machine from answering on DEV for its address TARGET; Documentation/networking/ip-sysctl.rst."""
        ignore = host.either(4, dev, "arp_ignore")
        if any(each.address == target and each.dev == dev for each in host.addresses):
            return ignore == _NEVER
        return None if ignore is None else ignore > 0

    def _advertises(self, host: Host, dev: str, target: Address) -> bool | None:
        if not any(each.address == target and each.dev == dev for each in host.addresses):
            proxies, listed = host.either(6, dev, "proxy_ndp"), self._listed(host, dev, target)
            if listed is not None and proxies is not None and host.forwards(6, dev) is not None:
                return listed and bool(proxies) and host.forwards(6, dev)
            return None if proxies != 0 and host.forwards(6, dev) is not False else False
        if self.network.close(host.name, 6).local_first and self.network.receives6(host, MULTICAST6, dev):
            return True
        group = Address(6, _SOLICITED_NODE | target.value & 0xFFFFFF)
        kind = self.network.look(host.name, group).decide(Flow(group, None, dev)).kind
        collected = any(route.table == LOCAL for route in host.routes)
        return None if kind == "unknown" or not collected else kind == "multicast"
