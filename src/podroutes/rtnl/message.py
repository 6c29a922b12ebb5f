"""The common parts of rtnetlink messages: header, attributes, dump requests, answers."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from podroutes.rtnl import constants as nl

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence number, port id
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_ERRNO = struct.Struct("=i")
_NESTED_BITS = 0x3FFF  # NLA_TYPE_MASK


class Message(NamedTuple):
    """One message of a datagram. ``start`` and ``end`` are the bounds of its payload."""

    type: int
    flags: int
    seq: int
    start: int
    end: int


def messages(datagram: bytes, position: int = 0) -> Iterator[Message]:
    """Yield the messages of one datagram. A truncated last message is left out."""
    while position + HEADER.size <= len(datagram):
        length, kind, flags, seq, _ = HEADER.unpack_from(datagram, position)
        end = position + length
        if length < HEADER.size or end > len(datagram):
            return
        yield Message(kind, flags, seq, position + HEADER.size, end)
        position = end + (-length & 3)


def attributes(datagram: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (type, start, end) of each attribute between START and END."""
    while start + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(datagram, start)
        if length < _ATTRIBUTE.size or start + length > end:
            return
        yield kind & _NESTED_BITS, start + _ATTRIBUTE.size, start + length
        start += length + (-length & 3)


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length & 3)


def message(kind: int, flags: int, seq: int, body: bytes) -> bytes:
    """Return one message to the kernel."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, seq, 0) + body


class Answer(NamedTuple):
    """The kernel's answer to one request. ``errno`` 0 is an acknowledgement."""

    seq: int
    errno: int
    text: str


def answer(datagram: bytes, header: Message) -> Answer:
    """Decode a message of type NLMSG_ERROR (or NLMSG_DONE, which ends a dump in the same form) with its extended ACK."""
    errno = -_ERRNO.unpack_from(datagram, header.start)[0] if header.end - header.start >= _ERRNO.size else 0
    if header.type == nl.NLMSG_DONE:
        start = header.start + _ERRNO.size
    else:
        quoted = HEADER.unpack_from(datagram, header.start + _ERRNO.size)[0]
        start = header.start + _ERRNO.size + (HEADER.size if header.flags & nl.NLM_F_CAPPED else quoted + (-quoted & 3))
    text = ""
    if header.flags & nl.NLM_F_ACK_TLVS:
        for kind, first, last in attributes(datagram, start, header.end):
            if kind == nl.NLMSGERR_ATTR_MSG:
                text = datagram[first:last].rstrip(b"\0").decode(errors="replace")
    return Answer(header.seq, errno, text)


class MessageDump:
    """Collects the answer to a dump request whose messages are decoded one by one. Pass each datagram to ``feed``."""

    def __init__(self, wanted: int) -> None:
        self.messages: list[tuple[bytes, Message]] = []
        self.interrupted = False  # the objects changed during the dump (NLM_F_DUMP_INTR)
        self._wanted = wanted

    def fresh(self) -> "MessageDump":
        """Return an empty collector with the same parameters."""
        return MessageDump(self._wanted)

    def feed(self, datagram: bytes) -> Answer | None:
        """Decode one datagram; return the message that ends the dump, or None if more datagrams follow."""
        for header in messages(datagram):
            if header.flags & nl.NLM_F_DUMP_INTR:
                self.interrupted = True
            if header.type in (nl.NLMSG_DONE, nl.NLMSG_ERROR):
                return answer(datagram, header)
            if header.type == self._wanted:
                self.messages.append((datagram, header))
        return None
