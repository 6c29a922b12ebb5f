# ruff: noqa: T201 - a bench prints
"""The command line: measure in namespaces, print, write the results as JSON and the chart as SVG."""

import argparse
import compileall
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench
from bench import (
    agent,
    chart,
    crowd,
    daemons,
    engine,
    flips,
    forms,
    machine,
    process,
    proof,
    restart,
    sandbox,
    scene,
    tables,
)
from bench.goals import goals
from bench.pairing import Pairing, Result

ROOT = Path(__file__).resolve().parent.parent
_SECTIONS = (
    "engine",
    "forms",
    "apply",
    "startup",
    "flips",
    "inventory",
    "proof",
    "tables",
    "agent",
    "crowd",
    "restart",
)
_AGENTS = (10, 5_000)  # nodes
_PEERS = ("pyroute2", "bird", "frr")


def main() -> int:
    """Measure what the command line asks for."""
    arguments = _arguments()
    peers = frozenset(filter(None, arguments.peers.split(",")))
    if "engine" in arguments.sections and peers & {"bird", "frr"}:
        try:
            daemons.fetch()
        except daemons.UnavailableError as reason:
            print(f"BIRD and FRR are left out: {reason}", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        return sandbox.run(lambda: _Session(arguments, peers).run())
    except OSError as error:
        print(f"bench: this host forbids network namespaces ({error}); run it as root", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=bench.__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(_SECTIONS)}, or all (the default)")
    parser.add_argument("--sizes", default="1000,5000,10000,100000", help="numbers of routes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns for each contestant (%(default)s)")
    parser.add_argument("--limit", type=float, default=30, help="leave out who would take longer, s (%(default)s)")
    parser.add_argument("--peers", default=",".join(_PEERS), help="beside ip(8): any of %(default)s")
    parser.add_argument("--nodes", type=int, default=10_000, help="nodes of whole processes (%(default)s)")
    parser.add_argument("--rate", type=int, default=10_000, help="packets a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="how long next hops move (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench" / "results.json")
    parser.add_argument("--chart", type=Path, help="where to draw; docs/bench.svg when everything is measured")
    arguments = parser.parse_args()
    arguments.sizes = sorted(int(size) for size in arguments.sizes.split(","))
    if not arguments.sections or "all" in arguments.sections:
        arguments.sections = list(_SECTIONS)
        arguments.chart = arguments.chart or ROOT / "docs" / "bench.svg"
    if unknown := set(arguments.sections) - set(_SECTIONS):
        parser.error(f"unknown section: {', '.join(sorted(unknown))}; there are {', '.join(_SECTIONS)} and all")
    return arguments


class _Session:
    """One run inside the sandbox."""

    def __init__(self, arguments: argparse.Namespace, peers: frozenset[str]) -> None:
        self._arguments = arguments
        self._peers = peers
        self._pairing = Pairing(arguments.rounds, arguments.limit)
        self._results: list[Result] = []

    def run(self) -> int:
        compileall.compile_dir(ROOT / "src", quiet=1)  # as a package's are, whatever PYTHONDONTWRITEBYTECODE says
        os.chdir(ROOT)  # where `python -m bench.pyroute2_peer` finds itself
        scene.build()
        daemons.accommodate()
        found = [daemon for daemon in daemons.available() if daemon.name.lower() in self._peers]
        told = machine.describe(found, pyroute2="pyroute2" in self._peers)
        print("\n".join(f"{name + ':':<12}{value}" for name, value in told.items()))
        sections: dict[str, Callable[[], Iterator[Result]]] = {
            "engine": lambda: self._engine(found),
            "forms": self._forms,
            "apply": self._apply,
            "startup": self._startup,
            "inventory": self._inventory,
            "proof": self._proof,
            "tables": self._tables,
            "agent": self._agent,
            "crowd": self._crowd,
            "restart": self._restart,
            "flips": self._flips,  # last: it turns the scene into another one
        }
        for name, section in sections.items():
            for result in section() if name in self._arguments.sections else ():
                self._results.append(result)
                _show(result)
        judged = list(goals(self._results))
        self._write(told, [goal._asdict() for goal in judged])
        print("\ngoals")
        for goal in judged:
            verdict = "-" if goal.met is None else "met" if goal.met else "NOT MET"
            print(f"  {verdict:<8}{goal.goal}: {goal.measured or 'not measured'}")
        return 0

    def _write(self, told: dict[str, str], judged: list[dict[str, Any]]) -> None:
        document = {"machine": told, "results": self._results, "goals": judged}
        self._arguments.output.parent.mkdir(parents=True, exist_ok=True)
        self._arguments.output.write_text(json.dumps(document, indent=1) + "\n")
        if self._arguments.chart:
            chart.write(self._arguments.chart, self._results, told)

    def _engine(self, found: list[daemons.Daemon]) -> Iterator[Result]:
        for size in self._arguments.sizes:
            yield from engine.Engine(self._pairing, size, self._peers, found).results()

    def _forms(self) -> Iterator[Result]:
        index = socket.if_nametoindex(scene.DEVICE)
        for size in self._arguments.sizes:
            yield from forms.Forms(self._pairing, size, index).results()

    def _apply(self) -> Iterator[Result]:
        yield from process.applying(self._pairing, self._arguments.nodes)

    def _startup(self) -> Iterator[Result]:
        yield process.starting(Pairing(4 * self._arguments.rounds, self._arguments.limit))
        yield process.memory(self._arguments.nodes)

    def _inventory(self) -> Iterator[Result]:
        command = [sys.executable, str(ROOT / "bench" / "inventory.py"), "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        yield {"operation": "read an inventory", "routes": 0, "formats": json.loads(said)}

    def _proof(self) -> Iterator[Result]:
        command = [sys.executable, "-m", "bench.proof", "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        yield {"operation": "prove a cluster", "routes": 0, "cases": json.loads(said)}

    def _tables(self) -> Iterator[Result]:
        command = [sys.executable, "-m", "bench.tables", "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        yield {"operation": "read and prove tables in files", "routes": 0, "tables": json.loads(said)}

    def _agent(self) -> Iterator[Result]:
        for count in _AGENTS:
            yield agent.measure(count)

    def _crowd(self) -> Iterator[Result]:
        yield crowd.measure()

    def _restart(self) -> Iterator[Result]:
        yield restart.measure()

    def _flips(self) -> Iterator[Result]:
        yield flips.measure(1000, self._arguments.rate, self._arguments.seconds)


def _show(result: Result) -> None:
    """Print one result."""
    print(f"\n{result['operation']}" + (f", {result['routes']:,} routes" if result["routes"] else ""))
    if "contestants" in result:
        lines = _contest(result)
    elif "peak_mib" in result:
        lines = (f"{peak:>11.1f} MiB  {name}" for name, peak in result["peak_mib"].items())
    elif "formats" in result:
        lines = map(
            "{load_ms:>11,.1f} ms {peak_mib:>8.1f} MiB  {format}, {nodes:,} nodes".format_map, result["formats"]
        )
    elif "tables" in result:
        lines = map(tables.LINE.format_map, result["tables"])
    elif "cases" in result:
        lines = map(proof.LINE.format_map, result["cases"])
    else:
        figures = (name for name in result if name not in {"operation", "routes"})
        lines = (f"{name.replace('_', ' ')}: {result[name]}" for name in figures)
    for line in lines:
        print(f"  {line}")
    sys.stdout.flush()


def _contest(result: Result) -> Iterator[str]:
    for each in result["contestants"]:
        if each["median_ms"] is None:
            yield f"{'-':>14}  {'':>9}  {each['name']} (about {each['expected_s']:,} s)"
        else:
            ratio = f"{each['ratio']:>8.2f}x" if each["ratio"] is not None else f"{'':>9}"
            low, high = each["spread_ms"]
            yield f"{each['median_ms']:>11,.3f} ms  {ratio}  {each['name']} ({low:,.1f} to {high:,.1f})"
    if result.get("counts"):
        yield "podroutes said: " + ", ".join(f"{name} {count:,}" for name, count in result["counts"].items())


if __name__ == "__main__":
    sys.exit(main())
