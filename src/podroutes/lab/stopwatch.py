"""Measures how long a route of a lab's machine is gone at most: from the start of ip(8) that deletes it until it is back.

Notifications are read here without podroutes' own netlink code, since that is what is measured. A reader that wakes up late
makes the time longer, never shorter.
"""

import os
import select
import shutil
import socket
import struct
import subprocess
import time

from podroutes.errors import LabError
from podroutes.lab import inside
from podroutes.lab.paths import search_path
from podroutes.lab.registry import Lab
from podroutes.model.address import BITS, Prefix

_PATIENCE = 5.0  # seconds; an agent needs milliseconds
_GROUPS = 1 << 6 | 1 << 10  # RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE of linux/rtnetlink.h
_NEWROUTE, _DELROUTE, _DST = 24, 25, 1  # RTM_NEWROUTE, RTM_DELROUTE, RTA_DST
_MESSAGE = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port; netlink(7)
_ROUTE = struct.Struct("=8BI")  # rtmsg: family, length of the destination, ...; rtnetlink(7)
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type


def absence(lab: Lab, node: str, dst: Prefix) -> float:
    """Delete the route to DST on NODE of LAB with ip(8); return the seconds until the kernel notified that it is back.

    Raises LabError if it was not deleted, or not restored within five seconds.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            inside.enter(lab)
            inside.join_network(node)
            os.write(writer, b"%d" % _measured(dst))
        finally:  # never return into the caller's code in the child
            os._exit(0)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answer:
            measured = answer.read()
    finally:
        os.waitpid(child, 0)
    if not measured:
        raise LabError(f"demo: the route to {dst} did not come back on {node} within {_PATIENCE:.0f} s")
    return int(measured) / 1e9


def _measured(dst: Prefix) -> int:
    """Delete the route to DST in this network; return the nanoseconds until it is back. Raises OSError after a timeout."""
    ip = [shutil.which("ip", path=search_path()) or "ip", "-batch", "-"]
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel,
        subprocess.Popen(ip, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as tool,
    ):
        assert tool.stdin and tool.stdout  # noqa: S101, PT018  mypy
        kernel.bind((0, _GROUPS))
        kernel.settimeout(_PATIENCE)
        tool.stdin.write(f"route show {dst}\n".encode())
        select.select([tool.stdout], [], [], _PATIENCE)  # it has started and waits
        began = time.monotonic_ns()
        tool.stdin.write(f"route delete {dst}\n".encode())
        gone = False
        while True:
            for kind in _announced(kernel.recv(1 << 16), dst):
                if gone and kind == _NEWROUTE:
                    return time.monotonic_ns() - began
                gone |= kind == _DELROUTE


def _announced(datagram: bytes, dst: Prefix) -> list[int]:
    """Return the types of the messages in DATAGRAM about the route to DST."""
    attributes, start = [], 0
    address = dst.value.to_bytes(BITS[dst.version] // 8, "big")
    family = socket.AF_INET if dst.version == 4 else socket.AF_INET6
    while start + _MESSAGE.size + _ROUTE.size <= len(datagram):
        length, kind, *_ = _MESSAGE.unpack_from(datagram, start)
        route = _ROUTE.unpack_from(datagram, start + _MESSAGE.size)
        place, end = start + _MESSAGE.size + _ROUTE.size, start + length
        while place + _ATTRIBUTE.size <= end:
            size, attribute = _ATTRIBUTE.unpack_from(datagram, place)
            value = datagram[place + _ATTRIBUTE.size : place + size]
            if attribute == _DST and route[:2] == (family, dst.length) and value == address:
                attributes.append(kind)
            place += max(_aligned(size), _ATTRIBUTE.size)
        start += max(_aligned(length), _MESSAGE.size)
    return [kind for kind in attributes if kind in (_NEWROUTE, _DELROUTE)]


def _aligned(size: int) -> int:
    return size + 3 & ~3
