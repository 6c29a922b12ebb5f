"""Probes many addresses from many machines, at a bounded rate and for a bounded time."""

import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from podroutes.host.ping import PingSocket
from podroutes.model.address import Address
from podroutes.model.probe import Probed

COUNT = 3  # packets to each address, for loss and latency
RATE = 1000  # packets a second, all machines together: far below what hurts, and 5,000 nodes take 15 s
PATIENCE = 1.0  # seconds after the last packet of a round
LONGEST = 60.0  # seconds for everything; with reading the tables of 1,000 machines that stays within two minutes
MOST = 40_000  # pairs that are asked: the first round takes two thirds of the time
SMALLEST = {4: 576, 6: 1280}  # bytes that each path must carry: RFC 791, RFC 8200 section 5
_TOGETHER = 2_000  # pairs whose path MTU is looked for at once: two seconds each step
_SIZE = 84  # bytes of an ordinary packet, as sent by ping(8) over IPv4

Progress = Callable[[int, int], None]
Pair = tuple[str, Address]


class ProbeSource:
    """The sockets of one machine; made in its network namespace. ADDRESSES are those that it sends from, by IP version."""

    def __init__(self, source: str, versions: Sequence[int], addresses: Mapping[int, Address] | None = None) -> None:
        self.source = source
        self.ping_sockets = {
            (version, how): PingSocket(version, how, (addresses or {}).get(version))
            for version in versions
            for how in ("icmp", "udp")
        }

    def close(self) -> None:
        """Close the sockets."""
        for ping_socket in self.ping_sockets.values():
            ping_socket.socket.close()


def probe(vantages: Sequence[ProbeSource], targets: Sequence[tuple[str, Address]], progress: Progress) -> list[Probed]:
    """Ask every target of another node, (node, address), from every vantage; PROGRESS is told (done, all).

    Of more than MOST pairs a fair sample is asked: as many of every vantage, and as many of every target.
    """
    return _Rounds(vantages, targets, progress).run()


def sample(sources: Sequence[str], targets: Sequence[tuple[str, Address]]) -> Iterator[tuple[str, str, Address]]:
    """Yield (source, node, address) so that every beginning of it is fair: each source once, then each once more."""
    step = max(1, len(targets) // max(1, len(sources)))
    for turn in range(len(targets)):
        for index, source in enumerate(sources):
            node, address = targets[(index * step + turn + 1) % len(targets)]
            if node != source:
                yield source, node, address


class _Rounds:
    def __init__(
        self, vantages: Sequence[ProbeSource], targets: Sequence[tuple[str, Address]], progress: Progress
    ) -> None:
        self.vantages = {vantage.source: vantage for vantage in vantages}
        pairs = islice(sample(list(self.vantages), targets), MOST)
        self.nodes = {(source, address): node for source, node, address in pairs}
        self.progress = progress
        self.deadline = time.monotonic() + LONGEST
        self._number = 0
        self._next = 0.0
        self._times: dict[Pair, list[float]] = {pair: [] for pair in self.nodes}
        self._sent = dict.fromkeys(self.nodes, 0)
        self._late: dict[
            int, tuple[Pair, float]
        ] = {}  # counted packets whose round is over: a busy machine answers later
        self._errors: dict[Pair, str] = {}
        self._how = dict.fromkeys(self.nodes, "icmp")
        self._selector = selectors.DefaultSelector()
        for vantage in vantages:
            for ping_socket in vantage.ping_sockets.values():
                self._selector.register(ping_socket.socket, selectors.EVENT_READ, (vantage.source, ping_socket))

    def run(self) -> list[Probed]:
        try:
            self._ask(dict.fromkeys(self.nodes, _SIZE), counted=True)
            for _ in range(COUNT - 1):
                self._ask(dict.fromkeys(self._again(), _SIZE), counted=True)
            silent = [pair for pair, times in self._times.items() if self._sent[pair] and not times]
            for pair in silent:
                self._how[pair] = "udp"
            self._ask(dict.fromkeys(silent, _SIZE), counted=True)
            for pair in silent:
                if not self._times[pair]:
                    self._how[pair] = "icmp"
            sizes = self._sizes([pair for pair, times in self._times.items() if times])
        finally:
            self._selector.close()
        return [self._probed(pair, sizes.get(pair)) for pair in self.nodes]

    def _again(self) -> list[Pair]:
        """Return what to ask once more: all where there is time for it and for path MTUs, else what has not answered."""
        asked = [pair for pair, sent in self._sent.items() if sent]
        if len(asked) == len(self.nodes) and len(asked) * COUNT <= (self.deadline - time.monotonic()) * RATE:
            return asked
        return [pair for pair in asked if not self._times[pair]]

    def _probed(self, pair: Pair, mtu: int | None) -> Probed:
        times = self._times[pair]
        mean = sum(times) / len(times) if times else 0.0
        error = "" if times else self._errors.get(pair, "no answer") if self._sent[pair] else "not asked"
        return Probed(
            pair[0],
            self.nodes[pair],
            pair[1],
            self._sent[pair],
            len(times),
            min(times, default=0.0),
            mean,
            mtu,
            self._how[pair],
            error,
        )

    def _sizes(self, pairs: Sequence[Pair]) -> dict[Pair, int]:
        """Return the path MTUs of as many of PAIRS as there is time for."""
        sizes: dict[Pair, int] = {}
        for place in range(0, len(pairs), _TOGETHER):
            if time.monotonic() >= self.deadline:
                break
            sizes |= self._sweep(pairs[place : place + _TOGETHER])
        return sizes

    def _sweep(self, pairs: Sequence[Pair]) -> dict[Pair, int]:
        """Return the largest packet that each pair answers: first that of the device, else by halving what is left.

        What there was no time to measure is left out.
        """
        high = {pair: self._ping_socket(pair).largest(pair[1]) for pair in pairs}
        low = {pair: min(SMALLEST[pair[1].version], high[pair]) for pair in pairs}
        tried = dict(high)
        while tried:
            answered = self._ask(tried, counted=False)
            answered |= self._ask(
                {pair: size for pair, size in tried.items() if pair not in answered}, counted=False
            )  # a lost packet is no sign of its size
            if time.monotonic() >= self.deadline:
                return {pair: size for pair, size in low.items() if pair not in tried}
            for pair, size in tried.items():
                if pair in answered:
                    low[pair] = size
                else:
                    high[pair] = size - 1
            tried = {pair: (low[pair] + high[pair] + 1) // 2 for pair in pairs if low[pair] < high[pair]}
        return low

    def _ask(self, sizes: dict[Pair, int], *, counted: bool) -> set[Pair]:
        """Send one packet for each pair; return those that were answered."""
        waiting: dict[int, tuple[Pair, float]] = {}
        answered: set[Pair] = set()
        for index, (pair, size) in enumerate(sizes.items()):
            now = self._pace(waiting, answered, counted=counted)
            if now > self.deadline:
                break
            self._number += 1
            self._sent[pair] += counted
            waiting[self._number] = pair, time.monotonic()
            why = self._ping_socket(pair).ask(pair[1], self._number, size)
            if why:
                del waiting[self._number]
                self._errors[pair] = why
            self.progress(index + 1, len(sizes))
        end = min(time.monotonic() + PATIENCE, self.deadline)
        while waiting and (left := end - time.monotonic()) > 0:
            self._listen(left, waiting, answered, counted=counted)
        if counted:
            self._late |= waiting
        return answered

    def _ping_socket(self, pair: Pair) -> PingSocket:
        return self.vantages[pair[0]].ping_sockets[pair[1].version, self._how[pair]]

    def _pace(self, waiting: dict[int, tuple[Pair, float]], answered: set[Pair], *, counted: bool) -> float:
        """Wait until the next packet may go, listening; return the time."""
        self._next = max(self._next, time.monotonic()) + 1 / RATE
        while True:
            left = self._next - time.monotonic()
            self._listen(max(0.0, left), waiting, answered, counted=counted)
            if left <= 0:
                return time.monotonic()

    def _listen(
        self, wait: float, waiting: dict[int, tuple[Pair, float]], answered: set[Pair], *, counted: bool
    ) -> None:
        for key, _ in self._selector.select(wait):
            source, ping_socket = key.data
            for answer in ping_socket.heard():
                late = answer.number in self._late
                known = self._late if late else waiting
                pair, since = known.get(answer.number, ((source, answer.target), 0.0))
                if answer.number not in known or pair[0] != source:
                    continue
                del known[answer.number]
                if answer.error:
                    self._errors[pair] = answer.error
                elif pair[1] == answer.target:
                    if not late:
                        answered.add(pair)
                    if counted or late:
                        self._times[pair].append((time.monotonic() - since) * 1e3)
