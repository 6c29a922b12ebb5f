"""Starts the parts of one agent, each in its thread, and stops them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from podroutes.agent import saved_nodes
from podroutes.agent.control import Control
from podroutes.agent.endpoint import Endpoint
from podroutes.agent.log import Log
from podroutes.agent.loop import Loop, Parts
from podroutes.agent.reconciler import Machine
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.source import Publish, Report, Source
from podroutes.agent.status_recorder import StatusRecorder
from podroutes.apply.saved_state import load_deletions
from podroutes.errors import InventoryError
from podroutes.host import agent_lock
from podroutes.kernel.filter_watch import FilterWatch
from podroutes.kernel.watch import KernelWatch
from podroutes.model.status import Status

_GOODBYE = 1.0  # seconds for a source to end; it has nothing to save


class AgentOptions(NamedTuple):
    """The user's options of an agent, besides its machine."""

    source: Callable[[Publish, Report], Source]
    state_dir: Path
    listen: str  # ADDRESS:PORT, "" for nowhere
    resync: float  # seconds
    filters: FilterWatch | None = None  # of the masquerade table
    tell: Callable[[Status], None] = lambda _: None  # called with the status after each reconcile
    between: Callable[[Callable[[], None]], object] = lambda _: (
        None
    )  # receives the function that is called while the kernel is read


def keep_routes(machine: Machine, watch: KernelWatch, log: Log, options: AgentOptions) -> None:
    """Keep the routes of MACHINE until a signal. Raises AgentError, KernelError or InventoryError if it cannot start."""
    keeper = saved_nodes.StateWriter(options.state_dir, lambda error: loop.kept(error))  # noqa: PLW0108, it is made below
    record = StatusRecorder(log, machine, keeper, options.tell)
    loop = Loop(Parts(machine, watch, record, options.filters), options.resync)
    options.between(loop.meanwhile)
    source = options.source(loop.publish, loop.report)

    with agent_lock.claim() as listener, _endpoint(options.listen, record, loop, log, source):
        _recount(options.state_dir, machine, log)
        Control(listener, loop.confirm)
        _remember(options.state_dir, loop, log)
        log("info", "started", version=record.status.version, process=record.status.pid, listen=options.listen)
        thread = threading.Thread(target=_told(source, loop), name="source", daemon=True)
        thread.start()
        try:
            loop.run(source)
        finally:
            source.stop()
            thread.join(_GOODBYE)
            keeper.close()
    log("info", "ended", routes=record.status.routes.installed, note="the routes stay")


@contextmanager
def _endpoint(listen: str, record: StatusRecorder, loop: Loop, log: Log, source: Source) -> Iterator[None]:
    if not listen:
        yield
        return

    def status() -> Status:
        source_status = source.counted(record.status.source)
        if stuck := source.stuck_reason():
            source_status = source_status._replace(connected=False, error=stuck)
        return record.status._replace(
            source=source_status,
            listen_error=endpoint.error,
            connections_refused=endpoint.refused,
            log_lines_dropped=log.dropped,
            log_error=log.error,
        )

    endpoint = Endpoint(listen, status, loop.stuck_reason, log)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.close()


def _remember(directory: Path, loop: Loop, log: Log) -> None:
    """Pass the saved nodes to LOOP, so that routes exist before the source answers."""
    try:
        saved = saved_nodes.load(directory)
    except InventoryError as error:
        log("warning", "state not used", error=str(error))
        return
    if saved:
        now = time.monotonic()
        log("info", "state remembered", nodes=len(saved.cluster.nodes), path=directory / saved_nodes.NAME)
        loop.publish(NodeSnapshot(saved, now, now, from_cache=True))


def _recount(directory: Path, machine: Machine, log: Log) -> None:
    """Pass the deletions before this start to MACHINE's guard."""
    earlier = load_deletions(directory, lambda error: log("warning", "state not used", error=error))
    since = time.monotonic() - time.time()  # converts wall-clock to monotonic time
    machine.guard.earlier = tuple(deletion._replace(at=deletion.at + since) for deletion in earlier)


def _told(source: Source, loop: Loop) -> Callable[[], None]:
    """Return the function that runs SOURCE. If it fails, the agent exits, so that a supervisor restarts it."""

    def run() -> None:
        try:
            source.run()
        except BaseException as error:
            loop.fail(error)
            raise

    return run
