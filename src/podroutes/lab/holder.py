"""The holder process of a lab: it makes the namespaces, keeps them alive, and describes them on request."""

import errno
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from podroutes.errors import ForbiddenError, LabError
from podroutes.lab import running, syscalls
from podroutes.lab.building import build
from podroutes.lab.forbidden import reason, setting
from podroutes.lab.paths import search_path
from podroutes.lab.running import Programs
from podroutes.lab.topology import to_document
from podroutes.model.cluster import Cluster
from podroutes.model.linux import Capability

_BACKLOG = 64
_PATIENCE = 1.0  # seconds for one client, while others wait
_UP, _FORBIDDEN, _FAILED = (
    "up",
    "forbidden:",
    "failed:",
)  # the first word of a report; the reason follows the latter two


def start(cluster: Cluster, listener: socket.socket, *, kubernetes: bool = False, cni: bool = False) -> None:
    """Make the lab CLUSTER. Its holder then serves LISTENER (bound, not yet listening) until it is killed.

        With CNI its pods are left to plugins. With KUBERNETES the lab API serves its machines as Nodes, and an agent runs on each.

    Raises ForbiddenError with a one-line reason if the host forbids it, else LabError; then nothing remains.
    """
    if not shutil.which("ip", path=search_path()):
        raise LabError("ip(8) is neither on PATH nor in /usr/sbin: install iproute2")
    reports, report = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            reports.close()
            _detach(cluster, listener, report, kubernetes=kubernetes, cni=cni)
        finally:  # never return into the caller's code in the child
            os._exit(1)
    report.close()
    listener.close()
    os.waitpid(child, 0)
    with reports, reports.makefile(encoding="utf-8") as lines:
        verdict = lines.read()
    if verdict.startswith(_FORBIDDEN):
        raise ForbiddenError(verdict.removeprefix(_FORBIDDEN))
    if verdict != _UP:
        raise LabError(
            verdict.removeprefix(_FAILED)
            or "the lab's process died while it built the lab: was the machine short of memory?"
        )


def _detach(
    cluster: Cluster, listener: socket.socket, report: socket.socket, *, kubernetes: bool, cni: bool
) -> NoReturn:
    """Leave the session and namespaces of the caller, then fork: a new PID namespace begins with the next child."""
    programs = Programs("", {}, {})

    def hold() -> None:
        nonlocal programs
        _silence(listener.fileno(), report.fileno())
        syscalls.name_process("podroutes-lab")
        api = running.api_of(cluster) if kubernetes else None
        build(cluster, cni=cni)
        if api:
            programs = running.start(cluster, api)
        listener.listen(_BACKLOG)

    os.setsid()
    _or_report(_own_namespaces, report)
    if os.fork():
        os._exit(0)
    _or_report(hold, report)
    _or_report(lambda: report.sendall(_UP.encode()), report)  # without a caller the lab is not needed
    report.close()
    _serve({**to_document(cluster), **({"cni": True} if cni else {})}, listener, programs)


def _or_report(step: Callable[[], None], report: socket.socket) -> None:
    """Do STEP. If it fails, report why and end this process, and with it the lab."""
    try:
        step()
    except LabError as error:
        why = f"{_FORBIDDEN if isinstance(error, ForbiddenError) else _FAILED}{error}"
    except OSError as error:
        denied = error.errno in (errno.EPERM, errno.EACCES)  # AppArmor permits unshare(2) and denies what follows
        cannot = f"{_FAILED}cannot make the lab: {error.strerror} ({error.filename})"
        why = f"{_FORBIDDEN}{reason(error, setting)}" if denied else cannot
    else:
        return
    with suppress(OSError):
        report.sendall(why.encode())
    os._exit(1)


def _own_namespaces() -> None:
    """Unshare the namespaces of a lab, in a new user namespace unless this process is privileged."""
    wanted = syscalls.NEWNS | syscalls.NEWNET | syscalls.NEWPID
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0 and _administers_networks():
            with suppress(PermissionError):
                syscalls.unshare(wanted)
                return
        syscalls.unshare(syscalls.NEWUSER)
        # user_namespaces(7): without CAP_SETGID outside, setgroups must be denied before gid_map is written.
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path("/proc/self", file).write_text(text, encoding="ascii")
        syscalls.unshare(wanted)
    except OSError as error:
        raise ForbiddenError(reason(error, setting)) from None


def _administers_networks() -> bool:
    """Return whether this process has CAP_NET_ADMIN (capabilities(7)). Root of a container may lack it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    held = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> Capability.NET_ADMIN & 1)


def _silence(*kept: int) -> None:
    """Close everything inherited, so that the lab keeps no pipe, terminal or directory of the caller open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    first = 3
    for fd in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        os.closerange(first, fd)
        first = fd + 1
    os.chdir("/")
    os.umask(0o022)


def _serve(document: dict[str, Any], listener: socket.socket, programs: Programs) -> NoReturn:
    """Send DOCUMENT, which describes the lab, to each client, see registry.py."""
    signal.signal(signal.SIGCHLD, programs.reap)  # process 1 also inherits orphans
    programs.reap()  # those that have ended already
    signal.signal(signal.SIGTERM, _end)
    for harmless in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(harmless, signal.SIG_IGN)
    while True:
        with suppress(OSError), listener.accept()[0] as client:
            client.settimeout(_PATIENCE)
            client.sendall(json.dumps({**document, **programs.document()}).encode())


def _end(_signum: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)
