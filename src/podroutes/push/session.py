"""One machine's conversation: read, plan; then arm, change, look again over a new connection, and confirm or take back."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from podroutes.errors import PodroutesError, PushError
from podroutes.host.iproute_json import Reader
from podroutes.model.address import Address
from podroutes.model.cluster import Node
from podroutes.model.host_change import HostResult
from podroutes.model.plan import FileResult, Outcome, Plan
from podroutes.model.push import Pushed, State
from podroutes.model.text import escaped, listing
from podroutes.plan.refusals import results
from podroutes.push import responses, scripts
from podroutes.push.planning import PushRequest, plan
from podroutes.push.remote_command import frames, order, setting_name
from podroutes.push.ssh import Answer, SshClient, SshSession

if TYPE_CHECKING:
    from podroutes.model.persisted import FileChange

_TRIES = 3  # dumps that the kernel says were interrupted
_PEERS = 3  # next hops that a machine which reached them before has to reach after
_PAUSE = 1.0  # seconds between two attempts to reach a machine again
_GRACE = 3.0  # seconds for a machine to go back once its time is up
_KILLED = "137"  # timeout(1) had to end ip(8)
T = TypeVar("T")


class Settings(NamedTuple):
    """What all machines of a push have in common."""

    door: SshClient
    job: PushRequest
    reader: Reader
    confirm: int  # seconds after which a machine that was not confirmed goes back by itself


class Machine:
    """Not to be used by two tasks at once. ``pushed`` tells at any time how it stands, also when a step was cancelled."""

    def __init__(self, node: Node, settings: Settings) -> None:
        self.node = node
        self.seen: responses.Seen | None = None
        self._door, self._job, self._reader, self._confirm = settings
        self._line: SshSession | None = None
        self._connections = 0
        self._plan: Plan | None = None
        self._memory: FileChange | None = None
        self._state: State = "unchanged"
        self._outcome: Outcome | None = None
        self._error = ""
        self._until: float | None = None
        self._token = ""
        self._begun = False
        self._reached: frozenset[Address] = frozenset()

    @property
    def pushed(self) -> Pushed:
        """How it stands."""
        return Pushed(
            self.node.name,
            self._state,
            self._plan,
            self._outcome,
            self._error,
            self._until,
            self._connections,
            self._begun,
        )

    def fail(self, why: str) -> None:
        """Take note that it is given up, and WHY."""
        self._error = self._error or why

    async def close(self) -> None:
        """Hang up."""
        if self._line:
            await self._line.close()
            self._line = None

    async def look(self) -> None:
        """Read it; whatever is wrong is in ``pushed``. The connection stays open where more is to be done."""
        try:
            self.seen = await self._read()
        except PodroutesError as error:
            self._error = str(error)
            await self.close()

    async def survey(self) -> None:
        """Read and plan it; whatever is wrong is in ``pushed``."""
        await self.look()
        self._make_plan()
        if self._error or not (self._plan and self._plan.pending):
            await self.close()

    def agree(self) -> None:
        """Let go what is held: somebody was asked."""
        if self._plan and not self._error:
            self._job = self._job._replace(agreed=frozenset(change.route.dst for change in self._plan.held))
            self._make_plan()

    def _make_plan(self) -> None:
        """Plan from what was read; whatever is wrong is in ``pushed``."""
        if self.seen is None:
            return
        try:
            self._plan, self._memory = plan(self._job, self.node, self.seen)
            order(self._plan)
        except PodroutesError as error:
            self._error = str(error)

    async def carry_out(self) -> None:
        """Carry out the plan; whatever goes wrong, and how the machine was left, is in ``pushed``."""
        if not self._plan:
            raise ValueError("nothing is planned")
        self._begun = True
        try:
            self._reached = await self._peers(self._plan)
            answer = await self._commit(self._plan)
            if self._judge(self._plan, answer):
                await self._check()
        except PodroutesError as error:
            self.fail(str(error))
            await self._back()
        finally:
            await self.close()

    async def _connected(self) -> SshSession:
        if self._line is None or self._line.closed:
            self._line = await self._door.connect(self.node)
            self._connections += 1
        return self._line

    async def _read(self) -> responses.Seen:
        """Read tables and files; a dump that was interrupted is none."""
        for _ in range(_TRIES):
            line = await self._connected()
            answer = await line.run(scripts.read_script(), f"{self._job.request}\n".encode())
            if b"interrupted" not in answer.err:
                return responses.seen(self.node.name, answer.out, answer.err, self._reader)
        raise PushError("its routes change all the time, so that they cannot be read; try again later")

    async def _peers(self, plan: Plan) -> frozenset[Address]:
        """Return which of a few next hops it reaches."""
        vias = sorted({change.route.via for change in plan.changes if change.route.via and change.action != "delete"})
        line = await self._connected()
        some = vias[:: len(vias) // _PEERS + 1]
        reached = await asyncio.gather(*(line.reaches(str(via)) for via in some))
        return frozenset(via for via, does in zip(some, reached, strict=True) if does)

    async def _commit(self, plan: Plan) -> Answer:
        """Send the plan to be carried out."""
        self._token = secrets.token_hex(8)
        line = await self._connected()
        more = (self._memory,) if self._memory else ()
        payload = frames(order(plan, *more), self._token, self._confirm)
        self._until = time.time() + self._confirm
        self._state = "returning"
        return await line.run(scripts.COMMIT, payload, self._confirm)

    def _judge(self, plan: Plan, answer: Answer) -> bool:
        """Take note of what COMMIT answered; whether it went far enough to be checked."""
        verdict = responses.verdict(answer.out)
        if "armed" not in verdict:
            self._state, self._until = "unchanged", None
            self.fail(_refusal(verdict, answer))
            return False
        body = next((body for words, body in responses.sections(answer.out) if words[:1] == ["carried"]), b"")
        failed = responses.settings(answer.out)
        self._outcome = Outcome(
            plan,
            results(plan.changes, responses.refusals(body)),
            tuple(FileResult(change) for change in plan.files or ()),
            tuple(HostResult(change, failed.get(setting_name(change))) for change in plan.host),
        )
        if verdict.get("carried") == _KILLED:
            raise PushError(f"ip -batch did not end within {self._confirm} s")
        if "carried" not in verdict:
            raise PushError("it did not say what became of the changes")
        return True

    async def _check(self) -> None:
        """Look at the machine over a new connection, and confirm; PushError where it is not as it should be."""
        await self.close()
        seen = await self._patiently(self._read)
        self._compare(seen)
        line = await self._connected()
        again = await asyncio.gather(*(line.reaches(str(via)) for via in self._reached))
        lost = [str(via) for via, does in zip(self._reached, again, strict=True) if not does]
        if lost:
            raise PushError(f"it no longer reaches {listing(lost)}")
        self._state = "unknown"
        self._settle(await self._patiently(self._keep))

    def _compare(self, seen: responses.Seen) -> None:
        """Hold the tables to what was written: nothing but what failed may be left to do."""
        results = self._outcome.routes if self._outcome else ()
        failed = {result.change.route.dst for result in results if result.refusal}
        again = plan(self._job, self.node, seen).plan
        left = [str(change.route.dst) for change in again.changes if change.route.dst not in failed]
        refused = {result.change.name for result in (self._outcome.host if self._outcome else ()) if result.failure}
        left += [change.name for change in again.host if change.name not in refused]
        if left:
            raise PushError(f"it does not have what was written: {listing(left)}")

    async def _keep(self) -> Answer:
        line = await self._connected()
        answer = await line.run(scripts.DECIDE, f"{self._token} keep\n".encode())
        if not responses.verdict(answer.out).keys() & {"kept", "gone", "back", "waiting"}:
            raise PushError("it did not answer the confirmation")
        return answer

    def _settle(self, answer: Answer) -> None:
        """Take note of the answer to the confirmation."""
        verdict = responses.verdict(answer.out)
        if "kept" in verdict or "gone" in verdict:  # gone: an answer that was lost had said kept
            self._state, self._until = "applied", None
            if "failed" in verdict:
                self.fail(f"the routes are applied, but not every file: {verdict['failed']}")
        else:
            self._state, self._until = ("rolled-back", None) if "back" in verdict else ("returning", self._until)
            self.fail(f"it was not confirmed within {self._confirm} s")

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Try STEP until the machine's time is up: a connection that was lost can come back."""
        while True:
            try:
                return await step()
            except PushError:
                await self.close()
                if self._until is None or time.time() + _PAUSE > self._until:
                    raise
                await asyncio.sleep(_PAUSE)

    async def _back(self) -> None:
        """Have the machine go back, or see that it has; where it cannot be reached it does so by itself."""
        if self._state == "unchanged":
            return
        while self._until is not None:
            try:
                line = await self._connected()
                verdict = responses.verdict((await line.run(scripts.DECIDE, f"{self._token} back\n".encode(), 10)).out)
            except PodroutesError:
                await self.close()
                if time.time() > self._until + _GRACE:
                    return
                await asyncio.sleep(_PAUSE)
                continue
            if "back" in verdict:
                self._state, self._until = "rolled-back", None
            elif "gone" in verdict:
                self._state, self._until = ("applied" if self._state == "unknown" else "unchanged"), None
            return


def _refusal(verdict: Mapping[str, str], answer: Answer) -> str:
    """Return why COMMIT changed nothing."""
    if "denied" in verdict:
        return "changing routes takes root there: use --sudo, or --user root"
    if "busy" in verdict:
        verb, _, whence = verdict["busy"].removeprefix("podroutes ").partition(" ")
        if verb != "push":
            return f"{verdict['busy'] or 'another podroutes'} is changing it; try again when it is done"
        whence = f" ({whence})" if whence else ""
        return f"another push is changing it{whence}, or waits to be confirmed; try again in a minute"
    if "refused" in verdict:
        detail = next((body for words, body in responses.sections(answer.out) if words[:1] == ["said"]), b"")
        return f"its own tools refuse {verdict['refused']}: {responses.first_line(detail) or 'it is not valid'}"
    if "failed" in verdict:
        return f"{verdict['failed']}; nothing was changed"
    return f"nothing was changed: {escaped(responses.first_line(answer.err)) or 'no answer'}"
