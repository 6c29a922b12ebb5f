"""Packets lost while next hops move: a sender, a router that podroutes keeps turning round, and two receivers.

Every packet carries its number, so that what was sent and what arrived, at whichever receiver, is counted on both sides.
"""

import os
import signal
import socket
import struct
import time
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import scene
from bench.sandbox import fork_inside, ip, sysctl
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.address import Address
from podroutes.plan.planning import plan_here

_PORT = 9000
_NUMBER = struct.Struct("=I")
_STRIDE = 0.001  # seconds between bursts
_DRAIN = 0.5  # seconds for what is under way
_RECEIVERS = ("left", "right")
_MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


def measure(count: int, rate: int, seconds: float) -> dict[str, Any]:
    """Move COUNT next hops back and forth for SECONDS under RATE packets a second, and return what was counted."""
    _build(count)
    before, after = scene.claims(count), scene.claims(count, moved=range(count))
    with NetlinkKernel() as kernel:

        def turn(moved: int) -> int:
            plan = plan_here(after if moved else before, scene.OWN, kernel.snapshot()).plan
            refused = kernel.apply(plan.changes)
            if refused or plan.problems:
                raise RuntimeError(f"refused: {refused}, problems: {plan.problems[:1]}")
            return len(plan.changes)

        turn(0)
        receivers = [fork_inside(name, _receive) for name in _RECEIVERS]
        time.sleep(_DRAIN)  # until they listen
        sender, sent_by = fork_inside("sender", lambda: _send(count, rate))
        flips, moves, begin = 0, 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            flips += 1
            moves += turn(flips % 2)
        spent = time.perf_counter() - begin
        sent, sending = struct.unpack("=Id", _finish(sender, sent_by))
    time.sleep(_DRAIN)
    said = [array("I", _finish(*receiver)) for receiver in receivers]
    got = [numbers[1:] for numbers in said]
    arrived = set().union(*got)
    return {
        "operation": "flips",
        "routes": count,
        "flips": flips,
        "next_hops_moved": moves,
        "flip_ms": round(spent / flips * 1e3, 1),
        "packets_sent": sent,
        "packets_a_second": round(sent / sending),
        "received": {name: len(numbers) for name, numbers in zip(_RECEIVERS, got, strict=True)},
        "twice": sum(map(len, got)) - len(arrived),
        "lost": sent - len(arrived),
        "receive_buffer_full": sum(numbers[0] for numbers in said),
        "router_without_route": _counter("Ip", "OutNoRoutes"),
    }


def _build(count: int) -> None:
    """Make the namespaces; neighbours are permanent, as resolving thousands of them is not what is measured."""
    scene.empty()
    ip(*(f"netns add {name}" for name in ("sender", *_RECEIVERS)))
    ip(
        f"link delete {scene.DEVICE}",
        f"link add {scene.DEVICE} type bridge mcast_snooping 0",
        f"address add 172.16.0.1/12 dev {scene.DEVICE}",
        "link add in0 type veth peer name out netns sender",
        "address add 198.18.0.1/30 dev in0",
        *(
            f"link add {name} master {scene.DEVICE} up type veth peer name in address {mac} netns {name}"
            for name, mac in zip(_RECEIVERS, _MACS, strict=True)
        ),
        f"link set {scene.DEVICE} up",
        "link set in0 up",
        *(
            f"neighbour add {Address(4, scene.via(n, moved=moved))} lladdr {mac} nud permanent dev {scene.DEVICE}"
            for moved, mac in zip((False, True), _MACS, strict=True)
            for n in range(count)
        ),
    )
    sysctl("ipv4/ip_forward", 1)
    ip(
        "address add 198.18.0.2/30 dev out",
        "link set out up",
        "route add default via 198.18.0.1",
        namespace="sender",
    )
    for name in _RECEIVERS:
        ip("link set lo up", "link set in up", "route add local 10.0.0.0/8 dev lo", namespace=name)
        ip("route add 198.18.0.0/30 dev in", namespace=name)  # a way back, which reverse path filters ask for


def _send(count: int, rate: int) -> bytes:
    """Send numbered packets into all prefixes in turn, RATE a second, until SIGTERM; return how many and for how long."""
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    hosts = [(str(Address(4, scene.dst(n) + 1)), _PORT) for n in range(count)]
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        begin = time.perf_counter()
        while going:
            due = int((time.perf_counter() - begin) * rate)
            while sent < due:
                door.sendto(_NUMBER.pack(sent), hosts[sent % count])
                sent += 1
            time.sleep(_STRIDE)
        return struct.pack("=Id", sent, time.perf_counter() - begin)


def _receive() -> bytes:
    """Receive until SIGTERM; return how many packets found the socket's buffer full, then the numbers of the others."""
    numbers = array("I")
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        for option in (socket.SO_RCVBUF, 33):  # SO_RCVBUFFORCE, which root may: a busy machine may keep us waiting
            with suppress(PermissionError):
                door.setsockopt(socket.SOL_SOCKET, option, 64 << 20)
        door.bind(("", _PORT))
        door.settimeout(0.1)
        while going:
            try:
                numbers.append(_NUMBER.unpack(door.recv(64))[0])
            except TimeoutError:
                continue
    return _NUMBER.pack(_counter("Udp", "RcvbufErrors")) + numbers.tobytes()


def _finish(child: int, result: socket.socket) -> bytes:
    """Tell CHILD to stop and return its result."""
    os.kill(child, signal.SIGTERM)
    with result, result.makefile("rb") as file:
        said = file.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError("a sender or receiver failed")
    return said


def _counter(group: str, name: str) -> int:
    """Return a counter of this namespace, proc_net_snmp."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith(f"{group}:")
    )
    return int(values[names.index(name)])
