"""Commands to an agent: from root of this machine, over the socket that marks the agent, never over HTTP.

Request and response are one line of JSON each: ``{"confirm": DIGEST}`` there, ``{"error": null, "routes": 5, ...}`` or ``{"error": "..."}`` back.
"""

import errno
import json
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from podroutes.errors import AgentError
from podroutes.host import agent_lock

Confirm = Callable[[str], dict[str, Any]]  # takes a digest, "" for any held deletions
_PATIENCE = 10.0  # seconds for the loop to answer; a reconcile of thousands of routes takes less
_LONGEST = 4096  # bytes of a request
_MOST = 16  # connections; any user of this machine may connect
_PAUSE = 1.0  # seconds until accept(2) is retried if this process has no file descriptors left


class Control:
    """Serves LISTENER in a thread. CONFIRM allows held deletions, or raises ValueError.

    It never waits for a client: of too many connections the oldest is closed, preferably one without permission.
    """

    def __init__(self, listener: socket.socket, confirm: Confirm) -> None:
        self._listener = listener
        self._confirm = confirm
        self._connections: dict[socket.socket, bool] = {}  # oldest first, with whether its process has permission
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self._listener, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        if key.fileobj is self._listener:
                            self._accept(selector)
                        elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._connections:
                            self._serve(key.fileobj)
                            self._close(key.fileobj, selector)
            except (OSError, ValueError):  # the listener is closed
                return

    def _accept(self, selector: selectors.BaseSelector) -> None:
        """Accept a connection. Raises OSError if another program has the socket's name, so that it does not listen."""
        if len(self._connections) >= _MOST:
            self._close(min(self._connections, key=self._connections.__getitem__), selector)
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise
            time.sleep(_PAUSE)
            return
        connection.settimeout(_PATIENCE)
        self._connections[connection] = agent_lock.may_order(connection)
        selector.register(connection, selectors.EVENT_READ)

    def _close(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        selector.unregister(connection)
        del self._connections[connection]
        connection.close()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            line = connection.recv(_LONGEST)
            if line:  # otherwise the client only checks whether an agent runs
                connection.sendall(json.dumps(self._answer(connection, line)).encode() + b"\n")

    def _answer(self, connection: socket.socket, line: bytes) -> dict[str, Any]:
        if not self._connections[connection]:
            return {
                "error": "only root may do that, with CAP_NET_ADMIN and where the agent runs (in its pod: kubectl exec)"
            }
        try:
            return {"error": None, **self._confirm(str(json.loads(line)["confirm"]))}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return {"error": str(error)}


def confirm(digest: str) -> dict[str, Any]:
    """Ask the agent here to make the held deletions with DIGEST ("": any); return its answer.

    Raises AgentError if there is no agent or it refuses.
    """
    with agent_lock.call() as connection:
        connection.settimeout(2 * _PATIENCE)
        try:
            connection.sendall(json.dumps({"confirm": digest}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile().readline())
            error = answer.pop("error")
        except (OSError, ValueError, KeyError, AttributeError) as why:
            raise AgentError(f"the agent did not answer: {why}") from None
    if error:
        raise AgentError(str(error))
    return answer
