"""Two networks of nodes with a router between them, each node with a pod, all in network namespaces of their own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from podroutes.lab import syscalls
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import Host
from podroutes.probe.here import read_here
from podroutes.probe.iproute import Reader

NODES = 5
ROUTER = "router"
LANS = {0: (1,), 1: (1,), 2: (1, 2), 3: (2,), 4: (2,)}  # which networks a node is in; node 2 is in both
_ECHO = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128)}


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


class World:
    """The namespaces, by name: nodes n0 to n4, their pods p0 to p4, ``router`` and ``switch``."""

    def __init__(self) -> None:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._spaces: dict[str, int] = {}
        self.machines = [*map(node, range(NODES)), ROUTER]
        for name in ("switch", *self.machines, *(f"p{index}" for index in range(NODES))):
            syscalls.unshare(syscalls.NEWNET)
            self._spaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self._settings(forwarding=name in self.machines)
        self._wire()
        self._ears = {
            (name, version): self._ear(name, version) for name in self._spaces if name != "switch" for version in (4, 6)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for ear in self._ears.values():
            ear.close()
        syscalls.setns(self._home, syscalls.NEWNET)
        for space in (*self._spaces.values(), self._home):
            os.close(space)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Be in the namespace NAME."""
        syscalls.setns(self._spaces[name], syscalls.NEWNET)
        try:
            yield
        finally:
            syscalls.setns(self._home, syscalls.NEWNET)

    def ip(self, name: str, lines: Iterable[str], version: int = 0, *, strict: bool = False) -> None:
        """Run ip(8) with LINES there; what the kernel does not take is not there afterwards, unless STRICT."""
        words = ["ip", *([f"-{version}"] if version else []), *([] if strict else ["-force"]), "-batch", "-"]
        with self.inside(name):
            subprocess.run(words, input="\n".join(lines) + "\n", text=True, check=strict, capture_output=not strict)

    def read(self) -> list[Host]:
        """Return every machine as its tables are now."""
        reader, found = Reader(), []
        for name in self.machines:
            with self.inside(name):
                found.append(read_here(name, reader))
        return found

    def sysctl(self, name: str, path: str, value: int) -> None:
        """Write a setting below /proc/sys/net."""
        with self.inside(name):
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")

    def arrivals(self, version: int, packets: Sequence[tuple[str, str]], wait: float) -> list[set[str]]:
        """Send a packet for each (namespace, destination); return for each the namespaces where it came out."""
        family, protocol, kind = _ECHO[version]
        found: list[set[str]] = [set() for _ in packets]
        for ear in self._ears.values():
            with suppress(OSError):
                while ear.recv(4096):
                    pass
        for name in sorted({name for name, _ in packets}):
            with self.inside(name), socket.socket(family, socket.SOCK_RAW, protocol) as mouth:
                for number, (sender, dst) in enumerate(packets):
                    if sender == name:
                        head = bytes([kind, 0, 0, 0]) + b"podroute" + number.to_bytes(4, "big")
                        with suppress(OSError):  # refused on the spot
                            mouth.sendto(_checked(head) if version == 4 else head, (dst, 0))
        time.sleep(wait)
        for (name, spoken), ear in self._ears.items():
            with suppress(OSError):
                while spoken == version:
                    data, origin = ear.recvfrom(4096)
                    message = data[(data[0] & 15) * 4 :] if version == 4 else data
                    number = int.from_bytes(message[12:16], "big")
                    sent = message[0] == kind and message[4:12] == b"podroute" and number < len(packets)
                    if sent and packets[number][0] != name:
                        found[number].add(name)
                    assert origin
        return found

    def _wire(self) -> None:
        pid = os.getpid()
        lines = ["link set lo up"]
        for number in (1, 2):
            lines += [f"link add lan{number} type bridge mcast_snooping 0", f"link set lan{number} up"]
            for index, name in enumerate(self.machines):
                if name == ROUTER or number in LANS[index]:
                    space = f"/proc/{pid}/fd/{self._spaces[name]}"
                    lines.append(
                        f"link add s{number}{name} master lan{number} up type veth peer name e{number} netns {space}"
                    )
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
                space = f"/proc/{pid}/fd/{self._spaces[f'p{index}']}"
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

    def _settings(self, *, forwarding: bool) -> None:
        wanted = {
            "ipv6/conf/default/accept_dad": 0,
            "ipv6/conf/all/accept_dad": 0,
            "ipv4/icmp_echo_ignore_all": 1,
            "ipv6/icmp/echo_ignore_all": 1,
        }
        for which in ("all", "default"):
            wanted |= {
                f"ipv4/conf/{which}/rp_filter": 0,
                f"ipv4/conf/{which}/send_redirects": 0,
                f"ipv6/conf/{which}/accept_ra": 0,
            }
        if forwarding:
            wanted |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1, "ipv6/conf/default/forwarding": 1}
        for path, value in wanted.items():
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")

    def _ear(self, name: str, version: int) -> socket.socket:
        family, protocol, _ = _ECHO[version]
        with self.inside(name):
            return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)


def _checked(message: bytes) -> bytes:
    """Return an ICMP message with its checksum, RFC 1071."""
    total = sum(int.from_bytes(message[place : place + 2], "big") for place in range(0, len(message), 2))
    total = (total >> 16) + (total & 0xFFFF)
    return message[:2] + (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big") + message[4:]
