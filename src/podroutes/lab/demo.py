"""Runs the demo in a lab of its own, with the programs that a reader would start and real packets."""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from podroutes.errors import LabError
from podroutes.lab import actions, itself, registry
from podroutes.lab.stopwatch import absence
from podroutes.lab.story import Stage, tell
from podroutes.lab.topology import default_cluster
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.views.style import Style

_PATIENCE = 10.0  # seconds for an agent's first reconcile


def cluster_of(arguments: argparse.Namespace) -> Cluster:
    """Return the machines of the demo. Raises LabError if there are too few or too many."""
    cluster = default_cluster(3 if arguments.nodes is None else arguments.nodes, ipv6=arguments.ipv6)
    if len(cluster.nodes) < 2:
        raise LabError("the demo needs at least 2 nodes: routes are for the pods of other nodes")
    return cluster


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if each act showed what it says. Raises LabError for one that did not.

    Raises ForbiddenError, before anything is printed, if this host does not allow a lab.
    """
    cluster = cluster_of(arguments)
    name = f"demo-{os.getpid()}"
    with _ended_by_signals():
        try:
            actions.make(name, cluster)
            with kept_directory() as directory:
                tell(LabStage(name, directory, actions.terminal_style()), cluster)
        finally:
            registry.end(name)
    print(f"\nThe lab is gone. What `verify` found, as a page: {directory}/verify.html")
    print(f"Yours: `{itself.shown()} lab up`, then `{itself.shown()} lab exec worker-0 -- ip route`.")
    return 0


@contextmanager
def kept_directory() -> Iterator[Path]:
    """Yield a new directory. It stays, with its page, if the demo succeeds, and is deleted otherwise."""
    hidden = Path(tempfile.gettempdir()).is_relative_to("/run")  # a lab has its own /run
    directory = Path(tempfile.mkdtemp(prefix="podroutes-demo-", dir="/tmp" if hidden else None))  # noqa: S108  a new one
    try:
        yield directory
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".html":
            path.unlink()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception in the block, so that it cleans up."""
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


class LabStage(Stage):
    """A stage in the lab NAME."""

    def __init__(self, name: str, directory: Path, style: Style) -> None:
        super().__init__(directory, style)
        self._name = name
        options = ("PODROUTES_", "NODE_NAME")  # options of the user do not apply to the demo
        environment = {name: value for name, value in os.environ.items() if not name.startswith(options)}
        self._environment = {**environment, "PODROUTES_CONFIG": "", "PYTHONIOENCODING": "utf-8"}

    def play(self, words: tuple[str, ...], on: str | None) -> tuple[int, str]:
        """Run a program, and return its exit status and what it printed."""
        done = subprocess.run(
            self._command(words, on),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout

    def _command(self, words: tuple[str, ...], on: str | None) -> list[str]:
        if on:
            return [*itself.command(), "lab", "exec", "--name", self._name, on, "--", *words]
        if words[0] == "lab":
            return [*itself.command(), *words, "--name", self._name]
        return [*itself.command(), *(f"--lab={self._name}" if word == "--lab" else word for word in words[1:])]

    @contextmanager
    def agent(self, on: str) -> Iterator[None]:
        """Run an agent in the background, and end it."""
        command = self._command(("podroutes", "agent", "-i", str(self.inventory), "--log", "text"), on)
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=self._environment
            )
        try:
            end = time.monotonic() + _PATIENCE
            while self.play(("podroutes", "status"), on)[0]:
                self.check(
                    process.poll() is None and time.monotonic() < end,
                    f"the agent on {on} is not ready: {self._log.read_text(encoding='utf-8')}",
                )
            yield
        finally:
            process.terminate()
            process.wait()

    def healing(self, on: str, dst: Prefix) -> tuple[float, str]:
        """Measure from the kernel's notifications how long the route was gone."""
        lab = registry.find(self._name)
        try:
            seconds = absence(lab, on, dst)
        finally:
            os.close(lab.pidfd)
        end = time.monotonic() + _PATIENCE
        while not (lines := [line for line in self._log.read_text(encoding="utf-8").splitlines() if str(dst) in line]):
            self.check(time.monotonic() < end, f"the agent on {on} does not tell of {dst}")
            time.sleep(0.01)
        return seconds, lines[-1].partition("  ")[2]  # without its timestamp

    @property
    def _log(self) -> Path:
        return self.directory / "agent.log"
