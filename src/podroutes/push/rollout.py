"""A rollout over many machines: parallelism, canaries, and when to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from podroutes.model.push import NOT_BEGUN
from podroutes.push.session import Machine


class RolloutPolicy(NamedTuple):
    """``parallel`` machines at a time; the first ``canary`` one by one; no more once ``failures`` have failed."""

    parallel: int
    canary: int
    failures: int


class Rollout:
    """A rollout over machines in the order of the inventory. DONE is called with each machine that finishes a step."""

    def __init__(self, machines: Sequence[Machine], pace: RolloutPolicy, done: Callable[[Machine], None]) -> None:
        self.machines = machines
        self.interrupted = 0
        self._pace = pace
        self._done = done
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = False

    def interrupt(self) -> None:
        """Stop. Reading stops at once; changes in progress are finished, unless this is the second call."""
        self.interrupted += 1
        if not self._changing or self.interrupted > 1:
            for task in self._tasks:
                task.cancel()

    async def survey(self) -> None:
        """Read and plan every machine."""
        await self._each(self.machines, Machine.survey)

    async def look(self) -> None:
        """Read every machine, then disconnect."""

        async def look(machine: Machine) -> None:
            await machine.look()
            await machine.close()

        await self._each(self.machines, look)

    async def carry_out(self) -> None:
        """Carry out all plans: the canaries first, then the others."""
        self._changing = True
        pending = [other_machine for other_machine in self.machines if other_machine.pushed.pending]
        canaries = pending[: self._pace.canary]
        for index, canary in enumerate(canaries, 1):
            await self._each([canary], Machine.carry_out)
            if canary.pushed.broken:
                for machine in pending[index:]:
                    machine.fail(f"{NOT_BEGUN}a canary failed")
                return
        await self._each(pending[len(canaries) :], Machine.carry_out)

    async def close(self) -> None:
        """Disconnect from all machines."""
        await asyncio.gather(*(machine.close() for machine in self.machines))

    async def _each(self, machines: Sequence[Machine], step: Callable[[Machine], Awaitable[None]]) -> None:
        turns = asyncio.Semaphore(self._pace.parallel)

        async def one(machine: Machine) -> None:
            async with turns:
                why = self._reason_to_stop()
                if why:
                    machine.fail(f"{NOT_BEGUN}{why}")
                else:
                    await step(machine)
                self._done(machine)

        self._tasks = [asyncio.create_task(one(machine)) for machine in machines]
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for machine, result in zip(machines, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                machine.fail("interrupted")
            elif result:
                raise result

    def _reason_to_stop(self) -> str:
        if self.interrupted:
            return "interrupted"
        if self._changing and sum(machine.pushed.broken for machine in self.machines) >= self._pace.failures:
            return "too many others failed"
        return ""
