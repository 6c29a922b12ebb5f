"""A source of nodes that watches the Nodes of a cluster."""

import time

from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.source import Publish, Report
from podroutes.inventory import Inventory
from podroutes.kubernetes.access import Access
from podroutes.kubernetes.watch import NodeWatch, WatchState
from podroutes.model.status import SourceStatus
from podroutes.model.text import escaped

_PATIENCE = 10.0  # seconds until a missing response is reported; a list of a large cluster takes two


class KubernetesSource:
    """The Nodes of the cluster of ACCESS."""

    def __init__(self, access: Access, publish: Publish, report: Report) -> None:
        self._publish = publish
        self._report = report
        self._listed, self._history = 0.0, 0
        self._server = escaped(access.name)
        self._watch = NodeWatch(access, self._inventory, self._state)

    def run(self) -> None:
        """Watch until ``stop``."""
        self._watch.run()

    def again(self) -> None:
        """List all Nodes again."""
        self._watch.again()

    def stop(self) -> None:
        """End ``run``."""
        self._watch.stop()

    def stuck_reason(self) -> str | None:
        """Return that the server does not answer, before the request times out; None while it does."""
        seconds = self._watch.waiting()
        return f"{self._server}: no answer for {seconds:.0f} s" if seconds > _PATIENCE else None

    def counted(self, source_status: SourceStatus) -> SourceStatus:
        """Return SOURCE_STATUS with current counters: heartbeats are not reported one by one."""
        now = _status(self._watch.state)
        return now._replace(
            connected=source_status.connected,
            synced=source_status.synced,
            error=source_status.error,
            nodes=source_status.nodes,
        )

    def _inventory(self, inventory: Inventory) -> None:
        self._publish(NodeSnapshot(inventory, time.monotonic(), self._listed, history=self._history))

    def _state(self, state: WatchState) -> None:
        self._listed, self._history = state.last_list, state.history
        self._report(_status(state))


def _status(state: WatchState) -> SourceStatus:
    since = time.time() - time.monotonic()  # converts monotonic to wall-clock time
    return SourceStatus(
        state.server,
        state.connected,
        state.synced,
        state.error,
        state.nodes,
        heard=state.last_event and since + state.last_event,
        listed=state.last_list and since + state.last_list,
        bytes=state.bytes,
        **state.counts._asdict(),
    )
