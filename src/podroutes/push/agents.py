"""Asks the agents of many machines for their status, each through the sshd of its machine."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from podroutes.errors import PodroutesError, PushError
from podroutes.model.agents import Asked
from podroutes.model.cluster import Node
from podroutes.push.ssh import SshClient

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104, an agent that listens everywhere is asked where it is


async def ask_all(
    client: SshClient, nodes: Sequence[Node], listen: tuple[str, int], parallel: int, done: Callable[[str], None]
) -> list[Asked]:
    """Return the answer of the agent on each of NODES, PARALLEL machines at a time; DONE is called with each node's name."""
    turns = asyncio.Semaphore(parallel)

    async def ask(node: Node) -> Asked:
        async with turns:
            try:
                return Asked(node.name, await _ask(client, node, listen))
            except PodroutesError as error:
                return Asked(node.name, error=str(error))
            finally:
                done(node.name)

    try:
        return await asyncio.gather(*map(ask, nodes))
    finally:
        await client.close()


async def _ask(client: SshClient, node: Node, listen: tuple[str, int]) -> dict[str, Any]:
    session = await client.connect(node)
    try:
        host, port = _ANY.get(listen[0], listen[0]), listen[1]
        return _document(await session.exchange(host, port, b"GET /status HTTP/1.0\r\n\r\n"))
    finally:
        await session.close()


def _document(answer: bytes) -> dict[str, Any]:
    """Return the document in ANSWER, an HTTP response (RFC 9112)."""
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        shown = json.loads(body)
    except (ValueError, RecursionError):
        shown = None
    if b"\nserver: podroutes" not in head.lower() or not isinstance(shown, dict):
        raise PushError("what answers there is no podroutes agent: name its address with --listen")
    return shown
