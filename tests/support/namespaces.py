"""The namespaces that a test session lives in."""

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from podroutes.lab import syscalls

SHUT_OUT = pytest.StashKey[str]()  # why this session could make no namespaces, "" where it could
_ENOUGH = 65536  # user numbers, as Debian gives every user


def enter() -> None:
    """Move this process into fresh user (when not root), mount and network namespaces; ``OSError`` where that is forbidden."""
    become_root()
    syscalls.unshare(syscalls.NEWNS | syscalls.NEWNET)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)  # what tests mount stays with them
    with suppress(OSError):  # whatever podroutes keeps on this machine is none of the tests' business
        syscalls.mount("/etc", "/etc", flags=syscalls.MS_BIND)
        syscalls.mount("none", "/etc", flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def become_root() -> None:
    """Move a user into a namespace where it is root; others are there, too, if the administrator has provided for that.

    This process may have one thread only, user_namespaces(7).
    """
    uid, gid = os.getuid(), os.getgid()
    if not uid:
        return
    ranges = _range("/etc/subuid"), _range("/etc/subgid")
    before, after = os.pipe()
    helper = os.fork()
    if not helper:  # newuidmap(1) has to be outside of what it maps
        os.close(after)
        os.read(before, 1)
        os._exit(not all(ranges) or _map(os.getppid(), (uid, gid), ranges))
    try:
        syscalls.unshare(syscalls.NEWUSER)
    finally:
        os.close(before)
        os.close(after)
        failed = os.waitpid(helper, 0)[1]
    if failed:
        for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(line)
    else:
        os.setgroups([])


def _map(pid: int, owner: tuple[int, int], ranges: tuple[str, ...]) -> bool:
    """Map 0 to OWNER and what follows to RANGES in process PID; return whether that failed."""
    for program, number, first in zip(("newuidmap", "newgidmap"), owner, ranges, strict=True):
        found = shutil.which(program)
        words = [str(each) for each in (pid, 0, number, 1, 1, first, _ENOUGH)]
        if not found or subprocess.run([found, *words], check=False, capture_output=True).returncode:
            return True
    return False


def _range(path: str) -> str:
    """Return the first number of this user's range in a file like subuid(5), "" where it has none that is large enough."""
    try:
        mine = {str(os.getuid()), pwd.getpwuid(os.getuid()).pw_name}
        lines = [line.split(":") for line in Path(path).read_text().splitlines()]
    except (OSError, KeyError):
        return ""
    return next((line[1] for line in lines if len(line) == 3 and line[0] in mine and int(line[2]) >= _ENOUGH), "")
