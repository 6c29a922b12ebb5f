"""The Linux kernel of the current network namespace, over rtnetlink."""

import _socket as socket  # what is used of it; the module around it loads six more
import errno
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, TypeVar

from podroutes.errors import KernelError
from podroutes.kernel.listening import RECEIVE_BUFFER
from podroutes.kernel.reading import read_addresses, read_fib, read_main
from podroutes.model.changes import ChangeColumns, Changes, replaces
from podroutes.model.fib import Fib, Link
from podroutes.model.interest import Interest, interest
from podroutes.model.plan import Change, Refusal, TakenOver
from podroutes.model.route import MAIN, PROTOCOL, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl import links
from podroutes.rtnl.decode import RouteDump
from podroutes.rtnl.encode import encode, encode_columns, routes_request
from podroutes.rtnl.message import MessageDump, answer, messages

if TYPE_CHECKING:
    from podroutes.kernel.meanwhile import Meanwhile

BATCH = 128  # an error takes 832 bytes of receive buffer; the default of 212,992 holds 256; larger batches gain nothing
_CHUNK = 64 * BATCH  # changes that are encoded together, 0.5 MiB
_PARTS = 64  # of more pieces than these, which others' routes cut, batches are made across
_READ = 1 << 16  # bytes; a dump comes in datagrams of at most 32 KiB (netlink_recvmsg())
_DUMP_TRIES = 8  # a table that changes during each of them will not become stable
_Dump = TypeVar("_Dump", MessageDump, RouteDump)


class NetlinkKernel:
    """One rtnetlink socket, used as a context manager. It counts messages and system calls, for benchmarks.

    One that only READS does not record what others do after a snapshot, which only matters to replaces.
    """

    def __init__(self, *, reads: bool = False) -> None:
        self._reads = reads
        self.dumps = 0
        self.batches = 0
        self.messages = 0
        self.between: Callable[[], object] = lambda: (
            None
        )  # is called between the pieces of a dump, of which a large table has many
        self._seq = 0
        self._indexes: dict[str, int] = {}
        self._gateways: dict[int, set[int]] = {4: set(), 6: set()}  # of the routes of others, by IP version
        self._meanwhile: Meanwhile | None = None  # since the last snapshot
        self._taken_over: list[TakenOver] = []
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        except OSError as error:
            raise KernelError(f"cannot open a netlink socket: {error.strerror}") from error
        with suppress(OSError):  # SO_RCVBUFFORCE
            self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
        for option in (nl.NETLINK_CAP_ACK, nl.NETLINK_EXT_ACK, nl.NETLINK_GET_STRICT_CHK):
            with suppress(OSError):  # Linux before 4.20 does not filter dumps; unwanted routes are skipped when reading
                self._socket.setsockopt(nl.SOL_NETLINK, option, 1)
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The netlink port that marks our own changes in notifications."""
        port: int = self._socket.getsockname()[0]
        return port

    def close(self) -> None:
        """Close the sockets."""
        self._socket.close()
        self._listen(None)

    def snapshot(self, interest: Callable[[Fib], Interest] | None = None) -> Fib:
        """Read links, addresses, policy rules and the main table, with one dump each (routes: one per IP version).

        INTEREST tells from links and addresses which routes of others are read; without it all are. Other tables are read where a
        rule looks them up, nexthop objects where a route leads by one.
        """
        if not self._reads:
            from podroutes.kernel.meanwhile import Meanwhile  # noqa: PLC0415, only for what writes

            with suppress(OSError):
                self._listen(Meanwhile(self.port))
        found = self._links()
        names = {link.ifindex: link.name for link in found}
        if interest is None:
            return read_fib(self._dump, found, self._routes(names, table=MAIN), names)
        wanted = interest(read_addresses(self._dump, found, names))
        return read_fib(self._dump, found, read_main(self._dump, names, wanted, self._gateways), names)

    def ours(self) -> tuple[Route, ...]:
        """Read every route of ours in every table."""
        dumps = self._routes({link.ifindex: link.name for link in self._links()}, protocol=PROTOCOL).values()
        plain = (dump.plain.routes() for dump in dumps)
        others = (route for dump in dumps for route in dump.others if route.ours)
        return (*chain.from_iterable(plain), *others)

    def apply(self, changes: Sequence[Change]) -> dict[int, Refusal]:
        """Carry out CHANGES in order; return the refusals by position."""
        if changes and not self._indexes:
            self._links()
        meanwhile, self._meanwhile = self._meanwhile, None
        try:
            if meanwhile and replaces(changes):
                return self._apply_carefully(changes, meanwhile)
        finally:
            if meanwhile:
                meanwhile.close()
        return self._apply(changes)

    def taken_over(self) -> tuple[TakenOver, ...]:
        """Return the routes of others that replaces displaced since the last call, all the same."""
        found, self._taken_over = tuple(self._taken_over), []
        return found

    def _apply(self, changes: Sequence[Change], after: Callable[[], object] = lambda: None) -> dict[int, Refusal]:
        """Carry out CHANGES in order, and call AFTER after each batch."""
        refused: dict[int, Refusal] = {}
        first = 0
        few = isinstance(changes, Changes) and len(changes.parts) <= _PARTS
        parts: Sequence[ChangeColumns | Sequence[Change]] = changes.parts if few else (changes,)  # type: ignore[attr-defined]
        for part in parts:
            if isinstance(part, ChangeColumns) and self._indexes.keys() >= set(part.routes.dev):
                found, count = self._apply_columns(part, after), len(part.actions)
            else:
                values = tuple(part.changes()) if isinstance(part, ChangeColumns) else part
                found, count = self._apply_values(values, after), len(values)
            refused.update((first + offset, why) for offset, why in found.items())
            first += count
        return refused

    def _apply_columns(self, changes: ChangeColumns, after: Callable[[], object]) -> dict[int, Refusal]:
        """Carry out changes whose devices are all there."""
        refused: dict[int, Refusal] = {}
        for first in range(0, len(changes.actions), _CHUNK):
            rows = changes.part(slice(first, first + _CHUNK)) if len(changes.actions) > _CHUNK else changes
            count = len(rows.actions)
            seq = self._next(count)
            encoded = memoryview(encode_columns(rows, self._indexes, seq, BATCH))
            size = len(encoded) // count
            for start in range(0, count, BATCH):
                end = min(start + BATCH, count)
                batch = partial(_values, rows, start, end)
                found = self._exchange(encoded[start * size : end * size], seq + start, end - start, batch)
                refused.update((first + start + offset, why) for offset, why in found.items())
                after()
        return refused

    def _apply_values(self, changes: Sequence[Change], after: Callable[[], object]) -> dict[int, Refusal]:
        """Carry out changes of any form."""
        refused: dict[int, Refusal] = {}
        for first in range(0, len(changes), BATCH):
            batch = changes[first : first + BATCH]
            refused.update((first + offset, why) for offset, why in self._batch(batch).items())
            after()
        return refused

    def _apply_carefully(self, changes: Sequence[Change], meanwhile: "Meanwhile") -> dict[int, Refusal]:
        """Carry out CHANGES that include replaces and were computed from the snapshot at which MEANWHILE began."""
        from podroutes.kernel.replacing import Replacing, kept, positions  # noqa: PLC0415, only where a next hop moves

        replacing = Replacing(changes, meanwhile, self.port, {index: name for name, index in self._indexes.items()})
        refused = replacing.late()
        if refused:
            rest = kept(len(changes), refused)
            refused |= positions(self._apply([changes[position] for position in rest], replacing.listen), rest)
        else:
            refused = self._apply(changes, replacing.listen)
        refused |= replacing.settle(self._ask)
        self._taken_over += replacing.taken_over
        return refused

    def _ask(self, build: Callable[[int], bytes]) -> Refusal | None:
        """Send the request that BUILD makes for a sequence number; return its refusal, if any."""
        seq = self._next(1)
        self._send(build(seq))
        for datagram in self._answers():
            for message in messages(datagram):
                if message.type == nl.NLMSG_ERROR and message.seq == seq:
                    found = answer(datagram, message)
                    return Refusal(found.errno, found.text or os.strerror(found.errno)) if found.errno else None
        return Refusal(errno.ENOBUFS, "the kernel's answer was lost")

    def _listen(self, meanwhile: "Meanwhile | None") -> None:
        """Start to record, or stop."""
        before, self._meanwhile = self._meanwhile, meanwhile
        if before:
            before.close()

    def _links(self) -> tuple[Link, ...]:
        dump = self._dump(MessageDump(nl.RTM_NEWLINK), links.links_request)
        found = tuple(links.link(datagram, said) for datagram, said in dump.messages)
        self._indexes = {link.name: link.ifindex for link in found}
        return found

    def _routes(self, names: dict[int, str], *, table: int = 0, protocol: int = 0) -> dict[int, RouteDump]:
        def request(version: int) -> Callable[[int], bytes]:
            return lambda seq: routes_request(seq, version, table=table, protocol=protocol)

        return {version: self._dump(RouteDump(version, names), request(version)) for version in (4, 6)}

    def _dump(self, dump: _Dump, request: Callable[[int], bytes]) -> _Dump:
        """Repeat the dump until it is consistent: changes during a dump may be missing from it (NLM_F_DUMP_INTR)."""
        for _ in range(_DUMP_TRIES):
            fresh = dump.fresh()
            self._send(request(self._next(1)))
            self.dumps += 1
            try:
                while (end := fresh.feed(self._socket.recv(_READ))) is None:
                    self.between()
            except (OSError, struct.error) as error:
                self._drain()
                raise KernelError(f"cannot read the kernel's tables: {error}") from error
            if end.errno == errno.ENOENT:  # the table does not exist yet: no route was ever added
                return fresh
            if end.errno:
                raise KernelError(f"the kernel refuses to list its tables: {end.text or os.strerror(end.errno)}")
            if not fresh.interrupted:
                return fresh
        raise KernelError(f"the kernel's tables changed during each of {_DUMP_TRIES} attempts to read them; try again")

    def _batch(self, batch: Sequence[Change]) -> dict[int, Refusal]:
        """Carry out at most BATCH changes; those over a missing device are refused without a request."""
        devices = {hop.dev for change in batch for hop in change.route.next_hops}
        if devices <= self._indexes.keys() | {None}:
            return self._converse(batch)
        gone = {
            offset: Refusal(errno.ENODEV, os.strerror(errno.ENODEV))
            for offset, change in enumerate(batch)
            if any(hop.dev and hop.dev not in self._indexes for hop in change.route.next_hops)
        }
        here = [offset for offset in range(len(batch)) if offset not in gone]
        refused = self._converse([batch[offset] for offset in here]) if here else {}
        return gone | {here[offset]: why for offset, why in refused.items()}

    def _converse(self, batch: Sequence[Change]) -> dict[int, Refusal]:
        """Send one batch and read the answers up to its last message."""
        seq = self._next(len(batch))
        return self._exchange(encode(batch, self._indexes, seq), seq, len(batch), lambda: batch)

    def _exchange(
        self, data: bytearray | memoryview, seq: int, count: int, batch: Callable[[], Sequence[Change]]
    ) -> dict[int, Refusal]:
        """Send DATA, COUNT messages from sequence number SEQ on, and read the answers up to its last message. They are of BATCH."""
        last = seq + count - 1
        self._send(data)
        self.batches += 1
        self.messages += count
        refused: dict[int, Refusal] = {}
        for datagram in self._answers():
            for message in messages(datagram):
                if message.type != nl.NLMSG_ERROR or not seq <= message.seq <= last:
                    continue
                found = answer(datagram, message)
                if found.errno == errno.EPERM:
                    self._drain()
                    raise KernelError(
                        "changing routes needs the capability CAP_NET_ADMIN: run it with sudo, or in a service with "
                        "AmbientCapabilities=CAP_NET_ADMIN"
                    )
                if found.errno:
                    refused[message.seq - seq] = Refusal(found.errno, found.text or os.strerror(found.errno))
                if message.seq == last:
                    return refused
        return self._judge(batch()) | refused

    def _answers(self) -> Iterator[bytes]:
        """Yield the kernel's answers. Ends early only if some were lost for lack of buffer space (ENOBUFS).

        The kernel carries out requests during send(2), so that no further answers arrive later.
        """
        flags = 0
        while True:
            try:
                yield self._socket.recv(_READ, flags)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError(f"netlink: {error.strerror}") from error
                flags = socket.MSG_DONTWAIT

    def _drain(self) -> None:
        """Discard the pending answers of an aborted request, so that they are not taken for answers to the next one."""
        with suppress(OSError):  # there is no more
            while self._socket.recv(_READ, socket.MSG_DONTWAIT):
                pass

    def _judge(self, batch: Sequence[Change]) -> dict[int, Refusal]:
        """Determine the results of a batch from the tables, after its answers were lost (ENOBUFS)."""
        fib = self.snapshot(lambda _: interest((change.route.dst for change in batch), ()))
        there = {_identity(route) for route in (*fib.ours(), *fib.others, *self.ours())}
        return {
            offset: Refusal(errno.ENOBUFS, "the kernel's answer was lost")
            for offset, change in enumerate(batch)
            if (_identity(change.route) in there) == (change.action == "delete")
        }

    def _next(self, count: int) -> int:
        """Reserve COUNT sequence numbers; they wrap long before the 32 bits that they have."""
        first = self._seq + 1 if self._seq < 1 << 31 else 1
        self._seq = first + count - 1
        return first

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(f"cannot speak to the kernel: {error.strerror}") from error


def _values(changes: ChangeColumns, start: int, end: int) -> tuple[Change, ...]:
    """Return the rows from START to END as values."""
    return tuple(changes.part(slice(start, end)).changes())


def _identity(route: Route) -> tuple[object, ...]:
    """Return the route without its flags, which change with the carrier."""
    return (
        route.table,
        route.dst,
        route.tos,
        route.metric,
        route.protocol,
        *((hop.via, hop.dev) for hop in route.next_hops),
    )
