"""What an agent tells its cluster, where it was asked to: Events about its own node, and the condition NetworkUnavailable.

Only what concerns the own node is told: of a conflict between two nodes each one's agent tells its side, and nobody else does.
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

# Problems that a machine sees only from where it stands; all others are about the nodes that they name.
_LOCAL = {"foreign-route", "link-down", "mass-delete", "next-hop-off-link", "next-hop-is-self", "not-persistent"}
_PEERS = {
    "next-hop-off-link",
    "foreign-route",
}  # a route that a peer's address or another program keeps from being installed
_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_AGAIN = 3600.0  # seconds before the same is told once more
_MOST = 20  # Events an hour: a node with more problems than that has one
_RETRY = 30.0  # seconds after which a condition that could not be set is tried again


class EventOptions(NamedTuple):
    """What is told."""

    events: bool
    condition: bool


class EventRecorder:
    """Tells the cluster behind ACCESS how this agent is doing, in a thread of its own; its failures are logged and no more."""

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
        """Take the status of now; of several that come quickly the last one counts."""
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
    """Return what is worth an Event: its code and destination, which tell it from others, and its message."""
    problems = [((each.code, str(each.dst)), f"{each.message}; {each.advice}") for each in notable(status)]
    return problems + [
        (
            ("route-contested", str(each.dst)),
            f"{each.dst} is deleted again and again{f' by {each.rival}' if each.rival else ''}; it is restored less often now",
        )
        for each in status.contested
    ]


def notable(status: Status) -> list[Problem]:
    """Return the problems of STATUS that are about its node and nobody else's to tell."""
    return [
        problem
        for problem in status.problems
        if problem.severity == "error" and (problem.code in _LOCAL or status.node in problem.nodes)
    ]


def availability(status: Status, *, forwards: bool) -> tuple[bool, str] | None:
    """Return whether this node's own network works as far as routes go, and why; None while that is not known.

    What concerns single peers is no reason: each agent of a cluster would say so of its own node, and nothing could be scheduled.
    The reason names no numbers, so that a node that joins has nobody write its own Node. FORWARDS is what ``forwarding`` returns.
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
    """Whether a single other node explains that no route is installed."""
    others = {name for each in status.problems if each.code in _PEERS for name in each.nodes} - {status.node}
    return len(others) == 1 and all(each.code in _PEERS for each in status.problems if each.severity == "error")


def forwarding() -> bool:
    """Return whether this machine forwards packets of any IP version."""
    return any(read_sysctls(HostFiles(), _FORWARDING).values())


def reason(code: str) -> str:
    """Return a problem's code as an Event's reason: ``duplicate-pod-cidr`` is ``DuplicatePodCidr``."""
    return "".join(word.capitalize() for word in code.split("-"))
