"""What the agent asks of a source of nodes, and the one that is a file."""

import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from podroutes import inventory
from podroutes.agent.view import View
from podroutes.errors import InventoryError
from podroutes.inventory import Inventory
from podroutes.model.cluster import Cluster
from podroutes.model.status import SourceStatus

POLL = 1.0  # seconds between two looks at a file: no event tells of NFS, nor of a ConfigMap's links changing over
Publish = Callable[[View], None]
Report = Callable[[SourceStatus], None]


class Source(Protocol):
    """Tells the nodes again and again, in a thread of its own, through the two functions that it was made with."""

    def run(self) -> None:
        """Tell until ``stop``."""

    def again(self) -> None:
        """Have all nodes told once more, from any thread: somebody wants to be sure."""

    def stop(self) -> None:
        """End ``run`` soon, from any thread."""


class FileSource:
    """The inventory at PATH, read whole whenever it has changed; one that cannot be read leaves the last good one as it is."""

    def __init__(self, path: str, publish: Publish, report: Report) -> None:
        self._path = path
        self._publish = publish
        self._report = report
        self._seen: object = None  # what stat(2) said of the file that was read last
        self._status = SourceStatus(path)
        self._nudged = threading.Event()
        self._stopped = False

    def run(self) -> None:
        """Look, read what is new, wait."""
        cluster: Cluster | None = None
        while not self._stopped:
            asked = self._nudged.is_set()
            self._nudged.clear()
            try:
                stamp = _stamp(self._path)
                if asked or stamp != self._seen:
                    self._seen = stamp
                    cluster = self._tell(inventory.load(self._path), cluster)
            except InventoryError as error:
                if str(error) != self._status.error:
                    self._status = self._status._replace(connected=False, error=str(error))
                    self._report(self._status)
            self._nudged.wait(POLL)

    def again(self) -> None:
        """Have the file read once more."""
        self._nudged.set()

    def stop(self) -> None:
        """End ``run``."""
        self._stopped = True
        self._nudged.set()

    def _tell(self, found: Inventory, before: Cluster | None) -> Cluster:
        now, moment = time.monotonic(), time.time()
        changed = found.cluster != before
        self._status = SourceStatus(
            self._path,
            connected=True,
            synced=True,
            nodes=len(found.cluster.nodes),
            heard=moment,
            listed=moment,
            changes=self._status.changes + (changed and before is not None),
            lists=self._status.lists + 1,
            retries=self._status.retries,
        )
        self._publish(View(found, now, now))
        self._report(self._status)
        return found.cluster


def _stamp(path: str) -> tuple[int, ...]:
    """Return what is another when the file is; InventoryError where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116, once a second
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise InventoryError(f"{path}: cannot be read: {why}; looking again every second") from None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
