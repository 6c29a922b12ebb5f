"""A small cluster in namespaces of its own, changes to it as one types them, and what then becomes of real packets.

Nodes n0, n1, … have eth0 (and where they are in two networks eth1), the bridge cni0 and its port pod0, behind which their pod
p0, p1, … is. Network 8 is the switch's bridge br0, network 9 its br1; r0 is the router between them, with .1 in each.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import NamedTuple

from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.model.address import Address, Prefix, parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import Host
from podroutes.model.proof import Finding, Proof
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from support.waiting import until
from verify.spaces import FORWARDING, Packet, Spaces, ip_objects

LANS = {8: "br0", 9: "br1"}
ROUTER = "r0"


def lan(number: int, host: int, version: int) -> str:
    return f"192.168.{number}.{host}" if version == 4 else f"fd00:{number}::{host:x}"


def cidr(index: int, version: int) -> str:
    return f"10.200.{index}.0/24" if version == 4 else f"fd00:200:{index}::/64"


def pods(index: int, version: int) -> list[str]:
    """Return the addresses of the pod on node INDEX: one in either half of its pod CIDR."""
    return (
        [f"10.200.{index}.2", f"10.200.{index}.130"]
        if version == 4
        else [f"fd00:200:{index}::2", f"fd00:200:{index}:0:8000::2"]
    )


def gateway(index: int, version: int) -> str:
    return f"10.200.{index}.1" if version == 4 else f"fd00:200:{index}::1"


class Shape(NamedTuple):
    """Which networks each node is in (the first has its InternalIP), and whether there is a router.

    A node has a pod behind a bridge; one of ``routed`` has a host route to it instead, one of ``podless`` has none.
    """

    nodes: Mapping[str, tuple[int, ...]]
    router: bool = False
    routed: frozenset[str] = frozenset()
    podless: frozenset[str] = frozenset()


TWO = Shape({"n0": (8,), "n1": (8,)})
THREE = Shape({"n0": (8,), "n1": (8,), "n2": (8,)})
SAME = Shape({"n0": (8,), "n1": (8,)}, router=True)
APART = Shape({"n0": (8,), "n1": (9,)}, router=True)
BESIDE = Shape({"n0": (8,), "n1": (8, 9)}, router=True)
MIXED = Shape({"n0": (8, 9), "n1": (8,), "n2": (9,)}, router=True)


class Field(Spaces):
    """The machines of a shape, healthy to begin with."""

    def __init__(self, shape: Shape, version: int) -> None:
        self.shape, self.version = shape, version
        self.machines = [*shape.nodes, *([ROUTER] if shape.router else [])]
        self.hidden: set[str] = set()  # whose tables were not collected
        self.without_sysctls: set[str] = set()
        names = [f"p{name[1:]}" for name in shape.nodes if name not in shape.podless]
        super().__init__(["sw", *self.machines, *names])
        for name in self.machines:
            for path, value in FORWARDING.items():
                self.sysctl(name, path, value)
        self._wire()
        if version == 6:  # a packet is forwarded only out of a device that has a link-local address
            for name in self.machines:
                with self.inside(name):
                    until(_have_link_local, "devices have link-local addresses")
        self.listen([*self.machines, *names])

    @property
    def inventory(self) -> Cluster:
        """What an administrator has written down."""
        return Cluster(
            tuple(
                Node(
                    name,
                    (parse_address(lan(lans[0], 20 + int(name[1:]), self.version)),),
                    () if name in self.shape.podless else (parse_prefix(cidr(int(name[1:]), self.version)),),
                )
                for name, lans in self.shape.nodes.items()
            ),
            source="the field",
        )

    def do(self, changes: Iterable[str], *, strict: bool = True) -> None:
        """Make CHANGES: ``n1: route add …`` is ip(8) there, ``n0: sysctl ipv4/ip_forward 0``, ``n0: cable n1 DEVICE``.

        ``tables of n1 not collected`` and ``sysctls of n1 not collected`` hide what is there. Unless STRICT, what is refused is left.
        """
        for change in changes:
            if found := re.fullmatch(r"(tables|sysctls) of (\S+) not collected", change):
                (self.hidden if found[1] == "tables" else self.without_sysctls).add(found[2])
                continue
            name, _, line = change.partition(": ")
            words = line.split()
            if words[0] == "sysctl":
                with nullcontext() if strict else suppress(OSError):
                    self.sysctl(name, words[1], int(words[2]))
            elif words[0] == "cable":
                end = f"peer name {words[2]} netns {self.file(words[1])}"
                self.ip(name, [f"link add {words[2]} type veth {end}"], strict=strict)
            else:
                version = int(words[0][1:]) if words[0] in ("-4", "-6") else self._family(line)
                self.ip(name, [line.removeprefix(f"-{version} ")], version, strict=strict)

    def _family(self, line: str) -> int:
        return self.version if line.split(maxsplit=1)[0] in ("route", "rule") else 0

    def read(self) -> list[Host]:
        """Return the machines whose tables were collected."""
        reader, found = Reader(), []
        for name in self.machines:
            if name not in self.hidden:
                with self.inside(name):
                    host = read_here(name, reader)
                found.append(host._replace(sysctls={}) if name in self.without_sysctls else host)
        return found

    def prove(self) -> Proof:
        """Return the proof for what was collected."""
        return prove(Network(self.read(), self.inventory, closed=not self.hidden), examine(self.inventory))

    def packets(self, tries: int = 3) -> dict[tuple[str, Prefix], list[tuple[Address, Address, bool]]]:
        """Send from every pod to every other; return for each pair (source, destination, whether it arrived)."""
        everything = [
            (source, target, src, dst)
            for source in self.shape.nodes
            for target in self.shape.nodes
            if source != target and target not in self.shape.podless
            for src in self._ends(source)
            for dst in pods(int(target[1:]), self.version)
        ]
        self.settle()
        sent = [Packet(self._sender(source), dst, src) for source, _, src, dst in everything]
        came = self.arrivals(self.version, sent, tries)
        found: dict[tuple[str, Prefix], list[tuple[Address, Address, bool]]] = {}
        for (source, target, src, dst), where in zip(everything, came, strict=True):
            pair = source, parse_prefix(cidr(int(target[1:]), self.version))
            found.setdefault(pair, []).append((parse_address(src), parse_address(dst), f"p{target[1:]}" in where))
        return found

    def _ends(self, name: str) -> list[str]:
        """Return the addresses that a node sends from: those of its pod, or its own."""
        index = int(name[1:])
        if name in self.shape.podless:
            return [lan(self.shape.nodes[name][0], 20 + index, self.version)]
        return pods(index, self.version)

    def _sender(self, name: str) -> str:
        return name if name in self.shape.podless else f"p{name[1:]}"

    def tell(self, name: str, *words: str) -> str:
        """Return what a command prints on a machine."""
        with self.inside(name):
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def show(self) -> str:
        """Return all tables, for when something is not as it should be."""
        shown = ("-br addr", "rule", "-6 rule", f"-{self.version} route show table all")
        return "\n".join(
            f"== {name}: ip {words}\n{self.tell(name, 'ip', *words.split())}"
            for name in self.machines
            for words in shown
        )

    def _wire(self) -> None:
        self.ip(
            "sw",
            [
                "link set lo up",
                *(f"link add {bridge} up type bridge mcast_snooping 0" for bridge in LANS.values()),
                *(
                    f"link add {name}eth{number} master {LANS[each]} up type veth peer name eth{number} netns {self.file(name)}"
                    for name in self.machines
                    for number, each in enumerate(self._lans(name))
                ),
            ],
            strict=True,
        )
        for name in self.machines:
            host = 1 if name == ROUTER else 20 + int(name[1:])
            lines = ["link set lo up"]
            for number, each in enumerate(self._lans(name)):
                lines += [f"link set eth{number} up", self._address(lan(each, host, self.version), f"eth{number}")]
                # Whoever answers in the name of another waits up to 0.8 s before it does: arp_process(), pneigh_enqueue().
                lines += [
                    f"ntable change name {table} dev eth{number} proxy_delay 0"
                    for table in ("arp_cache", "ndisc_cache")
                ]
            if name != ROUTER and name not in self.shape.podless:
                lines += self._pods(name)
            self.ip(name, [*lines, *self._routes(name)], strict=True)

    def _pods(self, name: str) -> list[str]:
        index = int(name[1:])
        pod = f"p{index}"
        if name in self.shape.routed:
            return self._routed_pod(name, pod)
        lines = [
            "link add cni0 up type bridge forward_delay 0 mcast_snooping 0",
            f"link add pod0 master cni0 up type veth peer name eth0 netns {self.file(pod)}",
            self._address(gateway(index, self.version), "cni0"),
        ]
        self.ip(name, lines, strict=True)
        self.ip(
            pod,
            [
                "link set lo up",
                "link set eth0 up",
                *(self._address(each, "eth0") for each in pods(index, self.version)),
                f"route add default via {gateway(index, self.version)}",
            ],
            strict=True,
        )
        return []

    def _routed_pod(self, name: str, pod: str) -> list[str]:
        """Connect a pod as the ptp plugin does: a veth of its own, and a host route to each of its addresses."""
        index, full = int(name[1:]), 32 if self.version == 4 else 128
        nodad = " nodad" if self.version == 6 else ""
        lines = [
            f"link add pod0 up type veth peer name eth0 netns {self.file(pod)}",
            f"addr add {gateway(index, self.version)}/{full} dev pod0{nodad}",
            *(f"route add {each}/{full} dev pod0" for each in pods(index, self.version)),
        ]
        self.ip(name, lines, strict=True)
        lines = [
            "link set lo up",
            "link set eth0 up",
            *(f"addr add {each}/{full} dev eth0{nodad}" for each in pods(index, self.version)),
            f"route add {gateway(index, self.version)}/{full} dev eth0",
            f"route add default via {gateway(index, self.version)} dev eth0",
        ]
        self.ip(pod, lines, strict=True)
        return []

    def _address(self, text: str, dev: str) -> str:
        return f"addr add {text}/24 dev {dev}" if self.version == 4 else f"addr add {text}/64 dev {dev} nodad"

    def _lans(self, name: str) -> Sequence[int]:
        return (8, 9) if name == ROUTER else self.shape.nodes[name]

    def _routes(self, name: str) -> list[str]:
        """Return the routes of a healthy machine: to neighbours straight, to all others through the router."""
        mine = self._lans(name)
        lines = []
        for other, lans in self.shape.nodes.items():
            index = int(other[1:])
            if other != name and other not in self.shape.podless:
                number = next((each for each in lans if each in mine), None)
                via = lan(mine[0], 1, self.version) if number is None else lan(number, 20 + index, self.version)
                lines.append(f"route add {cidr(index, self.version)} via {via} proto 107")
        if name != ROUTER and self.shape.router:
            lines.append(f"route add default via {lan(mine[0], 1, self.version)}")
        return lines


def _have_link_local() -> bool:
    """Return whether every device here that has a global IPv6 address has a link-local one that is not tentative."""
    scopes = [
        {address["scope"] for address in link["addr_info"] if not address.get("tentative")}
        for link in ip_objects("-6", "addr")
    ]
    return all("link" in scope for scope in scopes if "global" in scope)


def verdict(findings: Iterable[Finding], source: str, target: Prefix) -> list[Finding]:
    """Return the FINDINGS about one pair that are more than a warning."""
    return [
        finding
        for finding in findings
        if finding.cause.severity != "warning"
        and any(source in block.sources and target in block.destinations for block in finding.blocks)
    ]
