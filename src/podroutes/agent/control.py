"""What an agent is told to do: by root of this machine, through the socket that says that it is here, and never over HTTP.

One line of JSON goes each way: ``{"confirm": DIGEST}`` there, ``{"error": null, "routes": 5, ...}`` or ``{"error": "..."}`` back.
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

Confirm = Callable[[str], dict[str, Any]]  # of a digest, "" for whatever is held
_PATIENCE = 10.0  # seconds for the loop to answer: a whole pass of thousands of routes takes less
_LONGEST = 4096  # bytes of a request
_MOST = 16  # connections: whoever is on this machine may connect, and few have anything to say
_PAUSE = 1.0  # seconds before accept(2) is tried again where this process has no descriptor left


class Control:
    """Answers at LISTENER in a thread of its own. CONFIRM lets held deletions go, or raises ValueError.

    Nobody is waited for: of too many connections the oldest is closed, and first one whose process may not order anything.
    """

    def __init__(self, listener: socket.socket, confirm: Confirm) -> None:
        self._listener = listener
        self._confirm = confirm
        self._connections: dict[socket.socket, bool] = {}  # the oldest first, and whether its process may order
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
        """Take a connection. Raises OSError where a stranger has the name, so that the listener never listened."""
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
            if line:  # else somebody only wanted to know whether we are here
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
    """Have the agent here let the held deletions go that DIGEST names ("": whatever is held); return what it says of them.

    Raises AgentError where there is no agent or it does not do it.
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
