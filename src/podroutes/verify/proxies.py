"""Finds machines that may answer for other addresses: proxies, and machines with local routes for whole networks."""

from functools import cached_property

from podroutes.model.address import BITS, Address, Prefix
from podroutes.model.host import LOOPBACK, Host
from podroutes.model.linux import RouteProtocol
from podroutes.model.route import Route
from podroutes.verify.lookup import is_custom_local
from podroutes.verify.network import Network

_KERNEL = int(RouteProtocol.KERNEL)


class Proxies:
    """Finds these machines in one cluster."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._silence: dict[tuple[tuple[Prefix, ...], int, Address | None], bool] = {}

    def odd(self, version: int) -> list[str]:
        """Return the machines that may answer for more than their own addresses."""
        return self._odd4 if version == 4 else []

    def proxies(self, version: int) -> list[str]:
        """Return the machines that have proxy ARP."""
        return list(self._proxies4) if version == 4 else []

    def may_be_on(self, segment: tuple[Prefix, ...], name: str) -> bool:
        """Return whether a machine is on the link of SEGMENT, or has a device that may be, since it has no address."""
        if self.network.on_wire(segment, name):
            return True
        host = self.network.hosts[name]
        addressed = {address.dev for address in host.addresses if address.address.version == 4}
        return any(
            dev not in addressed
            and dev != LOOPBACK
            and dev not in host.masters
            and host.works(dev)
            and host.attached(dev)
            for dev in host.links
        )

    def silent(self, segment: tuple[Prefix, ...], version: int, besides: Address | None = None) -> bool:
        """Return whether certainly no machine on the link of SEGMENT answers for others: all are known, and none is a proxy.

        BESIDES is an address that no machine has.
        """
        key = segment, version, besides
        if key not in self._silence:
            strangers = {
                hop.via
                for route in self.network.shared.routes()
                for hop in route.next_hops
                if hop.via and not self.network.owners(hop.via) and not self.network.closed
            }
            unknown = {*strangers, *self.network.unseen_addresses} - {besides}
            self._silence[key] = not any(subnet.covers(each) for subnet in segment for each in unknown) and all(
                self.never(host, dev, version)
                for host in self.network.hosts.values()
                for dev in self.network.on_wire(segment, host.name)
            )
        return self._silence[key]

    @cached_property
    def none(self) -> dict[int, bool]:
        """Return whether no machine answers for others, on any device; by IP version."""
        hosts = self.network.hosts.values()
        return {
            version: all(self.never(host, dev, version) for host in hosts for dev in host.links) for version in (4, 6)
        }

    def never(self, host: Host, dev: str, version: int) -> bool:
        """Return whether HOST never answers for others on DEV."""
        key = "proxy_arp" if version == 4 else "proxy_ndp"
        if host.forwards(version, dev) is False:
            return True
        proxied = host.neighbours.proxied if host.neighbours else None
        if proxied is not None:
            listed = any(each in (dev, "") and address.version == version for each, address in proxied)
            return not listed if version == 6 else not listed and host.either(version, dev, key) == 0
        return host.either(version, dev, key) == 0

    @cached_property
    def _odd4(self) -> list[str]:
        """The machines that may answer ARP for more than their own addresses: a local route, or proxy ARP against the subnet."""
        shared = self.network.shared
        routes = self.network.underlay.items()
        local = {
            key: route
            for key, route in routes
            if route.kind == "local" and (route.dst.length < BITS[4] or is_custom_local(route))
        }
        strange = {key: route for key, route in routes if route.kind == "unicast" and route.dst.length and route.via}
        return [
            name
            for name, host in self.network.hosts.items()
            if shared.held(host, local) or (self._proxies4.get(name) and shared.held(host, strange))
        ]

    @cached_property
    def _proxies4(self) -> dict[str, bool]:
        return {
            name: True
            for name, host in self.network.hosts.items()
            if any(value and key.endswith(".proxy_arp") for key, value in host.sysctls.items())
            or (host.neighbours and any(each.version == 4 for _, each in host.neighbours.proxied or ()))
        }

    @cached_property
    def broadcasts(self) -> dict[int, Route]:
        """Broadcast routes that were added by a person: their packets go to all machines on a link, arp_constructor()."""
        return {
            key: route
            for key, route in self.network.underlay.items()
            if route.kind in ("broadcast", "multicast") and route.dst.version == 4 and route.protocol != _KERNEL
        }
