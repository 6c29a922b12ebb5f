"""Network namespaces by name, and real packets between them."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from podroutes.lab import syscalls
from support.waiting import until

_ECHO = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128)}
_QUIET = 0.15  # seconds without an arrival after which a packet is sent again, or is lost

FORWARDING = {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1, "ipv6/conf/default/forwarding": 1}


class Packet(NamedTuple):
    """An echo request from the namespace ``sender``, with the source address ``src`` where one is named."""

    sender: str
    dst: str
    src: str = ""


class Spaces:
    """Namespaces that nobody answers pings in, so that whatever arrives was sent by a test."""

    def __init__(self, names: Sequence[str]) -> None:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._spaces: dict[str, int] = {}
        self._ears: dict[tuple[str, int], socket.socket] = {}
        try:
            for name in names:
                syscalls.unshare(syscalls.NEWNET)
                self._spaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
                self._settings()
        finally:
            syscalls.setns(self._home, syscalls.NEWNET)

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

    def file(self, name: str) -> str:
        """Return what ip(8) can name the namespace NAME by."""
        return f"/proc/{os.getpid()}/fd/{self._spaces[name]}"

    def ip(self, name: str, lines: Iterable[str], version: int = 0, *, strict: bool = False) -> None:
        """Run ip(8) with LINES there; what the kernel does not take is not there afterwards, unless STRICT."""
        words = ["ip", *([f"-{version}"] if version else []), *([] if strict else ["-force"]), "-batch", "-"]
        with self.inside(name):
            subprocess.run(words, input="\n".join(lines) + "\n", text=True, check=strict, capture_output=not strict)

    def sysctl(self, name: str, path: str, value: int) -> None:
        """Write a setting below /proc/sys/net."""
        with self.inside(name):
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")

    def settle(self) -> None:
        """Wait until every device with a carrier sends, every bridge port forwards and every IPv6 address can be used.

        Workers of the kernel see to all three.
        """
        for name in self._spaces:
            with self.inside(name):
                until(_settled, "devices settle")

    def listen(self, names: Iterable[str]) -> None:
        """Note from now on what arrives in the namespaces NAMES."""
        for name in names:
            for version, (family, protocol, _) in _ECHO.items():
                with self.inside(name):
                    ear = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
                self._ears[name, version] = ear

    def arrivals(self, version: int, packets: Sequence[Packet], tries: int = 3) -> list[set[str]]:
        """Send PACKETS, those that do not arrive TRIES times; return for each the namespaces where it came out."""
        found: list[set[str]] = [set() for _ in packets]
        self._gather(version, packets, [])
        for _ in range(tries):
            missing = [number for number, where in enumerate(found) if not where]
            self._send(version, packets, missing)
            end = time.monotonic() + _QUIET
            while time.monotonic() < end and not all(found[number] for number in missing):
                if self._gather(version, packets, found):
                    end = time.monotonic() + _QUIET
                time.sleep(0.005)
        return found

    def _send(self, version: int, packets: Sequence[Packet], numbers: Sequence[int]) -> None:
        family, protocol, kind = _ECHO[version]
        for sender, src in sorted({(packets[number].sender, packets[number].src) for number in numbers}):
            with self.inside(sender), socket.socket(family, socket.SOCK_RAW, protocol) as mouth:
                if src:
                    with suppress(OSError):  # an address that it has no more
                        mouth.bind((src, 0))
                for number in numbers:
                    if packets[number].sender == sender and packets[number].src == src:
                        head = bytes([kind, 0, 0, 0]) + b"podroute" + number.to_bytes(4, "big")
                        with suppress(OSError):  # refused on the spot
                            mouth.sendto(_checked(head) if version == 4 else head, (packets[number].dst, 0))

    def _gather(self, version: int, packets: Sequence[Packet], found: Sequence[set[str]]) -> bool:
        """Note in FOUND what has come; return whether anything has."""
        kind, came = _ECHO[version][2], False
        for (name, spoken), ear in self._ears.items():
            with suppress(OSError):
                while spoken == version:
                    data, _ = ear.recvfrom(4096)
                    message = data[(data[0] & 15) * 4 :] if version == 4 else data
                    number = int.from_bytes(message[12:16], "big")
                    sent = message[0] == kind and message[4:12] == b"podroute" and number < len(found)
                    if sent and packets[number].sender != name:
                        found[number].add(name)
                        came = True
        return came

    def _settings(self) -> None:
        wanted = {
            "ipv6/conf/default/accept_dad": 0,
            "ipv6/conf/all/accept_dad": 0,
            "ipv4/icmp_echo_ignore_all": 1,
            "ipv6/icmp/echo_ignore_all": 1,
        }
        for which in ("all", "default"):
            wanted |= {f"ipv4/conf/{which}/rp_filter": 0, f"ipv6/conf/{which}/accept_ra": 0}
        for path, value in wanted.items():
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")


def _settled() -> bool:
    """Return whether linkwatch_do_dev() and addrconf_dad_work() are done in this namespace."""
    working = [link for link in ip_objects("-d", "link") if {"UP", "LOWER_UP"} <= set(link["flags"])]
    names = {link["ifname"] for link in working}
    states = {
        link["linkinfo"]["info_slave_data"]["state"]
        for link in working
        if link.get("master") in names and link.get("linkinfo", {}).get("info_slave_kind") == "bridge"
    }
    addresses = [
        address for link in ip_objects("-6", "addr") for address in link["addr_info"] if link["ifname"] in names
    ]
    usable = not any(address.get("tentative") for address in addresses)
    return usable and states <= {"forwarding"} and all(link["qdisc"] != "noop" for link in working)


def ip_objects(*words: str) -> list[dict[str, Any]]:
    """Return the objects that ip(8) prints here."""
    done = subprocess.run(["ip", "-j", *words], check=True, capture_output=True)
    return [entry for entry in json.loads(done.stdout) if entry]


def _checked(message: bytes) -> bytes:
    """Return an ICMP message with its checksum, RFC 1071."""
    total = sum(int.from_bytes(message[place : place + 2], "big") for place in range(0, len(message), 2))
    total = (total >> 16) + (total & 0xFFFF)
    return message[:2] + (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big") + message[4:]
