"""What an agent is told to do: by root of this machine, through the socket that says that it is here, and never over HTTP.

One line of JSON goes each way: ``{"confirm": DIGEST}`` there, ``{"error": null, "routes": 5, ...}`` or ``{"error": "..."}`` back.
"""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from podroutes.errors import AgentError
from podroutes.host import agent_lock

Confirm = Callable[[str], dict[str, Any]]  # of a digest, "" for whatever is held
_PATIENCE = 10.0  # seconds for the loop to answer: a whole pass of thousands of routes takes less
_LONGEST = 4096  # bytes of a request


class Control:
    """Answers at LISTENER in a thread of its own. CONFIRM lets held deletions go, or raises ValueError."""

    def __init__(self, listener: socket.socket, confirm: Confirm) -> None:
        self._listener = listener
        self._confirm = confirm
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # it is closed, or a stranger has the name and it never listened
                return
            with suppress(OSError), connection:
                connection.settimeout(_PATIENCE)
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        line = connection.recv(_LONGEST)
        if line:  # else somebody only wanted to know whether we are here
            connection.sendall(json.dumps(self._answer(connection, line)).encode() + b"\n")

    def _answer(self, connection: socket.socket, line: bytes) -> dict[str, Any]:
        if not agent_lock.may_order(connection):
            return {
                "error": "only root may do that, with CAP_NET_ADMIN and where the agent runs (in its pod: kubectl exec)"
            }
        try:
            return {"error": None, **self._confirm(str(json.loads(line)["confirm"]))}
        except (ValueError, TypeError, KeyError) as error:
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
