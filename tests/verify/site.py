"""A healthy cluster in network namespaces, to be changed in one thing: nodes on a switch, their pods on bridges, and packets to see."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.lab import syscalls
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.host import Host

_ECHO = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)}


def internal_ip(index: int, version: int, subnet: int = 8) -> str:
    return f"192.168.{subnet}.2{index}" if version == 4 else f"fd00:{subnet}::{0x14 + index:x}"


def pod_cidr(index: int, version: int) -> str:
    return f"10.200.{index}.0/24" if version == 4 else f"fd00:200:{index}::/64"


def pod_ip(index: int, version: int, host: int = 5) -> str:
    return f"10.200.{index}.{host}" if version == 4 else f"fd00:200:{index}::{host:x}"


class Site:
    """Nodes n0, n1, n2 with one pod each (p0, p1, p2), a switch sw and a router r0, in one IP version.

    SUBNETS has the subnet of each node: 8 or 9. r0 has an address in both and leads to all pods; it is every node's default gateway.
    """

    def __init__(self, version: int = 4, subnets: tuple[int, ...] = (8, 8, 8)) -> None:
        self.version = version
        self.subnets = subnets
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._spaces: dict[str, int] = {}
        self.nodes = [f"n{index}" for index in range(len(subnets))]
        for name in ("sw", "r0", *self.nodes, *(f"p{index}" for index in range(len(subnets)))):
            syscalls.unshare(syscalls.NEWNET)
            self._spaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self._prepare(forwards=name == "r0" or name[0] == "n")
        self._connect()
        time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
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

    @property
    def inventory(self) -> Cluster:
        """The nodes as an inventory has them."""
        nodes = [
            Node(
                name,
                (parse_address(internal_ip(index, self.version, self.subnets[index])),),
                (parse_prefix(pod_cidr(index, self.version)),),
            )
            for index, name in enumerate(self.nodes)
        ]
        return Cluster(tuple(nodes), source="the site")

    def change(self, text: str) -> None:
        """Carry out ``NAME: ip(8) command; NAME: sysctl PATH VALUE; …``, each on the machine NAME."""
        for part in filter(None, map(str.strip, text.split(";"))):
            name, _, command = part.partition(": ")
            with self.inside(name):
                if command.startswith("sysctl "):
                    _, path, value = command.split()
                    Path(f"/proc/sys/net/{path}").write_text(value, encoding="ascii")
                else:
                    subprocess.run(["ip", *command.split()], check=True)

    def read(self, *left_out: str) -> list[Host]:
        """Return the nodes' tables, without those of machines that are LEFT_OUT; the router's are read only where it is named last."""
        reader, found = Reader(), []
        for name in self.nodes:
            if name not in left_out:
                with self.inside(name):
                    found.append(read_here(name, reader))
        return found

    def arrives(self, source: int, target: int) -> bool:
        """Whether a pod's echo request gets to the other pod, and the answer back; several are sent, as neighbours are looked up first."""
        family, protocol, request, answer = _ECHO[self.version]
        with self.inside(f"p{target}"):
            seen = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        with self.inside(f"p{source}"):
            asking = socket.socket(family, socket.SOCK_RAW, protocol)
        arrived = False
        with seen, asking:
            asking.settimeout(0.2)
            for number in range(4):
                head = bytes([request, 0, 0, 0]) + b"site" + number.to_bytes(4, "big")
                with suppress(OSError):
                    asking.sendto(_checked(head) if self.version == 4 else head, (pod_ip(target, self.version), 0))
                answered = self._heard(asking, answer, pod_ip(target, self.version))
                arrived = arrived or self._heard(seen, request, None)
                if answered and arrived:
                    return True
        return False

    def _heard(self, listening: socket.socket, kind: int, origin: str | None) -> bool:
        """Whether a message of KIND that we made comes, from ORIGIN where that matters."""
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            try:
                data, sender = listening.recvfrom(2048)
            except BlockingIOError:
                return False
            except OSError:
                continue
            body = data[(data[0] & 15) * 4 :] if self.version == 4 else data
            if body[0] == kind and body[4:8] == b"site" and origin in (None, sender[0]):
                return True
        return False

    def _prepare(self, *, forwards: bool) -> None:
        wanted = {"ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0, "ipv4/conf/all/send_redirects": 0}
        wanted |= {
            "ipv4/conf/default/send_redirects": 0,
            "ipv4/conf/all/rp_filter": 0,
            "ipv4/conf/default/rp_filter": 0,
        }
        if forwards:
            wanted |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1, "ipv6/conf/default/forwarding": 1}
        for path, value in wanted.items():
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")

    def _run(self, name: str, *lines: str) -> None:
        with self.inside(name):
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def _space(self, name: str) -> str:
        return f"/proc/{os.getpid()}/fd/{self._spaces[name]}"

    def _connect(self) -> None:
        length, pods = (24, 24) if self.version == 4 else (64, 64)
        nodad = " nodad" if self.version == 6 else ""
        lines = ["link set lo up"]
        for number in (0, 1):
            lines += [f"link add br{number} type bridge mcast_snooping 0", f"link set br{number} up"]
        for subnet in (8, 9):
            lines.append(f"link add r{subnet} master br0 up type veth peer name eth{subnet} netns {self._space('r0')}")
        lines += [
            f"link add {name}eth0 master br0 up type veth peer name eth0 netns {self._space(name)}"
            for name in self.nodes
        ]
        self._run("sw", *lines)
        gateways = {subnet: f"192.168.{subnet}.1" if self.version == 4 else f"fd00:{subnet}::1" for subnet in (8, 9)}
        lines = ["link set lo up"]
        for subnet, address in gateways.items():
            lines += [f"link set eth{subnet} up", f"addr add {address}/{length} dev eth{subnet}{nodad}"]
        lines += [
            f"route add {pod_cidr(index, self.version)} via {internal_ip(index, self.version, subnet)}"
            for index, subnet in enumerate(self.subnets)
        ]
        self._run("r0", *lines)
        for index, name in enumerate(self.nodes):
            subnet = self.subnets[index]
            self._run(
                name,
                "link set lo up",
                "link set eth0 up",
                f"addr add {internal_ip(index, self.version, subnet)}/{length} dev eth0{nodad}",
                f"route add default via {gateways[subnet]}",
                "link add cni0 type bridge mcast_snooping 0",
                "link set cni0 up",
                f"addr add {pod_ip(index, self.version, 1)}/{pods} dev cni0{nodad}",
                f"link add pod0 master cni0 up type veth peer name eth0 netns {self._space(f'p{index}')}",
                *(
                    f"route add {pod_cidr(other, self.version)} via {internal_ip(other, self.version, subnet)} proto 107"
                    for other in range(len(self.nodes))
                    if other != index and self.subnets[other] == subnet
                ),
            )
            self._run(
                f"p{index}",
                "link set lo up",
                "link set eth0 up",
                f"addr add {pod_ip(index, self.version)}/{pods} dev eth0{nodad}",
                f"route add default via {pod_ip(index, self.version, 1)}",
            )


def _checked(message: bytes) -> bytes:
    """Return an ICMP message with its checksum, RFC 1071."""
    total = sum(int.from_bytes(message[place : place + 2], "big") for place in range(0, len(message), 2))
    total = (total >> 16) + (total & 0xFFFF)
    return message[:2] + (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big") + message[4:]
