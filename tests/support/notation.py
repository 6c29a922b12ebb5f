"""Routes and nodes written the way ip(8) and the inventory write them, so that tests read like the field."""

from podroutes.model.address import network, parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import IfAddress, Link
from podroutes.model.plan import Change, Plan
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import examine
from podroutes.plan.planning import plan_here

PROTOCOLS = {"kernel": 2, "boot": 3, "static": 4, "podroutes": 107}


def route(text: str) -> Route:
    """Read ``10.200.1.0/24 via 192.168.8.21 dev ens18 [proto NAME] [metric N] [tos N] [scope link] [table N]``."""
    head, *words = text.split()
    kind = "unicast"
    if head.isalpha():
        kind, (head, *words) = head, words
    options = dict(zip(words[::2], words[1::2], strict=True))
    dst = parse_prefix(head)
    via = parse_address(options["via"]) if "via" in options else None
    return Route(
        dst,
        (NextHop(via, options.get("dev")),) if kind in ("unicast", "local") else (),
        int(options.get("metric", 1024 if dst.version == 6 else 0)),
        PROTOCOLS[options.get("proto", "podroutes")],
        int(options.get("table", 254)),
        kind,
        253 if options.get("scope") == "link" else 0,
        int(options.get("tos", "0")),
    )


def node(text: str) -> Node:
    """Read ``NAME ADDRESS[,ADDRESS] [CIDR[,CIDR]]``."""
    name, addresses, *cidrs = text.split()
    return Node(
        name,
        tuple(map(parse_address, addresses.split(","))) if addresses != "-" else (),
        tuple(map(parse_prefix, cidrs[0].split(","))) if cidrs else (),
    )


def cluster(*nodes: str, **limits: str) -> Cluster:
    """Read one node a line, and limits such as ``pod_cidrs="10.200.0.0/16"``."""
    return Cluster(
        tuple(map(node, nodes)),
        source="nodes.yaml",
        **{name: tuple(map(parse_prefix, text.split(","))) for name, text in limits.items()},
    )


def address(text: str) -> IfAddress:
    """Read ``192.168.8.20/24 dev ens18``."""
    head, _, dev = text.split()
    host, _, length = head.partition("/")
    return IfAddress(parse_address(host), int(length), dev)


def link(name: str, ifindex: int = 2, *, up: bool = True, carrier: bool = True) -> Link:
    """Return a link, up unless told otherwise."""
    return Link(ifindex, name, up=up, carrier=carrier)


def planned(inventory: Cluster, kernel: object, own: str = "worker-0", *, adopt: bool = False) -> Plan:
    """Return the plan of node OWN against KERNEL."""
    here = next(each for each in inventory.nodes if each.name == own)
    return plan_here(examine(inventory), here, kernel.snapshot(), adopt=adopt).plan


def shown(change: Change) -> str:
    """Write a change the way a plan does: ``add 10.200.1.0/24 via 192.168.8.21 dev ens18``."""
    what = change.route
    metric = f" metric {what.metric}" if what.metric not in (0, 1024) else ""
    was = f" was {change.was.via}" if change.was else ""
    return f"{change.action} {what.dst} via {what.via} dev {what.dev}{metric}{was}"


SEED = cluster(
    "worker-0 192.168.8.20 10.200.0.0/24",
    "worker-1 192.168.8.21 10.200.1.0/24",
    "worker-2 192.168.8.22 10.200.2.0/24",
)
__all__ = ["SEED", "address", "cluster", "link", "network", "node", "planned", "route", "shown"]
