"""Whether several hardware addresses that answer for one IPv4 address belong to one machine.

Linux answers ARP requests for any of its addresses on every card (arp_ignore=0), so that a machine with two cards in one network
looks like two machines. An echo request to each hardware address tells: one machine answers all of them by the card that leads to
us, two machines answer each by its own.
"""

import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from podroutes.host import arp
from podroutes.model.address import Address
from podroutes.model.machine_facts import Question

_IP = 0x0800  # ETH_P_IP, linux/if_ether.h
_HEADER = struct.Struct("!BBHHHBBH4s4s")  # RFC 791
_ECHO = struct.Struct("!BBHHH")  # RFC 792
_REQUEST, _REPLY = 8, 0
_TRIES = 3
_MARK = 0x7072  # identifier of our echo requests


def one_machine(asked: Sequence[tuple[Question, tuple[str, ...]]]) -> Mapping[Address, bool | None]:
    """Return by IPv4 address whether its hardware addresses belong to one machine, None if that cannot be told.

    Sends at most three echo requests to each hardware address. Raises OSError without CAP_NET_RAW.
    """
    return {question.address: _one_machine(question, macs) for question, macs in asked if question.address.version == 4}


def _one_machine(question: Question, macs: tuple[str, ...]) -> bool | None:
    answered = _answers(question, macs)
    if all(answered.get(mac) == mac for mac in macs):
        return False
    if all(mac in answered for mac in macs) and len(set(answered.values())) == 1:
        return True
    return None


def _answers(question: Question, macs: tuple[str, ...]) -> dict[str, str]:
    """Return for each of MACS that was sent an echo request the hardware address that the reply came from."""
    by_mac: dict[str, str] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as opened:
        opened.bind((question.device.name, _IP))
        for _ in range(_TRIES):
            for number, mac in enumerate(macs):
                if mac not in by_mac:
                    _send(opened, question, mac, number)
            end = time.monotonic() + arp._WAIT  # noqa: SLF001, one patience for both
            while len(by_mac) < len(macs) and select.select([opened], [], [], max(0.0, end - time.monotonic()))[0]:
                data, sender = opened.recvfrom(2048)
                number = _reply(data, question.address)
                if 0 <= number < len(macs):
                    by_mac[macs[number]] = sender[4].hex(":")
            if len(by_mac) == len(macs):
                break
    return by_mac


def _send(opened: socket.socket, question: Question, mac: str, number: int) -> None:
    source, target = (each.value.to_bytes(4, "big") for each in (question.source, question.address))
    message = _ECHO.pack(_REQUEST, 0, 0, _MARK, number)
    message = _ECHO.pack(_REQUEST, 0, _checksum(message), _MARK, number)
    fields = (0x45, 0, _HEADER.size + len(message), 0, 0x4000, 64, socket.IPPROTO_ICMP)
    header = _HEADER.pack(*fields, 0, source, target)
    header = _HEADER.pack(*fields, _checksum(header), source, target)
    try:
        opened.sendto(header + message, (question.device.name, _IP, 0, 0, bytes.fromhex(mac.replace(":", ""))))
    except OSError:  # the device goes down: nobody answers
        return


def _reply(data: bytes, address: Address) -> int:
    """Return the number of the request that DATA, an IPv4 packet, replies to in the name of ADDRESS, -1 for anything else."""
    if (
        len(data) < _HEADER.size
        or data[9] != socket.IPPROTO_ICMP
        or int.from_bytes(data[12:16], "big") != address.value
    ):
        return -1
    start = (data[0] & 15) * 4
    if len(data) < start + _ECHO.size:
        return -1
    kind, _, _, mark, number = _ECHO.unpack_from(data, start)
    return int(number) if (kind, mark) == (_REPLY, _MARK) else -1


def _checksum(message: bytes) -> int:
    """Return the checksum of RFC 1071; MESSAGE has an even length."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
