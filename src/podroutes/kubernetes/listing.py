"""Lists all nodes of a cluster once, for commands that do not watch."""

import random
import time
from collections.abc import Callable

from podroutes.errors import KubernetesError
from podroutes.inventory import Inventory
from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import (
    LIST,
    NODES,
    PAGE,
    CertificateError,
    Client,
    RefusedError,
    Request,
    UnreachableError,
)
from podroutes.kubernetes.reflector import Reflector

_TRIES = 5  # consecutive failures; with the server's own delays about ten seconds
_TRANSIENT = frozenset({408, 410, 429, 500, 502, 503, 504})
_PATIENCE = 10.0  # seconds; the longest pause before a retry that a person waits for


def load(
    access: Access,
    *,
    chance: Callable[[], float] = random.random,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _: None,
) -> Inventory:
    """Return all nodes of the cluster, read page by page, with retries.

    Raises KubernetesError if the cluster cannot be reached, so that this never looks like an empty cluster, and also if it has
        no nodes. CHANCE returns numbers in [0, 1), SLEEP waits seconds, TELL is called before each retry.
    """
    client = Client(access)
    reflector = Reflector(access.name, chance, time.monotonic, streaming=False)
    failures = 0
    try:
        while not reflector.synced:
            query = reflector.request().query
            try:
                reflector.page(client.ask(Request(NODES, query, most=PAGE if "limit" in query else LIST)))
                failure = KubernetesError(f"{access.name}: {reflector.error}") if reflector.error else None
            except RefusedError as error:
                reflector.refused(error.refusal)
                if error.refusal.status not in _TRANSIENT:
                    raise
                failure = error
            except CertificateError:
                raise
            except UnreachableError as error:
                reflector.cut(str(error))
                failure = error
            if failure is None:
                failures = 0
                continue
            failures += 1
            if failures == _TRIES:
                raise failure
            tell(f"{failure}; trying again ({failures + 1} of {_TRIES})")
            sleep(min(reflector.delay, _PATIENCE))
    finally:
        client.close()
    inventory = reflector.table.inventory()
    if not inventory.cluster.nodes:
        raise KubernetesError(
            f"{access.name}: the cluster has no nodes; nodes join it, or -i names an inventory instead"
        )
    return inventory
