"""Reconciles the routes of one machine with a snapshot of the cluster."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from podroutes.agent.healer import Followed, Healer
from podroutes.agent.interest import PlanInputs, Reading
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.apply.cni_request import CniRequest
from podroutes.apply.executor import Executor
from podroutes.apply.host_request import HostRequest
from podroutes.apply.machine_plan import MachinePlan, PlanRequest, guarded, not_persistent, plan_machine
from podroutes.apply.observer import SILENT, Observer
from podroutes.errors import IdentityError, PersistError
from podroutes.host.files import HostFiles
from podroutes.kernel import Kernel
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.dependencies import Dependencies
from podroutes.model.fib import Fib
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.plan import Change, Outcome, Plan
from podroutes.model.problem import Problem
from podroutes.model.route import PROTOCOL, Route
from podroutes.model.saved_route import SavedRoute, sorted_by_age
from podroutes.persist import masquerade_table
from podroutes.plan.bystanders import nothing_decides
from podroutes.plan.claim_index import ClaimIndex
from podroutes.plan.claims import Claims, examine
from podroutes.plan.desired import Desired
from podroutes.plan.fast_path import FastPath, NodeChanges
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.guard import Deleted, Verdict, no_guard
from podroutes.plan.held_deletions import MassDeleteGuard
from podroutes.plan.identity import named_node, own_names, this_node
from podroutes.plan.onlink import OnLink
from podroutes.plan.ownership import ours
from podroutes.plan.planning import plan_here
from podroutes.plan.remember import remembered
from podroutes.plan.settle import Context
from podroutes.plan.vanishing import Leaving
from podroutes.verify.deciding import with_deciding

_LOOKS = 3  # snapshots that are tried while routes are deleted during the dump
_UNREAD = object()  # of a table that has to be read
_DAY = 86400.0  # seconds after which the present routes are saved again, so that they do not count as old


class Settings(NamedTuple):
    """Settings that do not change while an agent runs."""

    root: HostFiles  # the machine's files; ours are kept up to date
    hostname: str
    node: str = ""  # --node
    command: Callable[[str], Sequence[str]] = lambda _: ()  # the command of our boot unit on the node of that name
    adopt: bool = False
    cni: bool = False  # --cni
    cni_plugins: tuple[str, ...] | None = None  # --cni-plugins
    masquerade: tuple[int, ...] | None = None  # IP versions of --masquerade; None: as our file says
    saved: Callable[[str], tuple[SavedRoute, ...]] = lambda _: ()  # the saved routes of the node of that name
    dependencies: Callable[[], Dependencies] = tuple  # the machine's dependencies
    clock: Callable[[], float] = time.time  # seconds since the epoch


class ReconcileResult(NamedTuple):
    """The result of one reconcile. ``plan`` is the difference between machine and cluster at its start."""

    plan: Plan
    done: tuple[Change, ...] = ()
    failures: Mapping[str, str] = {}  # reasons, by destination or file
    counted: tuple[Deleted, ...] = ()  # deletions that count for the guard
    postponed: float | None = None  # when the first damped route may be restored
    wanted: int = 0
    installed: int = 0
    standing: tuple[SavedRoute, ...] | None = None  # the routes to save, None if unchanged


class Machine(Healer):
    """The routes of this machine. Not thread-safe. The caller waits, retries and passes the time.

    ASIDE is another connection to KERNEL, used by the fast path while KERNEL is being read.
    """

    def __init__(
        self,
        kernel: Kernel,
        settings: Settings,
        guard: MassDeleteGuard,
        damping: FlapDamping,
        aside: Kernel | None = None,
    ) -> None:
        super().__init__(aside or kernel, damping)
        self.guard = guard
        self._kernel = kernel
        self._settings = settings
        self._known: ClaimIndex | None = None  # the claims of the last reconcile
        self._held: tuple[Route, ...] = ()  # routes held by the last reconcile
        self._memory: tuple[SavedRoute, ...] | None = None  # the routes after the last reconcile
        self._context_now = Context()  # of the current reconcile
        self._reading = Reading(kernel)
        self._remembered = 0.0  # when they were saved
        self._table: Any = _UNREAD  # the masquerade table, as long as nobody has changed it
        self.hears_filters = (
            False  # whether ``filters_changed`` is called, so that the table need not be read each time
        )
        self._masquerades = False

    def reconcile(self, view: NodeSnapshot, now: float, observer: Observer = SILENT) -> ReconcileResult:
        """Compare VIEW with the kernel and apply the difference; report to OBSERVER. Raises KernelError."""
        fib = self._look(view.inventory.cluster, _LOOKS)
        self.devices = {link.ifindex: link.name for link in fib.links}
        cluster = view.inventory.cluster
        own, doubts = self._identify(cluster, fib)
        before = self._known.cluster if self._known else cluster
        known = self._examine(cluster)
        request = self._plan_request(view, own, before, now)
        machine_plan, more = self._plan(known.claims, own, fib, request)
        plan, wanted = machine_plan.planned
        plan = plan._replace(problems=(*view.inventory.problems, *doubts, *plan.problems, *more))
        names = own_names(self._settings.hostname, self._settings.node)
        self._fast_path = FastPath(known, own, fib, machine_plan.planned, request.context.dependencies, names=names)
        # Otherwise our files decide about ownership, or the table of masquerading must know a podCIDR before packets reach it.
        ranges = cluster.pod_cidrs or not self._masquerades
        self._may_hurry = machine_plan.owned.protocol == PROTOCOL and bool(ranges)
        there = {route.dst for route in ours(fib, machine_plan.owned)} if plan.held else set()
        installed = plan.unchanged + sum(change.action != "add" for change in plan.changes)
        installed += sum(change.route.dst in there for change in plan.held)
        changes, postponed = self._admitted(plan, view, now)
        if view.from_cache:
            plan = plan._replace(files=None, host=())  # the files may be newer than the cached nodes
        else:
            self._held = tuple(change.route for change in plan.held)
            changes += _held_back(plan, fib, there)
        executor = Executor(self._kernel, self._settings.root, observer)
        outcome = executor.carry_out(plan._replace(changes=tuple(changes)))
        if any(change.kind == "nftables" for change in plan.host):
            self._table = _UNREAD
        done = tuple(outcome.routes_changed)
        self._fast_path.carried_out(done)
        grown = sum((change.action == "add") - (change.action == "delete") for change in done)
        count = sum(len(each.vias) for each in wanted.wanted.values()) + len(wanted.out_of_reach)
        counted = tuple(deletion for deletion in self.guard.earlier if deletion.at == now and not view.from_cache)
        standing = None if view.from_cache else self._remember(plan, wanted, done, cluster, anew=cluster is not before)
        return ReconcileResult(plan, done, _failures(outcome), counted, postponed, count, installed + grown, standing)

    def follow(self, view: NodeSnapshot, now: float) -> Followed:
        """Make the changes for nodes that changed in VIEW at once, in simple cases."""
        if view.from_cache:
            return Followed()
        counted: list[Deleted] = []

        def admit(node_changes: NodeChanges, fast: FastPath) -> NodeChanges:
            if not node_changes.gone:
                return node_changes
            routes = tuple(change.route for change in node_changes.changes if change.action == "delete")
            verdict = self.guard.judge(Leaving(routes, fast.standing()), view.evidence, node_changes.gone, now)
            counted.extend(deletion for deletion in self.guard.earlier if deletion.at == now)
            return node_changes.without_deletions() if verdict.held else node_changes

        return Followed(self.follow_nodes(view.inventory.cluster, admit), tuple(counted))

    def _look(self, cluster: Cluster, tries: int) -> Fib:
        """Return a snapshot. It is repeated if a route was restored meanwhile, which it may lack."""
        self.healed.clear()
        claims = self._known.claims if self._known and self._known.cluster == cluster else None
        fib = self._reading.snapshot(cluster, partial(self._plan_inputs, cluster), claims, lambda: self._own)
        return self._look(cluster, tries - 1) if self.healed and tries > 1 else fib

    def _plan_inputs(self, cluster: Cluster, bare: Fib) -> PlanInputs:
        """Return what a plan for CLUSTER is made from, besides the kernel. BARE has the addresses of this machine."""
        own = self._own = self._identify(cluster, bare)[0]
        self._context_now = self._context(own)
        return self._context_now.dependencies, self._memory or ()

    def _identify(self, cluster: Cluster, fib: Fib) -> tuple[Node, tuple[Problem, ...]]:
        """Return this machine's node. If it is not in CLUSTER, the machine receives routes and claims none."""
        addresses = [address.address for address in fib.addresses]
        try:
            if self._settings.node:
                return named_node(cluster, self._settings.node, addresses), ()
            return this_node(cluster, self._settings.hostname, addresses), ()
        except IdentityError as error:
            name = self._settings.node or self._settings.hostname
            known = [node for node in cluster.nodes if _is(node, name, addresses)]
            if known:  # one of several: a wrong guess would redirect its own pods
                raise
            problem = Problem("warning", "not-a-node", str(error), (name,))
            return Node(name, tuple(addresses)), (problem,) if self._settings.node else ()

    def _examine(self, cluster: Cluster) -> ClaimIndex:
        """Return the claims of CLUSTER, cached while the nodes are unchanged: the kernel changes more often."""
        if self._known is None or self._known.cluster != cluster:
            self._known = ClaimIndex(cluster, examine(cluster))
        return self._known

    def _remember(
        self, plan: Plan, wanted: Desired, done: tuple[Change, ...], cluster: Cluster, *, anew: bool
    ) -> tuple[SavedRoute, ...] | None:
        """Record the present routes; return them if they must be saved. ANEW is whether CLUSTER changed."""
        now = self._settings.clock()
        memory = self._memory or ()
        if not (anew or done or now - self._remembered > _DAY):
            return None
        there = {change.route.dst for change in done}
        missing = {change.route.dst for change in plan.changes if change.action != "delete"} - there
        foreign = {problem.dst for problem in plan.problems if problem.dst and problem.code == "foreign-route"}
        self._memory = remembered(wanted, frozenset(missing | foreign), cluster, memory, now)
        self._remembered = now
        return self._memory

    def _context(self, own: Node) -> Context:
        """Return the saved routes and the dependencies."""
        if self._memory is None:
            self._memory = self._settings.saved(own.name)
        memory = self._memory
        return Context(lambda: sorted_by_age(memory, self._settings.clock()), self._settings.dependencies())

    def _plan_request(self, view: NodeSnapshot, own: Node, before: Cluster, now: float) -> PlanRequest:
        """Return the plan request for VIEW. BEFORE are the nodes of the last plan."""
        command, adopt = self._settings.command, self._settings.adopt

        def judge(leaving: Leaving) -> Verdict:
            former: dict[Prefix, str] = {}
            if leaving.routes:  # the owners: from the routes saved before this start, and the nodes of the last plan
                former = {record.dst: record.node for record in self._memory or ()}
                former |= {dst: node.name for node in before.nodes for dst in node.pod_cidrs}
            return self.guard.judge(leaving, view.evidence, former, now)

        hold = no_guard if view.from_cache else judge
        held = () if view.from_cache else self._held
        request = PlanRequest(lambda: command(own.name), adopt=adopt, hold=hold, held=held, context=self._context_now)
        settings = self._settings
        self._masquerades = bool(settings.masquerade)  # or as soon as the table is read
        return request._replace(
            cni=CniRequest(settings.cni and not view.from_cache, insist=False, chained=settings.cni_plugins),
            host=HostRequest(settings.masquerade, persistent=False, table=self._read_table),
        )

    def _read_table(self, root: HostFiles) -> Any:
        """Return the masquerade table, which is read again only after a change where changes are reported."""
        self._masquerades = True
        if self._table is _UNREAD or not self.hears_filters:
            self._table = _UNREAD
            self._table = masquerade_table.read(root)
        return self._table

    def filters_changed(self) -> bool:
        """Take note that the masquerade table may have changed; return whether there is one to keep."""
        self._table = _UNREAD
        return self._masquerades

    def _plan(
        self, claims: Claims, own: Node, fib: Fib, request: PlanRequest
    ) -> tuple[MachinePlan, tuple[Problem, ...]]:
        """Return the plan of kernel and files; of the kernel only if our files cannot be read."""
        try:
            return plan_machine(claims, own, fib, self._settings.root, request), ()
        except PersistError as error:
            planned = plan_here(claims, own, fib, adopt=request.adopt, context=request.context)
            if not nothing_decides(own, fib, planned.desired):
                planned = with_deciding(planned, own, fib)
            return MachinePlan(guarded(planned, fib, OwnedRoutes(), request), OwnedRoutes()), (not_persistent(error),)

    def _admitted(self, plan: Plan, view: NodeSnapshot, now: float) -> tuple[list[Change], float | None]:
        """Return the changes of PLAN to make now, and when the first of the others may be made."""
        until = self.damping.until
        waiting = [
            until(change.route.dst)
            for change in plan.changes
            if change.action == "add" and until(change.route.dst) > now
        ]
        changes = [change for change in plan.changes if change.action != "add" or until(change.route.dst) <= now]
        if view.from_cache:  # the kernel may be newer than the cached nodes
            changes = [change for change in changes if change.action == "add"]
        return changes, min(waiting, default=None)


def _failures(outcome: Outcome) -> dict[str, str]:
    """Return the reasons of failures, by destination, host setting or path."""
    routes = {str(result.change.route.dst): result.refusal.text for result in outcome.routes if result.refusal}
    settings = {result.change.name: result.failure for result in outcome.host if result.failure is not None}
    files = {result.change.file.path: result.failure for result in outcome.files if result.failure is not None}
    return routes | settings | files


def _held_back(plan: Plan, fib: Fib, there: set[Prefix]) -> list[Change]:
    """Return the changes that restore held routes which went with a link, if the link is usable again."""
    links = OnLink(fib)
    deleted = [change for change in plan.held if change.route.dst not in there and change.route.via]
    return [
        Change("add", change.route, change.node)
        for change in deleted
        if change.route.via and links.resolve(change.route.via) == (change.route.dev, "")
    ]


def _is(node: Node, name: str, addresses: list[Address]) -> bool:
    return name in (node.name, *node.hostnames) or not set(addresses).isdisjoint(node.internal_ips)
