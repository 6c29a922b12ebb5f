"""The plan of another machine, made as on the machine itself: its files lie in a directory that stands in for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from podroutes.apply.cni_request import CniRequest
from podroutes.apply.executor import checked
from podroutes.apply.host_request import HostRequest
from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.apply.removal import plan_removal
from podroutes.apply.saved_state import load_deletions, load_routes
from podroutes.errors import PersistError, PushError
from podroutes.host.dependencies import read_dependencies
from podroutes.host.files import HostFiles
from podroutes.host.scratch import scratch
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Fib
from podroutes.model.persisted import File, FileChange
from podroutes.model.plan import Plan
from podroutes.model.saved_route import sorted_by_age
from podroutes.persist import BACKENDS, backend, deletions
from podroutes.plan.claims import Claims
from podroutes.plan.guard import Deleted, Run, Verdict
from podroutes.plan.identity import named_node
from podroutes.plan.settle import Context
from podroutes.plan.vanishing import Leaving
from podroutes.push.responses import Remote, Seen, fib

_ADVICE = "correct {source}, or let them go: podroutes push apply --allow-mass-delete={count}"
_AGENTLESS = "which push does not install; name a network manager, or --persist none"


class PushRequest(NamedTuple):
    """What is wanted of every machine. ``backend`` is a name, "auto", "none", or "" for what is there already."""

    cluster: Cluster
    claims: Claims
    backend: str = ""
    sysctl: bool = False
    adopt: bool = False
    removes: bool = False  # take back everything of ours instead
    allowed: int = 0  # so many routes may go at once on each machine
    agreed: frozenset[Prefix] = frozenset()  # what somebody was shown and lets go
    at: float = 0.0  # now, seconds since the epoch
    cni: CniRequest = CniRequest(keep=True)
    masquerade: tuple[int, ...] | None = None  # IP versions; None: as the machine's file says

    @property
    def request(self) -> str:
        """Which files of the machines matter, as scripts.READ takes it."""
        return "files" if self.backend or self.sysctl or self.adopt or self.removes or self.cni.wanted else "routes"


class _RemoteFiles(HostFiles):
    """The files of a machine in a directory that stands in for it, and what its nft(8) says of our table."""

    def __init__(self, directory: Path, table: str | None) -> None:
        super().__init__(directory)
        self._table = table

    def run(self, words: Sequence[str], text: str = "") -> tuple[int, str] | None:
        """Return what nft(8) answered there, None for other tools."""
        if words[:2] != ("nft", "-j"):
            return super().run(words, text)
        return None if self._table is None else (0 if self._table.startswith("{") else 1, self._table)


class Made(NamedTuple):
    """A plan, and the file in which the machine then remembers what counts for the guard; None where nothing does."""

    plan: Plan
    memory: FileChange | None = None


def plan(job: PushRequest, node: Node, seen: Seen) -> Made:
    """Return what JOB comes to on NODE. Raises PersistError or IdentityError where that cannot be told."""
    snapshot = fib(seen.host)
    with scratch() as directory:
        for remote in reversed(seen.files):  # a file of ours is read whole first, and again with other programs' units
            _put(directory, remote)
        for name, value in seen.host.sysctls.items():
            if name.startswith("net."):
                _write(directory / "proc/sys" / name.replace(".", "/"), str(value).encode())
        root = _RemoteFiles(directory, seen.table)
        if job.removes:
            numbered = (route for route in seen.host.routes if route.ours)
            made = Made(plan_removal(node.name, numbered, lambda: snapshot, root))
        else:
            made = _whole(job, node, snapshot, root, _context(job, node, root, seen.session))
        return made._replace(plan=checked(made.plan, root))


def _context(job: PushRequest, node: Node, root: HostFiles, session: str) -> Context:
    """Return what the machine had before, and whom it must go on to reach; SESSION is its SSH_CONNECTION, "" where sudo took it."""
    routes = load_routes(root.path(deletions.DIRECTORY), node.name, _pass_over)
    dependencies = read_dependencies(files=root, environ={"SSH_CONNECTION": session or " "})
    return Context(lambda: sorted_by_age(routes, job.at), dependencies)


def _whole(job: PushRequest, node: Node, snapshot: Fib, root: HostFiles, context: Context) -> Made:
    _refuse_what_runs_podroutes(job.backend)
    earlier = load_deletions(root.path(deletions.DIRECTORY), _pass_over)
    guard = Run(job.cluster, {}, earlier, job.at, job.allowed, job.agreed, _ADVICE)
    passed: dict[Prefix, str] = {}

    def hold(leaving: Leaving) -> Verdict:
        verdict = guard(leaving)
        passed.update(verdict.passed)
        return verdict

    request = PlanRequest(tuple, job.backend, job.sysctl, job.adopt, hold, context=context)
    request = request._replace(cni=job.cni, host=HostRequest(job.masquerade))
    machine_plan = plan_machine(job.claims, named_node(job.cluster, node.name), snapshot, root, request)
    _refuse_what_runs_podroutes(machine_plan.backend)
    if not passed:
        return Made(machine_plan.planned.plan)
    gone = (*earlier, *(Deleted(dst, name, job.at) for dst, name in passed.items()))
    path = f"{deletions.DIRECTORY}/{deletions.NAME}"
    return Made(machine_plan.planned.plan, FileChange("create", File(path, deletions.text(gone, job.at)), ""))


def _refuse_what_runs_podroutes(name: str) -> None:
    if name in BACKENDS and backend(name).RUNS_PODROUTES:
        raise PersistError(f"{name} starts podroutes at boot, {_AGENTLESS}")


def _pass_over(_: str) -> None:
    """Pass over state that is damaged there: it counts for nothing, and is written anew."""


def _put(directory: Path, remote: Remote) -> None:
    path = directory / remote.path.lstrip("/")
    try:
        if remote.directory:
            path.mkdir(parents=True, exist_ok=True)
            return
        _write(path, remote.data)
        path.chmod(remote.mode & 0o777 | 0o400)
    except OSError as error:
        raise PushError(f"its {remote.path} cannot be looked at here: {error.strerror}") from None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
