"""The library in this process against everybody else: full sync, read back, no-op resync, one change, all next hops moved."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench import daemons, scene, wire
from bench.pairing import Contestant, Pairing, Result, timed
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.address import Address, Prefix
from podroutes.model.fib import Fib
from podroutes.model.interest import Interest
from podroutes.model.route import PROTOCOL
from podroutes.plan import metric
from podroutes.plan.claims import Claims
from podroutes.plan.desired import expected
from podroutes.plan.interest import plan_interest
from podroutes.plan.planning import plan_here

OURS, PLAIN = "podroutes", "podroutes, plain form"
IP_PLAIN, IP_SAME = "ip -batch, plain", "ip -batch, same form as ours"
IP_SHOW, IP_ONE = "ip route show", "ip route replace, one route"
FLOOR = "the kernel alone, messages made beforehand"

FULL, READ, NOTHING, ONE, ALL = "full sync", "read back", "no-op resync", "one change", "all next hops moved"


class Engine:
    """All contests at one number of routes."""

    def __init__(self, pairing: Pairing, count: int, peers: frozenset[str], found: list[daemons.Daemon]) -> None:
        self._pairing = pairing
        self._count = count
        self._pyroute2 = "pyroute2" in peers
        self._daemons = {daemon.name: daemon for daemon in found if daemon.name.lower() in peers}
        everyone = range(count)
        self._before = scene.claims(count)
        self._after = scene.claims(count, moved=everyone)
        self._one = range(count // 2, count // 2 + 1)
        self._one_after = scene.claims(count, moved=self._one)
        self._wire = wire.Wire()
        self._counts: dict[str, int] = {}
        with NetlinkKernel() as kernel:
            self._index = next(link.ifindex for link in kernel.snapshot().links if link.name == scene.DEVICE)
        self._usual, self._plain = (
            wire.batches(wire.routes(self._rows(plain=plain), self._index)) for plain in (False, True)
        )

    def results(self) -> Iterator[Result]:
        """Run one contest after the other."""
        for operation, contestants in (
            (FULL, self._full()),
            (READ, self._read()),
            (NOTHING, self._nothing()),
            (ONE, self._one_change()),
            (ALL, self._all()),
        ):
            self._counts = {}
            result = self._pairing.compete(operation, self._count, contestants)
            yield {**result, "counts": self._counts}
        scene.empty()

    def _full(self) -> list[Contestant]:
        there = self._verify(scene.table(self._count))
        found = [
            Contestant(OURS, self._sync(self._before), scene.empty, there),
            Contestant(PLAIN, self._sync(self._before, plain=True), scene.empty, there),
            Contestant(FLOOR, self._send(self._usual), scene.empty, there),
            Contestant(IP_PLAIN, self._ip_batch("add"), scene.empty, there),
            Contestant(IP_SAME, self._ip_batch("add", like_ours=True), scene.empty, there),
        ]
        if self._pyroute2:
            found.append(Contestant("pyroute2, route()", self._pyroute("add"), scene.empty, there))
            found.append(Contestant("pyroute2, IPBatch", self._pyroute("batch"), scene.empty, there))
        if "BIRD" in self._daemons:
            found.append(Contestant("BIRD", daemons.Bird(self._daemons["BIRD"], self._count).full_sync, scene.empty))
        if "FRR" in self._daemons:
            found.append(Contestant("FRR", daemons.Frr(self._daemons["FRR"], self._count).full_sync, scene.empty))
        return found

    def _read(self) -> list[Contestant]:
        found = [
            Contestant(OURS, self._snapshot, self._fill),
            Contestant(IP_SHOW, _command("ip", "route", "show"), self._fill),
        ]
        if self._pyroute2:
            found.append(Contestant("pyroute2, dump", self._pyroute("dump"), self._fill))
        return found

    def _nothing(self) -> list[Contestant]:
        there = self._verify(scene.table(self._count))
        return [
            Contestant(OURS, self._sync(self._before), self._fill, there),
            Contestant(IP_SHOW, _command("ip", "route", "show"), self._fill),
            Contestant(IP_PLAIN, self._ip_batch("replace"), self._fill_plain, there),
            Contestant(IP_SAME, self._ip_batch("replace", like_ours=True), self._fill, there),
        ]

    def _one_change(self) -> list[Contestant]:
        there = self._verify(scene.table(self._count, moved=self._one))
        node = self._one.start
        gateway, dst = Address(4, scene.via(node, moved=True)), Prefix(4, scene.dst(node), scene.LENGTH)
        form = f"proto {PROTOCOL} metric {scene.metric(node, self._count)}".split()
        replace = _command("ip", "route", "replace", str(dst), "via", str(gateway), "dev", scene.DEVICE, *form)
        return [
            Contestant(OURS, self._sync(self._one_after), self._fill, there),
            Contestant(IP_ONE, replace, self._fill, there),
        ]

    def _all(self) -> list[Contestant]:
        there = self._verify(scene.table(self._count, moved=range(self._count)))
        moves = wire.batches(wire.routes(self._rows(moved=True), self._index, replace=True))
        found = [
            Contestant(OURS, self._sync(self._after), self._fill, there),
            Contestant(FLOOR, self._send(moves), self._fill, there),
            Contestant(IP_PLAIN, self._ip_batch("replace", moved=True), self._fill_plain, there),
            Contestant(IP_SAME, self._ip_batch("replace", moved=True, like_ours=True), self._fill, there),
        ]
        if self._pyroute2:
            found.append(Contestant("pyroute2, route()", self._pyroute("replace"), self._fill, there))
        if "BIRD" in self._daemons:
            found.append(Contestant("BIRD", daemons.Bird(self._daemons["BIRD"], self._count).move_all, scene.empty))
        return found

    def _sync(self, claims: Claims, *, plain: bool = False) -> Callable[[], float]:
        """Return what podroutes does to bring the kernel to CLAIMS: read, plan, write; it notes what was said."""

        def interest(_: Fib) -> Interest:  # as for every command
            return plan_interest(claims.cluster, (), expected=expected(claims, scene.OWN))

        def run() -> float:
            with _plain_form() if plain else _usual_form(), NetlinkKernel() as kernel:
                refused: dict[int, Any] = {}

                def sync() -> None:
                    plan = plan_here(claims, scene.OWN, kernel.snapshot(interest)).plan
                    refused.update(kernel.apply(plan.changes))
                    if plan.problems:
                        raise RuntimeError(str(plan.problems[0]))

                seconds = timed(sync)
                if refused:
                    raise RuntimeError(f"the kernel refused {len(refused)} routes: {refused.popitem()}")
                if not plain:
                    self._counts = {"dumps": kernel.dumps, "batches": kernel.batches, "messages": kernel.messages}
                return seconds

        return run

    def _snapshot(self) -> float:
        with NetlinkKernel() as kernel:
            seconds = timed(kernel.snapshot)
            self._counts = {"dumps": kernel.dumps, "batches": kernel.batches, "messages": kernel.messages}
            return seconds

    def _rows(self, *, moved: bool = False, plain: bool = False) -> list[wire.Row]:
        return [
            wire.Row(scene.dst(n), scene.via(n, moved=moved), 0 if plain else scene.metric(n, self._count))
            for n in range(self._count)
        ]

    def _send(self, joined: list[bytes]) -> Callable[[], float]:
        return lambda: timed(lambda: self._wire.send(joined))

    def _fill(self) -> None:
        scene.empty()
        self._wire.send(self._usual)

    def _fill_plain(self) -> None:
        scene.empty()
        self._wire.send(self._plain)

    def _verify(self, wanted: dict[int, int]) -> Callable[[], None]:
        def verify() -> None:
            if self._wire.gateways() != wanted:
                raise RuntimeError("the table is not what was asked for")

        return verify

    def _ip_batch(self, verb: str, *, moved: bool = False, like_ours: bool = False) -> Callable[[], float]:
        path = scene.batch_file(verb, self._count, moved=moved, like_ours=like_ours)
        return _command("ip", "-batch", str(path))

    def _pyroute(self, verb: str) -> Callable[[], float]:
        command = (sys.executable, "-m", "bench.pyroute2_peer", verb, str(self._count))
        return lambda: float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _command(*command: str) -> Callable[[], float]:
    """Time a whole process that prints to nowhere."""
    return lambda: timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


@contextmanager
def _plain_form() -> Iterator[None]:
    """Let podroutes write plain routes whatever their number, to do the same work as those who always do."""
    limit = metric.PLAIN_LIMIT
    metric.PLAIN_LIMIT = 1 << 32
    try:
        yield
    finally:
        metric.PLAIN_LIMIT = limit


@contextmanager
def _usual_form() -> Iterator[None]:
    yield
