"""Asks who has a next hop's address: sends ARP requests and neighbour solicitations, and collects all answers.

The kernel does this, too, but keeps only one answer.
"""

import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from podroutes.model.address import Address
from podroutes.model.machine_facts import Device, Question

_ARP = 0x0806  # ETH_P_ARP, linux/if_ether.h
_MESSAGE = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_REQUEST, _REPLY = 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136  # RFC 4861 section 4
_SOURCE_LINK, _TARGET_LINK = 1, 2  # its options
_SOLICITED_NODE = 0xFF02 << 112 | 0x1FF << 24  # ff02::1:ff00:0/104, RFC 4291 section 2.7.1
_BROADCAST = b"\xff" * 6
_ROUNDS = 3  # requests without an answer, like the kernel's mcast_solicit
_WAIT = 0.4  # seconds for answers in each round, second ones included
_PROXY_DELAY = 0.85  # seconds within which a machine answers for others: proxy_delay, arp(7), is 0.8 unless changed
_BURST = 64  # requests between two reads, so that the buffer holds the answers


def ask_all(questions: Sequence[Question]) -> dict[Address, tuple[str, ...]]:
    """Return the hardware addresses that answered, by next hop; an empty tuple if none did.

    Sends at most three small packets for each question, only to its network. Raises OSError without CAP_NET_RAW.
    """
    answers: dict[Address, set[str]] = {question.address: set() for question in questions}
    with ExitStack() as stack:
        sockets: dict[tuple[int, str], socket.socket] = {}
        for question in questions:
            key = question.address.version, question.device.name
            if key not in sockets:
                sockets[key] = stack.enter_context(_open(key[0], question.device))
        for _ in range(_ROUNDS):
            waiting = [question for question in questions if not answers[question.address]]
            for first in range(0, len(waiting), _BURST):
                for question in waiting[first : first + _BURST]:
                    _send(sockets[question.address.version, question.device.name], question)
                _listen(sockets.values(), answers, 0)
            if waiting:
                _listen(sockets.values(), answers, _WAIT)
        if not all(answers.values()):
            _listen(sockets.values(), answers, max(0.0, _PROXY_DELAY - _ROUNDS * _WAIT))
    return {address: tuple(sorted(answer)) for address, answer in answers.items()}


def _open(version: int, device: Device) -> socket.socket:
    if version == 4:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # receives nothing until it is bound to a device
        opened.bind((device.name, _ARP))
        return opened
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.name.encode())
    for option in (socket.IPV6_UNICAST_HOPS, socket.IPV6_MULTICAST_HOPS):
        opened.setsockopt(socket.IPPROTO_IPV6, option, 255)  # receivers ignore lower hop limits, RFC 4861 section 7.1
    wanted = bytearray(b"\xff" * 32)  # struct icmp6_filter: a set bit blocks
    struct.pack_into("=I", wanted, _ADVERTISEMENT >> 5 << 2, 0xFFFFFFFF ^ 1 << (_ADVERTISEMENT & 31))
    opened.setsockopt(socket.IPPROTO_ICMPV6, 1, bytes(wanted))  # ICMPV6_FILTER, linux/icmpv6.h
    return opened


def _send(sender: socket.socket, question: Question) -> None:
    mac = bytes.fromhex(question.device.mac.replace(":", ""))
    target = question.address.value.to_bytes(4 if question.address.version == 4 else 16, "big")
    try:
        if question.address.version == 4:
            source = question.source.value.to_bytes(4, "big")
            message = _MESSAGE.pack(1, 0x0800, 6, 4, _REQUEST, mac, source, bytes(6), target)
            sender.sendto(message, (question.device.name, _ARP, 0, 0, _BROADCAST))
        else:
            message = struct.pack("!BBHI16sBB6s", _SOLICITATION, 0, 0, 0, target, _SOURCE_LINK, 1, mac)
            group = Address(6, _SOLICITED_NODE | question.address.value & 0xFFFFFF)
            sender.sendto(message, (str(group), 0, 0, question.device.ifindex))
    except OSError:  # the device goes down, or its queue is full: reported as no answer
        return


def _listen(sockets: Iterable[socket.socket], answers: dict[Address, set[str]], seconds: float) -> None:
    """Collect the answers that arrive within SECONDS."""
    waiting = list(sockets)
    end = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select(waiting, [], [], max(0, end - time.monotonic()))
        if not ready:
            return
        for receiver in ready:
            try:
                data = receiver.recv(2048)
            except OSError:
                waiting.remove(receiver)
                continue
            address, mac = _reply(data) if receiver.family == socket.AF_PACKET else _advertisement(data)
            if address in answers and mac:
                answers[address].add(mac)


def _reply(data: bytes) -> tuple[Address | None, str]:
    """Return the sender's protocol and hardware addresses of an ARP reply."""
    if len(data) < _MESSAGE.size:
        return None, ""
    _, _, _, _, operation, mac, address, _, _ = _MESSAGE.unpack_from(data)
    return (Address(4, int.from_bytes(address, "big")), mac.hex(":")) if operation == _REPLY else (None, "")


def _advertisement(data: bytes) -> tuple[Address | None, str]:
    """Return the target and its link-layer address of a neighbour advertisement."""
    if len(data) < 24 or data[0] != _ADVERTISEMENT:
        return None, ""
    position = 24
    while position + 8 <= len(data) and data[position + 1]:
        if data[position] == _TARGET_LINK:
            return Address(6, int.from_bytes(data[8:24], "big")), data[position + 2 : position + 8].hex(":")
        position += 8 * data[position + 1]
    return None, ""
