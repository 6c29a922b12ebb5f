"""A place to measure in: network, mount and process namespaces that end with the benchmark, whatever ends it."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from podroutes.lab import syscalls

SCRATCH = Path("/run/bench")  # on a tmpfs that only this benchmark sees
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run(work: Callable[[], int]) -> int:
    """Do WORK as process 1 of new namespaces and return its exit status; root, or else a user namespace, makes them.

    Whoever ends process 1 or this process (Ctrl-C, kill) ends every process inside, and with them links and mounts.
    Raises OSError when the host forbids namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare((syscalls.NEWUSER if uid else 0) | syscalls.NEWNET | syscalls.NEWNS | syscalls.NEWPID)
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _furnish()
            status = work()
        except (KeyboardInterrupt, BrokenPipeError):
            status = 130
        except BaseException:  # noqa: BLE001, process 1 must leave through _exit, and a benchmark shows what went wrong
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(status)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:  # the child dies with us
        return 130


def _furnish() -> None:
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
    with suppress(OSError):  # where a container masks parts of /proc; the old one does as well
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    for place in ("/run", "/var/tmp"):  # FRR leaves things in the latter  # noqa: S108
        syscalls.mount("tmpfs", place, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    SCRATCH.mkdir()
    ip("link set lo up")


def cover(path: str, text: str) -> None:
    """Let every process inside see TEXT where the host has the file PATH."""
    copy = SCRATCH / path.strip("/").replace("/", "-")
    copy.write_text(text)
    syscalls.mount(str(copy), path, flags=syscalls.MS_BIND)


def ip(*lines: str, namespace: str = "") -> None:
    """Run LINES through ``ip -batch``; raises CalledProcessError with what ip(8) said on standard error."""
    inside = ["-n", namespace] if namespace else []
    subprocess.run(
        ["ip", *inside, "-batch", "-"], input="\n".join(lines), text=True, check=True, stdout=subprocess.DEVNULL
    )


def sysctl(name: str, value: int) -> None:
    """Write VALUE to /proc/sys/net/NAME of the network namespace that we are in."""
    Path("/proc/sys/net", name).write_text(str(value))


def fork_inside(namespace: str, work: Callable[[], bytes]) -> tuple[int, socket.socket]:
    """Do WORK in a child within the named network namespace; return its process id and where its result can be read."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(f"/run/netns/{namespace}", "rb") as file:  # noqa: PTH123, it is the descriptor that counts
                syscalls.setns(file.fileno(), syscalls.NEWNET)
            theirs.sendall(work())
            status = 0
        except BaseException:  # noqa: BLE001, a child must not go on as its parent
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    theirs.close()
    return child, ours
