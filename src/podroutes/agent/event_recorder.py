"""Reports to the cluster, if enabled: Events about the agent's own node, and the condition NetworkUnavailable.

An agent reports only problems of its own node: a conflict between two nodes is reported by the agents of both, and by no other.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from podroutes.agent.log import Logger
from podroutes.agent.worker_thread import WorkerThread
from podroutes.errors import KubernetesError
from podroutes.host.files import HostFiles
from podroutes.host.sysctls import read_sysctls
from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import Client
from podroutes.kubernetes.reporting import Note, patch_condition, post_event
from podroutes.model.problem import Problem
from podroutes.model.status import Status

# Problems that depend on the machine that sees them; all others are about the nodes that they name.
_LOCAL = {"foreign-route", "link-down", "mass-delete", "next-hop-off-link", "next-hop-is-self", "not-persistent"}
_PEERS = {
    "next-hop-off-link",
    "foreign-route",
}  # a route that cannot be installed because of a peer's address or another program
_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_AGAIN = 3600.0  # seconds before an Event is repeated
_MOST = 20  # maximum Events an hour
_RETRY = 30.0  # seconds until a failed condition is retried


class EventOptions(NamedTuple):
    """What is reported."""

    events: bool
    condition: bool


class EventRecorder:
    """Reports the status of this agent to the cluster of ACCESS, in a thread. Its failures are only logged."""

    def __init__(
        self, access: Access, telling: EventOptions, log: Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = Client(access)
        self._telling = telling
        self._log = log
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._condition: tuple[bool, str] | None = None
        self._newest: Status | None = None
        self._news = False
        self._thread = WorkerThread("event recorder", self._work)

    def tell(self, status: Status) -> None:
        """Set the current status; of several in quick succession the last one counts."""
        self._newest, self._news = status, True
        self._thread.wake()

    def _work(self) -> float:
        news, self._news = self._news, False
        status = self._newest
        if status is not None and (news or self._condition is None):
            try:
                self._events(status)
                self._available(status)
            except KubernetesError as error:
                self._condition = None
                self._log("warning", "cluster not told", error=str(error))
        return _RETRY

    def _events(self, status: Status) -> None:
        now = self._clock()
        self._told = {key: at for key, at in self._told.items() if now - at < _AGAIN}
        for key, message in events(status) if self._telling.events else ():
            if key not in self._told and len(self._told) < _MOST:
                self._told[key] = now
                post_event(self._client, Note("Warning", reason(key[0]), message, status.node), status.node)

    def _available(self, status: Status) -> None:
        wanted = availability(status, forwards=forwarding())
        if self._telling.condition and wanted and wanted != self._condition:
            available, message = wanted
            if not patch_condition(self._client, status.node, available=available, message=message):
                self._log("warning", "condition left alone", cause="NetworkUnavailable is somebody else's on this node")
            self._condition = wanted


def events(status: Status) -> list[tuple[tuple[str, str], str]]:
    """Return the Events for STATUS: by code and destination, which identify each, the message."""
    problems = [
        ((problem.code, str(problem.dst)), f"{problem.message}; {problem.advice}") for problem in notable(status)
    ]
    return problems + [
        (
            ("route-contested", str(route.dst)),
            f"{route.dst} is deleted again and again{f' by {route.rival}' if route.rival else ''}; it is restored less often now",
        )
        for route in status.contested
    ]


def notable(status: Status) -> list[Problem]:
    """Return the problems of STATUS that this node's agent must report."""
    return [
        problem
        for problem in status.problems
        if problem.severity == "error" and (problem.code in _LOCAL or status.node in problem.nodes)
    ]


def availability(status: Status, *, forwards: bool) -> tuple[bool, str] | None:
    """Return whether this node's own network works, as far as routes are concerned, and why; None if unknown.

    Problems of single peers do not count: all agents would set the condition, and no pod could be scheduled. The reason contains no
        numbers, so that a new node causes no writes by the others. FORWARDS is the result of ``forwarding``.
    """
    if not status.last_pass or not status.source.synced:
        return None
    if status.error:
        return False, "the kernel cannot be read or written"
    if status.routes.wanted and not status.routes.installed and not _is_theirs(status):
        return False, "no route to the pods of other nodes is installed"
    if not forwards:
        return False, "IP forwarding is off"
    return True, "the routes to the pods of other nodes are kept"


def _is_theirs(status: Status) -> bool:
    """Return whether a single other node explains that no route is installed."""
    others = {name for problem in status.problems if problem.code in _PEERS for name in problem.nodes} - {status.node}
    return len(others) == 1 and all(
        problem.code in _PEERS for problem in status.problems if problem.severity == "error"
    )


def forwarding() -> bool:
    """Return whether this machine forwards packets of any IP version."""
    return any(read_sysctls(HostFiles(), _FORWARDING).values())


def reason(code: str) -> str:
    """Return a problem's code as an Event's reason: ``duplicate-pod-cidr`` is ``DuplicatePodCidr``."""
    return "".join(word.capitalize() for word in code.split("-"))
