"""The saved nodes on disk: the last nodes of the source, used after a start until the source answers."""

import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from podroutes import inventory
from podroutes.agent.worker_thread import WorkerThread
from podroutes.errors import InventoryError
from podroutes.host.atomic_write import read_whole, write_whole
from podroutes.inventory import Inventory
from podroutes.model.cluster import Cluster, Node
from podroutes.model.saved_route import SavedRoute
from podroutes.persist import deletions, saved_routes
from podroutes.plan.guard import Deleted

NAME = "nodes.yaml"  # JSON after a comment, which is valid YAML: all commands accept it with -i
_HEAD = "# The nodes as the podroutes agent knew them last. sha256 of all below: "
_RETRY = 30.0  # seconds until a failed write is retried


def save(directory: Path, cluster: Cluster) -> None:
    """Write CLUSTER to DIRECTORY atomically. Raises ``OSError``."""
    body = _text(cluster)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(directory / NAME, f"{_HEAD}{_digest(body)}\n{body}\n")


def load(directory: Path) -> Inventory | None:
    """Return the saved cluster in DIRECTORY, None if there is none. Raises InventoryError if it is damaged or cannot be read."""
    path = directory / NAME
    try:
        head, _, body = read_whole(path).partition("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InventoryError(f"{path}: cannot be read: {why}; waiting for the source instead") from None
    if head != _HEAD + _digest(body.rstrip("\n")):
        raise InventoryError(f"{path}: is damaged (its checksum does not match); waiting for the source instead")
    return inventory.load(str(path), io.BytesIO(body.encode()))


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _text(cluster: Cluster) -> str:
    """Return CLUSTER in our own inventory format, one line for each node."""
    limits = {"podCIDRs": cluster.pod_cidrs, "nodeCIDRs": cluster.node_cidrs, "serviceCIDRs": cluster.service_cidrs}
    head = json.dumps({key: list(map(str, values)) for key, values in limits.items() if values})
    nodes, routers = (
        ",\n".join(json.dumps(_node(node), ensure_ascii=False) for node in cluster.nodes if node.router == router)
        for router in (False, True)
    )
    more = f', "routers": [\n{routers}\n]' if routers else ""
    return f'{{"cluster": {head}, "nodes": [\n{nodes}\n]{more}}}'


def _node(node: Node) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": node.name}
    fields = {"internalIP": node.internal_ips, "podCIDR": node.pod_cidrs}
    unread = [field for field in fields if any(unread_field.field == field for unread_field in node.unread)]
    for field, values in fields.items():
        if values or field in unread:  # an empty value also counts as unread
            shown[f"{field}s"] = [*map(str, values), *([""] if field in unread else [])]
    more = {"interface": node.interface, "creationTimestamp": node.created, "uid": node.uid}
    return shown | {key: value for key, value in more.items() if value}


class StateWriter:
    """Writes the newest state and the deletions in a thread, since fsync(2) may take long.

    REPORT is called with the error of a write, "" for success. A failed write is retried.
    """

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        self._directory = directory
        self._report = report
        self._newest: Cluster | None = None
        self._deleted: SimpleQueue[Deleted] = SimpleQueue()  # not written yet
        self._routes: tuple[str, Sequence[SavedRoute]] | None = None
        self._thread = WorkerThread("state", self._work)

    def keep(self, cluster: Cluster) -> None:
        """Request a write of CLUSTER. It replaces one that is not written yet."""
        self._newest = cluster
        self._thread.wake()

    def count(self, deleted: Sequence[Deleted]) -> None:
        """Request a write of DELETED."""
        for deletion in deleted:
            self._deleted.put(deletion)
        self._thread.wake()

    def routes(self, own: str, standing: Sequence[SavedRoute]) -> None:
        """Request a write of the routes STANDING on node OWN. They replace ones that are not written yet."""
        self._routes = own, standing
        self._thread.wake()

    def close(self) -> None:
        """Write what is pending, and end."""
        self._thread.close()

    def _work(self) -> float | None:
        """Write what is pending; return the seconds until a retry, None if nothing is left."""
        deleted = [self._deleted.get() for _ in range(self._deleted.qsize())]  # this thread is the only consumer
        cluster, self._newest = self._newest, None
        routes, self._routes = self._routes, None
        if not (deleted or cluster or routes):
            return None
        try:
            if deleted:
                deletions.add(self._directory, deleted, time.time())
            if routes:
                saved_routes.save(self._directory, *routes, time.time())
            if cluster:
                save(self._directory, cluster)
        except OSError as error:
            self._report(f"{self._directory}: {error.strerror}")
            if self._thread.closing:
                return None
            self._try_again(cluster, routes)
            return _RETRY
        self._report("")
        return None

    def _try_again(self, cluster: Cluster | None, routes: tuple[str, Sequence[SavedRoute]] | None) -> None:
        """Retry CLUSTER and ROUTES later, unless newer ones have arrived."""
        self._newest = self._newest or cluster
        self._routes = self._routes or routes
