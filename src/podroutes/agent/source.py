"""The interface of a source of nodes, and the source that reads a file."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from podroutes import inventory
from podroutes.agent.snapshot import NodeSnapshot
from podroutes.agent.watched_file import WatchedFile
from podroutes.errors import InventoryError
from podroutes.inventory import Inventory
from podroutes.model.backoff import Backoff
from podroutes.model.status import SourceStatus
from podroutes.model.text import escaped

if TYPE_CHECKING:
    from podroutes.model.cluster import Cluster

POLL = 1.0  # seconds between two checks of a file; inotify does not work for NFS or the links of a ConfigMap
SOON = 0.2  # seconds between two checks of a file that is being written
_RETRY = Backoff(POLL, 30.0)  # between two attempts to read an unchanged file
STUCK = 30.0  # seconds until a slow check is reported: a network file system may not answer
Publish = Callable[[NodeSnapshot], None]
Report = Callable[[SourceStatus], None]


class Source(Protocol):
    """Publishes the nodes whenever they change, in a thread, through the two functions that it was made with."""

    def run(self) -> None:
        """Publish until ``stop``."""

    def again(self) -> None:
        """Publish all nodes again. May be called from any thread."""

    def stop(self) -> None:
        """End ``run`` soon, from any thread."""

    def stuck_reason(self) -> str | None:
        """Return why ``run`` is stuck, None if it is not. May be called from any thread."""

    def counted(self, source_status: SourceStatus) -> SourceStatus:
        """Return SOURCE_STATUS, the last report, with current counters. May be called from any thread."""


class FileSource:
    """The inventory at PATH, read whenever it has changed. If it cannot be read, the last good one stays."""

    def __init__(self, path: str, publish: Publish, report: Report) -> None:
        self._path = path
        self._publish = publish
        self._report = report
        self._file = WatchedFile(path)
        self._status = SourceStatus(path)
        self._nudged = threading.Event()
        self._stopped = False
        self._cluster: Cluster | None = None  # what was published last
        self._failures = 0  # consecutive failed reads
        self._retry = 0.0  # monotonic seconds: when a failed read is retried
        self._began = 0.0  # monotonic seconds: the start of the current check, 0 if there is none

    def run(self) -> None:
        """Check the file, read it if it changed, wait."""
        asked = False
        while not self._stopped:
            asked |= self._nudged.is_set()
            self._nudged.clear()
            self._began = time.monotonic()
            settled = self._look(asked=asked)
            asked &= not settled
            self._began = 0.0
            self._nudged.wait(POLL if settled else SOON)

    def again(self) -> None:
        """Read the file again."""
        self._nudged.set()

    def stop(self) -> None:
        """End ``run``."""
        self._stopped = True
        self._nudged.set()

    def stuck_reason(self) -> str | None:
        """Return that a check takes too long, None if it does not."""
        began = self._began
        seconds = time.monotonic() - began if began else 0.0
        return (
            f"{self._path}: no answer for {seconds:.0f} s: is its file system reachable?" if seconds > STUCK else None
        )

    def counted(self, source_status: SourceStatus) -> SourceStatus:
        """Return SOURCE_STATUS, whose counters are always current."""
        return source_status

    def _look(self, *, asked: bool) -> bool:
        """Read the file if it has changed or if ASKED; return whether it is not being written."""
        try:
            retry = self._failures > 0 and time.monotonic() >= self._retry
            with self._file.look(again=asked or retry) as stream:
                loaded = inventory.load(self._path, stream) if stream else None
        except InventoryError as error:
            self._failed(str(error))
            return True
        except Exception as error:  # noqa: BLE001, whatever a file holds, it must not end the agent
            self._failed(f"{escaped(self._path)}: cannot be read: {type(error).__name__}: {escaped(str(error))}")
            return True
        if loaded:
            self._failures = 0
            self._tell(loaded)
        return not self._file.written

    def _failed(self, why: str) -> None:
        now = time.monotonic()
        if now >= self._retry or why != self._status.error:
            self._failures += 1
            self._retry = now + _RETRY.pause(self._failures)
            self._status = self._status._replace(connected=False, error=why, retries=self._status.retries + 1)
            self._report(self._status)

    def _tell(self, loaded: Inventory) -> None:
        now, moment = time.monotonic(), time.time()
        before, self._cluster = self._cluster, loaded.cluster
        self._status = SourceStatus(
            self._path,
            connected=True,
            synced=True,
            nodes=len(loaded.cluster.nodes),
            heard=moment,
            listed=moment,
            changes=self._status.changes + (loaded.cluster != before and before is not None),
            lists=self._status.lists + 1,
            retries=self._status.retries,
        )
        self._publish(NodeSnapshot(loaded, now, now))
        self._report(self._status)
