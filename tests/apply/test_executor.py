"""The one executor: what happens when a network manager refuses our files, and who is told."""

import pytest

from persist.test_machine_plan import SEED, Worker
from podroutes.agent.reconciler import Machine, Settings
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.apply.executor import Executor, checked
from podroutes.errors import PersistError
from podroutes.inventory import Inventory
from podroutes.model.route import PROTOCOL
from podroutes.persist import BACKENDS, backend
from podroutes.persist.owned import find
from podroutes.plan.flap_damping import FlapDamping
from podroutes.plan.held_deletions import MassDeleteGuard

WHY = "line 3 is wrong"


class Listener:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.told = []

    def starting(self, plan):
        """Keep how much there is to do."""
        self.told.append(("starting", len(plan.changes)))

    def starting_again(self, plan):
        """Keep how much is left to do."""
        self.told.append(("starting again", len(plan.changes)))

    def displaced(self, taken_over):
        """Keep the route of somebody else."""
        self.told.append(("displaced", taken_over))


@pytest.fixture
def worker(tmp_path):
    return Worker(tmp_path)


@pytest.fixture(
    params=[name for name in BACKENDS if backend(name).ROUTE]
)  # systemd's file names no route, so none is refused
def refusing(request, worker, monkeypatch):
    """Return a backend that keeps the route to one node, and refuses every file from now on."""
    worker.apply(SEED._replace(nodes=SEED.nodes[:2]), request.param)
    monkeypatch.setattr(backend(request.param), "check", lambda _root, _files: WHY)
    return request.param


def files_of(worker):
    return {path: file.text for files in find(worker.root).files.values() for path, file in files.items()}


def execute(worker, **request):
    return Executor(worker.kernel, worker.root).carry_out(worker.plan(**request).planned.plan)


def reconcile(worker):
    settings = Settings(worker.root, "worker-0", command=lambda _: ("podroutes", "apply"))
    machine = Machine(worker.kernel, settings, MassDeleteGuard(), FlapDamping())
    return machine.reconcile(NodeSnapshot(Inventory(SEED, ()), 0, 0), 0)


def test_a_file_that_was_asked_for_and_is_refused_stops_everything(worker, refusing):
    files, table = files_of(worker), worker.table()
    with pytest.raises(PersistError, match=WHY):
        execute(worker, backend=refusing)
    with pytest.raises(PersistError, match=WHY):
        checked(worker.plan(backend=refusing).planned.plan, worker.root)
    assert (files_of(worker), worker.table()) == (files, table)


@pytest.mark.parametrize("who", ["apply", "agent", "push"])
def test_a_file_that_is_kept_up_and_refused_costs_no_route(worker, refusing, who):
    """The kernel has the new route under our own number, no file is written, and everybody says why."""
    files = files_of(worker)
    if who == "apply":
        outcome = execute(worker)
        told = [result.failure for result in outcome.files]
        assert not outcome.complete
    elif who == "agent":
        told = list(reconcile(worker).failures.values())
    else:
        plan = checked(worker.plan().planned.plan, worker.root)
        assert not plan.files
        told = [problem.message for problem in plan.problems if problem.code == "not-persistent"]
        assert worker.kernel.apply(plan.changes) == {}
    assert files_of(worker) == files
    new = next(route for route in worker.kernel.routes if str(route.dst) == "10.200.2.0/24")
    assert new.protocol == PROTOCOL
    assert len(worker.table()) == 2
    assert told
    assert all(WHY in text for text in told)


def test_once_the_files_are_accepted_kernel_and_files_are_as_planned(worker, monkeypatch, refusing):
    execute(worker)
    monkeypatch.undo()
    assert execute(worker).complete
    assert not worker.plan().planned.plan.pending
    number = backend(refusing).PROTOCOL
    assert {route.protocol for route in worker.kernel.routes if route.via} == {number}


def test_an_observer_is_told_before_anything_happens(worker):
    listener = Listener()
    plan = worker.plan().planned.plan
    outcome = Executor(worker.kernel, worker.root, listener).carry_out_and_replan(plan, lambda: pytest.fail("no race"))
    assert listener.told == [("starting", 2)]
    assert [(result.change, result.refusal) for result in outcome.routes] == [(each, None) for each in plan.changes]
