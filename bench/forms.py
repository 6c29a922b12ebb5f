"""What each form of N IPv4 routes costs the kernel: plain, through nexthop objects, with metrics spread over k values.

Messages are made beforehand, so that this is the kernel's time and that of two system calls a batch. docs/design/route-form.md
draws the conclusions.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench import scene, wire
from bench.pairing import Contestant, Pairing, Result, timed
from bench.sandbox import sysctl
from podroutes.model.route import PROTOCOL

ADD, MOVE_ALL, MOVE_ONE, READ, LINK_DOWN, MOVE_MANY = (
    "forms: add",
    "forms: move all",
    "forms: move one node",
    "forms: read back",
    "forms: link down",
    "forms: move one node of 100 prefixes",
)
_PREFIXES = 100  # a node in the last contest
_SINGLES = 50  # moves in a row that one run of "move one node" is the mean of


class Form(NamedTuple):
    """``spread``: how many metrics; ``objects``: routes go through nexthop objects, with nexthop_compat_mode COMPAT."""

    name: str
    spread: int = 0
    objects: bool = False
    compat: int = 1

    def row(self, number: int, gateway: int, node: int) -> wire.Row:
        """Return route NUMBER, which leads to NODE."""
        return wire.Row(
            scene.dst(number), gateway, 1 + number % self.spread if self.spread else 0, node + 1 if self.objects else 0
        )


FORMS = (
    Form("plain"),
    Form("nexthop objects", objects=True),
    Form("nexthop objects, compat_mode 0", objects=True, compat=0),
    Form("spread over 64 metrics", 64),
    Form("spread over 1,024 metrics", 1024),
    Form("spread over 4,096 metrics", 4096),
)


class Forms:
    """All contests at one number of routes."""

    def __init__(self, pairing: Pairing, count: int, ifindex: int) -> None:
        self._pairing = pairing
        self._count = count
        self._index = ifindex
        self._wire = wire.Wire()

    def results(self) -> Iterator[Result]:
        """Run one contest after the other."""
        everyone, one = range(self._count), range(self._count // 2, self._count // 2 + 1)
        before, after = scene.table(self._count), scene.table(self._count, moved=everyone)
        for operation, contestants in (
            (ADD, [self._contestant(form, self._put(form), self._clear(form), before) for form in FORMS]),
            (MOVE_ALL, [self._contestant(form, self._move(form, everyone), self._fill(form), after) for form in FORMS]),
            (
                MOVE_ONE,
                [self._contestant(form, self._shuttle(form, one[0]), self._fill(form), before) for form in FORMS],
            ),
            (READ, [self._contestant(form, self._read, self._fill(form), before) for form in FORMS]),
            (LINK_DOWN, [self._contestant(form, _link_down, self._fill(form), {}) for form in FORMS]),
        ):
            yield self._pairing.compete(operation, self._count, contestants)
        if self._count // _PREFIXES > 1:
            yield self._pairing.compete(MOVE_MANY, self._count, [self._many(form) for form in FORMS])
        self._clear(FORMS[0])()

    def _contestant(
        self,
        form: Form,
        work: Callable[[], None],
        prepare: Callable[[], None],
        then: dict[int, int],
        *,
        needs: str | None = ADD,
    ) -> Contestant:
        singles = _SINGLES if isinstance(work, _Shuttle) else 1

        def verify() -> None:
            sysctl("ipv4/nexthop_compat_mode", 1)  # else a dump names objects, not gateways
            if self._wire.gateways() != then:
                raise RuntimeError(f"{form.name}: the table is not what was asked for")

        return Contestant(form.name, lambda: timed(work) / singles, prepare, verify, needs)

    def _clear(self, form: Form) -> Callable[[], None]:
        def clear() -> None:
            # Routes first: a nexthop object that goes while routes use it makes the kernel walk the whole table.
            sysctl("ipv4/nexthop_compat_mode", 1)
            self._wire.send(wire.batches(wire.deletions(self._wire.gateways(PROTOCOL))))
            scene.empty()
            sysctl("ipv4/nexthop_compat_mode", form.compat)

        return clear

    def _put(self, form: Form) -> Callable[[], None]:
        """Objects first, as routes refer to them."""
        joined = wire.batches(self._objects(range(self._count), moved=False, replace=False)) if form.objects else []
        rows = [form.row(n, scene.via(n), n) for n in range(self._count)]
        joined += wire.batches(wire.routes(rows, self._index))
        return lambda: self._wire.send(joined)

    def _fill(self, form: Form) -> Callable[[], None]:
        clear, put = self._clear(form), self._put(form)

        def fill() -> None:
            clear()
            put()

        return fill

    def _objects(self, nodes: Sequence[int], *, moved: bool, replace: bool) -> list[bytes]:
        numbered = [(n + 1, scene.via(n, moved=moved)) for n in nodes]
        return wire.nexthops(numbered, self._index, replace=replace)

    def _messages(self, form: Form, nodes: Sequence[int], *, moved: bool) -> list[bytes]:
        if form.objects:
            return self._objects(nodes, moved=moved, replace=True)
        rows = [form.row(n, scene.via(n, moved=moved), n) for n in nodes]
        return wire.routes(rows, self._index, replace=True)

    def _move(self, form: Form, nodes: Sequence[int]) -> Callable[[], None]:
        joined = wire.batches(self._messages(form, nodes, moved=True))
        return lambda: self._wire.send(joined)

    def _shuttle(self, form: Form, node: int) -> "_Shuttle":
        there, back = (wire.batches(self._messages(form, [node], moved=moved)) for moved in (True, False))
        return _Shuttle(self._wire, (there + back) * (_SINGLES // 2))

    def _read(self) -> None:
        for _ in self._wire.dump():
            pass

    def _many(self, form: Form) -> Contestant:
        """Return the contest in which a node has many prefixes: all its routes go through one gateway."""
        nodes = self._count // _PREFIXES
        numbers = range(nodes * _PREFIXES)
        owner = {n: n // _PREFIXES for n in numbers}
        victim = nodes // 2
        before = {scene.dst(n): scene.via(owner[n]) for n in numbers}
        gone = scene.via(victim, moved=True)
        after = {scene.dst(n): gone if owner[n] == victim else scene.via(owner[n]) for n in numbers}
        rows = [form.row(n, before[scene.dst(n)], owner[n]) for n in numbers]
        joined = wire.batches(self._objects(range(nodes), moved=False, replace=False)) if form.objects else []
        joined += wire.batches(wire.routes(rows, self._index))
        if form.objects:
            move = wire.batches(self._objects([victim], moved=True, replace=True))
        else:
            mine = [form.row(n, gone, victim) for n in numbers if owner[n] == victim]
            move = wire.batches(wire.routes(mine, self._index, replace=True))
        clear = self._clear(form)

        def fill() -> None:
            clear()
            self._wire.send(joined)

        return self._contestant(form, lambda: self._wire.send(move), fill, after, needs=None)


def _link_down() -> None:
    """Take the link down, the time of ip(8) itself included."""
    subprocess.run(["ip", "link", "set", scene.DEVICE, "down"], check=True)


class _Shuttle:
    """One node moving there and back again."""

    def __init__(self, door: wire.Wire, joined: list[bytes]) -> None:
        self._door = door
        self._joined = joined

    def __call__(self) -> None:
        self._door.send(self._joined)
