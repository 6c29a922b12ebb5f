"""Machines on paper: what a node has that is set up right, and changes to it in few words."""

from collections.abc import Iterable, Mapping

from podroutes.model.address import BITS, network, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import DEFAULT_RULES, LOCAL, Host
from podroutes.model.route import NextHop, Route
from support.notation import address, link, route


def connected(text: str, dev: str) -> list[Route]:
    """Return the routes that the kernel makes for an address."""
    each = address(f"{text} dev {dev}")
    alone = network(each.address, BITS[each.address.version])
    return [
        Route(each.prefix, (NextHop(None, dev),), protocol=2, scope=253, prefsrc=each.address),
        Route(alone, (NextHop(None, dev),), protocol=2, table=LOCAL, kind="local", scope=254),
    ]


def settings(devices: Iterable[str]) -> dict[str, int]:
    """Return the sysctls of a machine that forwards and filters nothing."""
    values = {"rp_filter": 0, "proxy_arp": 0, "arp_ignore": 0, "accept_local": 0}
    return {
        "net.ipv4.ip_forward": 1,
        **{f"net.ipv4.conf.{dev}.{key}": value for dev in ("all", *devices) for key, value in values.items()},
    }


def host(name: str, addresses: Mapping[str, str], routes: Iterable[Route] = ()) -> Host:
    """Return a machine with ADDRESSES by device."""
    return Host(
        name,
        {dev: link(dev, number) for number, dev in enumerate(("lo", *addresses), 1)},
        {},
        tuple(address(f"{text} dev {dev}") for dev, text in addresses.items()),
        DEFAULT_RULES,
        (*(each for dev, text in addresses.items() for each in connected(text, dev)), *routes),
        {},
        {},
        settings(("lo", *addresses)),
    )


def worker(own: Node, nodes: Cluster) -> Host:
    """Return a node with a default route and one to each neighbour's pods."""
    internal = own.internal_ips[0]
    addresses = {"ens18": f"{internal}/24"}
    if own.pod_cidrs:
        addresses["cni0"] = f"{own.pod_cidrs[0]._replace(value=own.pod_cidrs[0].value + 1)}".replace("/32", "/24")
    lan = network(internal, 24)
    routes = [route(f"0.0.0.0/0 via {internal._replace(value=lan.value + 1)} dev ens18 proto static")]
    others = [each for each in nodes.nodes if each != own and each.pod_cidrs and lan.covers(each.internal_ips[0])]
    routes += [route(f"{other.pod_cidrs[0]} via {other.internal_ips[0]} dev ens18") for other in others]
    return host(own.name, addresses, routes)


def changed(machine: Host, words: Iterable[str]) -> Host:
    """Return MACHINE after some changes.

    ``-PREFIX``: no such route, ``!DEV``: no such device, ``?DEV``: no carrier, ``+DEV ADDRESS``: another device,
    ``net.…=N``: a sysctl; ``-net.…``: a sysctl that was not collected; anything else is a route to add.
    """
    for word in words:
        if word.startswith("-net."):
            machine = machine._replace(
                sysctls={key: value for key, value in machine.sysctls.items() if key != word[1:]}
            )
        elif word.startswith("-"):
            gone = parse_prefix(word[1:].replace("default", "0.0.0.0/0"))
            machine = machine._replace(routes=tuple(each for each in machine.routes if each.dst != gone))
        elif word.startswith("!"):
            machine = machine._replace(
                links={name: each for name, each in machine.links.items() if name != word[1:]},
                routes=tuple(each for each in machine.routes if each.dev != word[1:]),
                addresses=tuple(each for each in machine.addresses if each.dev != word[1:]),
            )
        elif word.startswith("?"):
            machine = machine._replace(links={**machine.links, word[1:]: link(word[1:], 9, carrier=False)})
        elif word.startswith("+"):
            dev, text = word[1:].split()
            machine = machine._replace(
                links={**machine.links, dev: link(dev, 9)},
                addresses=(*machine.addresses, address(f"{text} dev {dev}")),
                routes=(*machine.routes, *connected(text, dev)),
                sysctls={**settings([dev]), **machine.sysctls},
            )
        elif word.startswith("net."):
            key, _, value = word.partition("=")
            machine = machine._replace(sysctls={**machine.sysctls, key: int(value)})
        else:
            machine = machine._replace(routes=(*machine.routes, route(word)))
    return machine


def paper(nodes: Cluster, changes: Mapping[str, Iterable[str]]) -> list[Host]:
    """Return every node of NODES, with CHANGES by name (``worker_0`` for worker-0)."""
    return [changed(worker(node, nodes), changes.get(node.name.replace("-", "_"), ())) for node in nodes.nodes]


ROUTER = host(
    "router",
    {"lan8": "192.168.8.1/24", "lan9": "192.168.9.1/24"},
    [route("10.200.0.0/24 via 192.168.8.20 dev lan8"), route("10.200.1.0/24 via 192.168.9.21 dev lan9")],
)
