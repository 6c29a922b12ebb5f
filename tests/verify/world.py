"""Two networks of nodes with a router between them, each node with a pod, all in network namespaces of their own."""

from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import Host
from verify.spaces import FORWARDING, Spaces

NODES = 5
ROUTER = "router"
LANS = {0: (1,), 1: (1,), 2: (1, 2), 3: (2,), 4: (2,)}  # which networks a node is in; node 2 is in both


def lan(number: int, host: int, version: int) -> str:
    return f"192.168.{number}.{host}" if version == 4 else f"fd00:{number}::{host}"


def pod(index: int, host: int, version: int) -> str:
    return f"10.200.{index}.{host}" if version == 4 else f"fd00:200:{index}::{host}"


def cidr(index: int, version: int) -> str:
    return f"10.200.{index}.0/24" if version == 4 else f"fd00:200:{index}::/64"


def node(index: int) -> str:
    return f"n{index}"


def inventory() -> Cluster:
    nodes = [
        Node(
            node(index),
            tuple(parse_address(lan(number, 20 + index, version)) for version in (4, 6) for number in LANS[index]),
            tuple(parse_prefix(cidr(index, version)) for version in (4, 6)),
        )
        for index in range(NODES)
    ]
    return Cluster(tuple(nodes), source="the world")


class World(Spaces):
    """The namespaces, by name: nodes n0 to n4, their pods p0 to p4, ``router`` and ``switch``."""

    def __init__(self) -> None:
        self.machines = [*map(node, range(NODES)), ROUTER]
        names = [*self.machines, *(f"p{index}" for index in range(NODES))]
        super().__init__(["switch", *names])
        for name in self.machines:
            for path, value in FORWARDING.items():
                self.sysctl(name, path, value)
        self._wire()
        self.listen(names)

    def read(self) -> list[Host]:
        """Return every machine as its tables are now."""
        reader, found = Reader(), []
        for name in self.machines:
            with self.inside(name):
                found.append(read_here(name, reader))
        return found

    def _wire(self) -> None:
        lines = ["link set lo up"]
        for number in (1, 2):
            lines += [f"link add lan{number} type bridge mcast_snooping 0", f"link set lan{number} up"]
            for index, name in enumerate(self.machines):
                if name == ROUTER or number in LANS[index]:
                    port = f"link add s{number}{name} master lan{number} up"
                    lines.append(f"{port} type veth peer name e{number} netns {self.file(name)}")
        self.ip("switch", lines, strict=True)
        for index, name in enumerate(self.machines):
            lines = ["link set lo up"]
            for number in (1, 2) if name == ROUTER else LANS[index]:
                host = 1 if name == ROUTER else 20 + index
                lines += [
                    f"addr add {lan(number, host, 4)}/24 dev e{number}",
                    f"addr add {lan(number, host, 6)}/64 dev e{number} nodad",
                ]
                lines.append(f"link set e{number} up")
            if name != ROUTER:
                space = self.file(f"p{index}")
                lines += [f"link add cni0 type veth peer name eth0 netns {space}", "link set cni0 up"]
                lines += [f"addr add {pod(index, 1, 4)}/24 dev cni0", f"addr add {pod(index, 1, 6)}/64 dev cni0 nodad"]
            self.ip(name, lines, strict=True)
        for index in range(NODES):
            lines = [
                "link set lo up",
                f"addr add {pod(index, 2, 4)}/24 dev eth0",
                f"addr add {pod(index, 2, 6)}/64 dev eth0 nodad",
            ]
            lines += [
                "link set eth0 up",
                *(f"route add default via {pod(index, 1, version)} dev eth0" for version in (4, 6)),
            ]
            self.ip(f"p{index}", lines, strict=True)
