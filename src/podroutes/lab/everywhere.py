"""Runs one command on all machines of an entered lab at the same time, and prints what each says in the order of the machines."""

import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from podroutes.lab import inside

_PARALLEL = 16  # commands at a time: enough to keep the processors busy, and not a thousand Pythons in memory


class _Running(NamedTuple):
    """A command on the machine ``name``, and what it has said."""

    name: str
    pid: int
    out: IO[bytes]
    err: IO[bytes]


def run_everywhere(names: Sequence[str], command: list[str]) -> int:
    """Run COMMAND on the machines NAMES, with nothing on its standard input; return the highest status."""
    waiting = deque(names)
    running: deque[_Running] = deque()
    worst = 0
    with _interrupts_for_children():
        while waiting or running:
            while waiting and len(running) < _PARALLEL:
                running.append(_start(waiting.popleft(), command))
            first = running.popleft()
            status = os.waitstatus_to_exitcode(os.waitpid(first.pid, 0)[1])
            _print(first)
            if status == -signal.SIGINT:  # Ctrl-C, which all that run have got
                waiting.clear()
            worst = max(worst, status if status >= 0 else inside.SIGNALLED - status)
    return worst


def _start(name: str, command: list[str]) -> _Running:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115, closed when they were printed
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for descriptor, stream in enumerate((os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())):
                os.dup2(stream, descriptor)
            inside.become(name, command)
        finally:
            os._exit(inside.NOT_EXECUTABLE)
    return _Running(name, child, out, err)


def _print(done: _Running) -> None:
    """Print what a command has said, each stream to its own."""
    print(f"==> {done.name} <==", flush=True)
    for stream, ours in ((done.out, sys.stdout), (done.err, sys.stderr)):
        with stream:
            stream.seek(0)
            shutil.copyfileobj(stream, ours.buffer)
            ours.flush()


@contextmanager
def _interrupts_for_children() -> Iterator[None]:
    """Ignore SIGINT in this process, so that what was said until then is printed."""
    before: Callable[..., object] | int | None = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
