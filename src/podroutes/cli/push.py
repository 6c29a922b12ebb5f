"""The body of ``podroutes push``: selects machines, shows progress, asks for confirmation."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TextIO

from podroutes.apply.cni_request import CniRequest
from podroutes.cli import common
from podroutes.cli.collection import Evidence
from podroutes.cli.commands import verify
from podroutes.cli.commands.plan import short
from podroutes.cli.mass_delete import terminal
from podroutes.cli.option_values import ProofOptions, PushOptions, read
from podroutes.cli.options import MASQUERADE
from podroutes.errors import PushError
from podroutes.host.iproute_json import Reader
from podroutes.host.progress import Progress, is_watched
from podroutes.model.cluster import Cluster, Node
from podroutes.model.push import Pushed
from podroutes.model.text import escaped, listing, printable
from podroutes.push.planning import PushRequest
from podroutes.push.rollout import Rollout, RolloutPolicy
from podroutes.push.session import Machine, Settings
from podroutes.push.ssh import Access, SshClient
from podroutes.verify.network import Network
from podroutes.views import push as views

_INTERRUPTED = 128 + signal.SIGINT
_VERBS = {"apply": "Apply", "remove": "Remove"}


def run(arguments: argparse.Namespace) -> int:
    """Plan, apply, verify or remove; return the exit status."""
    wanted = read(PushOptions, arguments)
    path = verify.destination(wanted.html) if wanted.verb == "verify" and wanted.html else None
    source = common.read_source(wanted.source)
    nodes = chosen(source.cluster, wanted.reach.limit)
    machines, fleet_status = asyncio.run(_Run(wanted, source, nodes).run())
    if wanted.verb != "verify" or fleet_status == _INTERRUPTED:
        return fleet_status
    hosts = [machine.seen.host for machine in machines if machine.seen]
    _say_unread([machine.pushed for machine in machines])
    if not hosts:
        raise PushError("no machine could be read, so nothing is proven")
    proven = verify.conclude(
        ProofOptions(wanted.source, wanted.output),
        Evidence(source, Network(hosts, source.cluster), None, "read over SSH"),
        path,
    )
    return fleet_status or proven


def chosen(cluster: Cluster, limit: str | None) -> list[Node]:
    """Return the nodes that match LIMIT, each once, in the order of the inventory."""
    nodes = list({node.name: node for node in reversed(cluster.nodes)}.values())[::-1]
    patterns = [pattern for pattern in (limit or "*").split(",") if pattern]
    idle = [pattern for pattern in patterns if limit and not any(fnmatchcase(node.name, pattern) for node in nodes)]
    if idle:
        names = listing([printable(node.name) for node in nodes])
        raise PushError(f"--limit: no node is named {listing([printable(each) for each in idle])}; there are {names}")
    return [node for node in nodes if any(fnmatchcase(node.name, pattern) for pattern in patterns)]


class _Run:
    """One push, from the first connection to the last."""

    def __init__(self, wanted: PushOptions, source: common.Source, nodes: Sequence[Node]) -> None:
        self._wanted = wanted
        self._verb = wanted.verb
        reach, machine = wanted.reach, wanted.machine
        access = Access(reach.user, reach.port, reach.ssh_config, reach.sudo, reach.timeout)
        self._door = SshClient(access)
        removes = self._verb == "remove"
        request = () if removes or self._verb == "verify" else (machine.persist or "", machine.sysctl, machine.adopt)
        job = PushRequest(source.cluster, source.claims, *request)._replace(
            removes=removes, allowed=machine.allow_mass_delete, at=time.time()
        )
        if request:
            machine.check()
            job = job._replace(
                cni=CniRequest(machine.cni, machine.force, keep=not machine.cni, chained=machine.cni_plugins),
                masquerade=MASQUERADE[machine.masquerade] if machine.masquerade else None,
            )
        settings = Settings(self._door, job, Reader(), wanted.confirm_timeout)
        self._machines = [Machine(node, settings) for node in nodes]
        pace = RolloutPolicy(reach.parallel, wanted.canary, wanted.max_failures)
        self._progress = _Progress()
        self._fleet = Rollout(self._machines, pace, self._progress.done)
        self._answer: asyncio.Future[str] | None = None  # the answer to the question whether to continue

    async def run(self) -> tuple[Sequence[Machine], int]:
        """Run the push; return the machines and the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            return self._machines, await self._work()
        finally:
            await self._fleet.close()
            await self._door.close()

    def _interrupt(self) -> None:
        self._fleet.interrupt()
        self._say_answer("")

    def _is_interrupted(self) -> bool:
        return self._fleet.interrupted > 0

    def _say_answer(self, text: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(text)

    async def _work(self) -> int:
        with self._progress.over("reading", len(self._machines)):
            await (self._fleet.look() if self._verb == "verify" else self._fleet.survey())
        if self._fleet.interrupted:
            print("podroutes: interrupted while reading; nothing was changed", file=sys.stderr)
            return _INTERRUPTED
        if self._verb == "verify":
            return 1 if any(pushed.error for pushed in self._pushed) else 0
        text = self._wanted.output == "text"
        if text:
            self._say_plans()
        if self._verb == "plan":
            if not text:
                common.say_document(views.document(self._pushed), self._wanted.output)
            return _planned(self._pushed)
        return await self._change(text=text)

    async def _change(self, *, text: bool) -> int:
        if text and await self._agreed_to_delete():
            for machine in self._machines:
                machine.agree()
        if self._is_interrupted():
            print("podroutes: nothing was changed", file=sys.stderr)
            return _INTERRUPTED
        pending = sum(pushed.pending for pushed in self._pushed)
        if pending and text and not await self._agreed():
            print("podroutes: nothing was changed", file=sys.stderr)
            return _INTERRUPTED if self._fleet.interrupted else 1
        with self._progress.over("changing", pending, lines=True):
            await self._fleet.carry_out()
        if text:
            print()
            common.say(views.table(self._pushed, common.style(sys.stdout)))
            self._say_failures()
            print(views.summary(self._pushed, _VERBS[self._verb]))
        else:
            common.say_document(views.document(self._pushed), self._wanted.output)
        if self._fleet.interrupted:
            return _INTERRUPTED
        return 1 if any(pushed.failed for pushed in self._pushed) else 0

    @property
    def _short(self) -> bool:
        """Whether the machines are shown in a line each."""
        full = self._wanted.full
        return short(len(self._machines), full=full, output=self._wanted.output)

    @property
    def _pushed(self) -> list[Pushed]:
        return [machine.pushed for machine in self._machines]

    def _say_plans(self) -> None:
        bold = common.style(sys.stdout)
        if self._short:
            common.say(views.plans(self._pushed, bold))
            print(f"\n{views.total(self._pushed)} --full shows each.")
        for machine in () if self._short else self._pushed:
            if machine.plan and not machine.error:
                print(bold("bold", escaped(machine.node)))
                common.say_plan(machine.plan)
                print()
        _say_unread(self._pushed)
        problems = {problem: None for pushed in self._pushed if pushed.plan for problem in pushed.plan.problems}
        common.say_problems(list(problems))

    def _say_failures(self) -> None:
        for pushed in self._pushed:
            if pushed.outcome and pushed.state == "applied":
                common.say_failures(pushed.outcome)

    async def _agreed(self) -> bool:
        """Ask for confirmation, if there is a terminal and nothing forbids it."""
        if self._wanted.yes or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
            return True
        if not self._short:  # else it stands above
            print(views.total(self._pushed))
        return await self._says_yes(views.question(self._pushed, _VERBS[self._verb]), sys.stdin, sys.stdout)

    async def _agreed_to_delete(self) -> bool:
        """Ask whether held deletions may be made, if there is a terminal."""
        question = views.deletions(self._pushed)
        if not question or self._fleet.interrupted:
            return False
        with terminal(inventory=self._wanted.source.inventory, output=self._wanted.output) as there:
            return there is not None and await self._says_yes(f"{question}\nDelete them? [y/N] ", *there)

    async def _says_yes(self, question: str, answers: TextIO, screen: TextIO) -> bool:
        print(question, end="", file=screen, flush=True)
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        loop.add_reader(answers.fileno(), lambda: self._say_answer(answers.readline()))
        try:
            return (await self._answer).strip().lower() in {"y", "yes"}
        finally:
            loop.remove_reader(answers.fileno())


def _say_unread(all_pushed: Sequence[Pushed]) -> None:
    sys.stdout.flush()
    red = common.style(sys.stderr)
    for pushed in all_pushed:
        if pushed.error:
            print(
                f"{red('red', 'error')} {red('bold', escaped(pushed.node))}: {escaped(pushed.error)}", file=sys.stderr
            )


def _planned(all_pushed: Sequence[Pushed]) -> int:
    """Return the exit status of a plan: errors take precedence over pending changes."""
    if any(pushed.error for pushed in all_pushed):
        return 1
    return (
        2
        if any(pushed.pending or (pushed.plan and pushed.plan.held) for pushed in all_pushed)
        else int(any(pushed.failed for pushed in all_pushed))
    )


class _Progress:
    """Prints progress to standard error: a bar on a terminal, else a line for each changed machine."""

    def __init__(self) -> None:
        self._bar = Progress("", 0)
        self._lines = False

    def over(self, verb: str, machines: int, *, lines: bool = False) -> Progress:
        """Begin a step that so many MACHINES go through."""
        self._bar, self._lines = Progress(verb, machines, after=0), lines and not is_watched()
        return self._bar

    def done(self, machine: Machine) -> None:
        """Take note of a machine that is through."""
        if self._lines:
            print(views.line(machine.pushed), file=sys.stderr, flush=True)
        self._bar.step(machine.pushed.node)
