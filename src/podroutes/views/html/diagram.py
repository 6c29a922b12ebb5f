"""The cluster as a map: each network as a wire, the nodes hanging on it, faults marked."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import Host
from podroutes.model.text import listing
from podroutes.views.html.grid import FAILING, Grid
from podroutes.views.html.markup import Html, joined, tag
from podroutes.views.html.report import Report

_CARDS, _CHIPS = 24, 120  # nodes up to which each is a card with its addresses, or at least its name
_MOST = 1_000  # nodes that are drawn
_MUCH = 0.1  # of a node's pairs; less is a matter of others rather than its own
_KEY = {
    "fault": "a fault is here",
    "cut": f"{_MUCH:.0%} or more of its pairs fail",
    "touched": "some of its pairs fail",
    "unseen": "tables not collected",
    "warned": "a warning",
    "fine": "all well",
}
_NOT_COLLECTED = {"tables-not-seen", "sysctls-not-seen"}


class Standing:
    """How each node fares: what fails from it and to it, and what is wrong on it."""

    def __init__(self, report: Report, grid: Grid) -> None:
        self.place = {name: row for row, name in enumerate(grid.rows)}
        self.unseen = set(report.proof.unseen)
        self._from = grid.failing_from()
        self.to_column = grid.failing_to()
        self._to: Counter[str] = Counter()
        for target, failing in zip(grid.columns, self.to_column, strict=True):
            self._to[target.owner] += failing
        self.faults: dict[str, dict[str, None]] = defaultdict(dict)
        self.warnings: dict[str, dict[str, None]] = defaultdict(dict)
        for finding in report.proof.findings:
            if finding.cause.code in _NOT_COLLECTED:  # no fault of a machine
                continue
            names_by_node = self.faults if finding.cause.severity in FAILING else self.warnings
            names_by_node[finding.cause.node][finding.cause.code] = None

    def outgoing(self, name: str) -> int:
        """How many targets the node NAME does not reach."""
        return self._from[self.place[name]] if name in self.place else 0

    def incoming(self, name: str) -> int:
        """How many pairs of other nodes with its pod CIDRs fail."""
        return self._to[name]

    def state(self, name: str) -> str:
        """Return the one word for it; the worst that holds."""
        if name in self.faults:
            return "fault"
        if name in self.unseen:
            return "unseen"
        if lost := self.outgoing(name) + self.incoming(name):
            return "cut" if lost >= _MUCH * (len(self.place) + len(self.to_column)) else "touched"
        return "warned" if name in self.warnings else "fine"

    def words(self, name: str) -> str:
        """Return it in a few words."""
        phrases = [
            f"fault here: {', '.join(self.faults[name])}" if name in self.faults else "",
            f"{self.outgoing(name)} not reached from here" if self.outgoing(name) else "",
            f"not reached by {self.incoming(name)}" if self.incoming(name) else "",
            "tables not collected" if name in self.unseen else "",
            f"warning: {', '.join(self.warnings[name])}" if name in self.warnings else "",
        ]
        return " · ".join(filter(None, phrases)) or "all well"


def diagram(report: Report, standing: Standing) -> Html:
    """Return the map of all nodes; of a very large cluster, of those with something to say."""
    nodes = list({node.name: node for node in report.cluster.nodes}.values())
    shown = nodes
    note = Html()
    if len(nodes) > _MOST:
        marked = [node for node in nodes if standing.state(node.name) != "fine"]
        shown = marked[:_MOST]
        left = len(marked) - len(shown)
        note = tag(
            "p",
            f"{len(nodes):,} nodes are too many to draw. These are the {len(shown):,} that have a fault, fail to reach or to be "
            f"reached, or whose tables were not collected"
            + (f"; {left:,} more of that kind are left out" if left else "")
            + f". With the other {len(nodes) - len(marked):,} all is well.",
            class_="note",
        )
    size = "cards" if len(shown) <= _CARDS else "chips" if len(shown) <= _CHIPS else "dots"
    groups: dict[tuple[Prefix, ...], list[Node]] = {}
    wires = networks(report.cluster, report.hosts)
    for node in shown:
        groups.setdefault(wires[node.name], []).append(node)
    states = {standing.state(node.name) for node in shown}
    key = [tag("span", tag("i", class_=f"node {state}"), means) for state, means in _KEY.items() if state in states]
    return joined(
        note,
        tag("p", *key, class_=f"key {size}"),
        *(_wire(prefixes, those, report, standing, size) for prefixes, those in groups.items()),
    )


def networks(cluster: Cluster, hosts: Mapping[str, Host]) -> dict[str, tuple[Prefix, ...]]:
    """Return for each node the networks of its InternalIPs: from its own tables, or else from those of others."""
    internal = {address for node in cluster.nodes for address in node.internal_ips}
    own = {
        (name, address.address): address.prefix
        for name, host in hosts.items()
        for address in host.addresses
        if address.address in internal
    }
    lengths = sorted({*own.values(), *cluster.node_cidrs}, key=lambda each: -each.length)

    def network(name: str, address: Address) -> Prefix | None:
        return own.get((name, address)) or next((length for length in lengths if length.covers(address)), None)

    return {
        node.name: tuple(
            dict.fromkeys(found for address in node.internal_ips if (found := network(node.name, address)))
        )
        for node in cluster.nodes
    }


def _wire(prefixes: Sequence[Prefix], nodes: Sequence[Node], report: Report, standing: Standing, size: str) -> Html:
    names = {node.name for node in report.cluster.nodes}
    routers = [
        f"{host.name} ({address.address})"
        for host in report.hosts.values()
        if host.name not in names
        for address in host.addresses
        if address.prefix in prefixes
    ]
    title = " · ".join(map(str, prefixes)) or "network not known"
    count = f"{len(nodes):,} node{'s' * (len(nodes) != 1)}" + (f", router {listing(routers)}" if routers else "")
    return tag(
        "section",
        tag("h3", tag("b", title), " ", tag("span", count)),
        tag("ul", *(tag("li", _node(node, standing, size)) for node in nodes), class_=size),
        class_="wire",
    )


def _node(node: Node, standing: Standing, size: str) -> Html:
    state, says = standing.state(node.name), standing.words(node.name)
    pods = ", ".join(map(str, node.pod_cidrs)) or "no pods"
    inside: list[Html] = []
    if size != "dots":
        inside = [tag("b", node.name)]
    if size == "cards":
        inside += [
            tag("span", ", ".join(map(str, node.internal_ips)) or "no InternalIP", class_="ip"),
            *(tag("span", str(cidr), class_="pods") for cidr in node.pod_cidrs),
            *(() if node.pod_cidrs else (tag("span", "no pods", class_="pods none"),)),
            tag("em", says),
        ]
    return tag(
        "button",
        *inside,
        type="button",
        class_=f"node {state}",
        data_row=standing.place.get(node.name),
        title=f"{node.name}: {says}" if size != "cards" else None,
        aria_label=f"{node.name}, {pods}: {says}" if size != "cards" else None,
        aria_pressed="false",
    )
