"""An API server of Nodes in a process of its own, so that what it costs is not counted as ours; it does what it is told.

It is the lab's (podroutes.lab.api), which is not Kubernetes: what a real one adds to every time is not in these figures.
"""

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from bench import scene
from podroutes.lab.api.machines import realistic
from podroutes.lab.api.message import Request
from podroutes.lab.api.server import Server
from podroutes.lab.api.service import NodeApi
from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Node

_HISTORY = 200_000  # changes that a watch can be resumed over: nothing here is to be listed twice
_MERGE = {"content-type": "application/strategic-merge-patch+json"}


def node(number: int) -> Node:
    """Return node NUMBER of the scene."""
    return Node(f"worker-{number}", (Address(4, scene.via(number)),), (Prefix(4, scene.dst(number), scene.LENGTH),))


class Cluster:
    """COUNT nodes of 14 KB each behind ``url``, and the commands that change them; a context manager."""

    def __init__(
        self, count: int, describe: Callable[[int], Node] = node, address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self._ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                self._ours.close()
                _serve([describe(number) for number in range(count)], describe, address, theirs)
                status = 0
            except BaseException:  # noqa: BLE001, a child must not go on as its parent
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        theirs.close()
        self._answers = self._ours.makefile("r")
        self.url = self._answers.readline().strip()

    def join(self, number: int) -> float:
        """Have node NUMBER created; return when that had been done (seconds of the monotonic clock)."""
        return float(self._command(f"join {number}"))

    def move(self, number: int) -> float:
        """Have node NUMBER report its other address; return when that had been done."""
        return float(self._command(f"move {number}"))

    def leave(self, number: int) -> float:
        """Have node NUMBER deleted; return when that had been done."""
        return float(self._command(f"leave {number}"))

    def succeed(self, number: int) -> float:
        """Have node NUMBER deleted, and one of another name and address created with its podCIDR; return when that had been done."""
        return float(self._command(f"succeed {number}"))

    def restart(self, number: int, seconds: float) -> None:
        """Have the server down for SECONDS, in which node NUMBER is created; it comes back without its history."""
        self._command(f"restart {number} {seconds}")

    def beat(self, count: int) -> None:
        """Have COUNT nodes, one after the other, write a status that is no news."""
        self._command(f"beat {count}")

    def _command(self, line: str) -> str:
        self._ours.sendall(f"{line}\n".encode())
        return self._answers.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._answers.close()
        self._ours.close()
        os.waitpid(self._pid, 0)


def _ask(api: NodeApi, method: str, path: str, document: object) -> None:
    answer = api.answer(Request(method, f"/api/v1/nodes/{path}", {}, _MERGE, json.dumps(document).encode()))
    if answer.status != 200:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {b''.join(answer.pieces)!r}")


def _serve(
    nodes: Sequence[Node], describe: Callable[[int], Node], address: tuple[str, int], orders: socket.socket
) -> None:
    api = NodeApi(history=_HISTORY)
    for each in nodes:
        api.add(realistic(each))
    server = Server(api, address)
    verbs = _changes(api, len(nodes), describe)

    def restart(number: str, seconds: str) -> float:
        server.stop()
        verbs["join"](number)
        api.store.compact()
        time.sleep(float(seconds))
        server.start()
        _wait_until_ready(server)
        return time.monotonic()

    verbs["restart"] = restart
    with server, orders.makefile("rw") as lines:
        print(server.url, file=lines, flush=True)
        for line in lines:
            verb, *arguments = line.split()
            print(verbs[verb](*arguments), file=lines, flush=True)
        os._exit(0)  # the server would wait for the agent's watch to end


def _wait_until_ready(server: Server) -> None:
    host, port = server.address
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        with suppress(OSError):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        connection.close()


def _changes(api: NodeApi, count: int, describe: Callable[[int], Node]) -> dict[str, Callable[..., float]]:
    """Return the commands that change the COUNT nodes of API, by name; they return when they had been done."""
    beats = 0

    def join(number: str) -> float:
        api.add(realistic(describe(int(number))))
        return time.monotonic()

    def move(number: str) -> float:
        address = {"type": "InternalIP", "address": str(Address(4, scene.via(int(number), moved=True)))}
        _ask(api, "PATCH", f"worker-{number}/status", {"status": {"addresses": [{"$patch": "replace"}, address]}})
        return time.monotonic()

    def leave(number: str) -> float:
        _ask(api, "DELETE", f"worker-{number}", {})
        return time.monotonic()

    def succeed(number: str) -> float:
        _ask(api, "DELETE", f"worker-{number}", {})
        successor = describe(int(number))._replace(
            name=f"successor-{number}", internal_ips=(Address(4, scene.via(int(number), moved=True)),)
        )
        api.add(realistic(successor))
        return time.monotonic()

    def beat(times: str) -> float:
        nonlocal beats
        for _ in range(int(times)):
            beats += 1
            moment = f"{2000 + beats // 10_000}-01-01T00:00:00.{beats % 10_000:04}00Z"
            heartbeat = {"type": "Ready", "lastHeartbeatTime": moment}
            _ask(api, "PATCH", f"worker-{beats % count}/status", {"status": {"conditions": [heartbeat]}})
        return time.monotonic()

    return {"join": join, "beat": beat, "move": move, "leave": leave, "succeed": succeed}
