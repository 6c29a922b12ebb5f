"""The namespaces that a test session lives in."""

import os
import subprocess
from pathlib import Path

import pytest

from podroutes.lab import syscalls

SHUT_OUT = pytest.StashKey[str]()  # why this session could make no namespaces, "" where it could


def enter() -> None:
    """Move this process into fresh user (when not root), mount and network namespaces."""
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare((syscalls.NEWUSER if uid else 0) | syscalls.NEWNS | syscalls.NEWNET)
    if uid:
        for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(line)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)  # what tests mount stays with them
    if not uid:  # whatever podroutes keeps on this machine is none of the tests' business
        syscalls.mount("/etc", "/etc", flags=syscalls.MS_BIND)
        syscalls.mount("none", "/etc", flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
