"""Every test runs in network namespaces of its own: the session leaves the machine's namespace before the first one."""

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from podroutes.lab import syscalls


def pytest_configure(config: pytest.Config) -> None:
    """Move this process into fresh user (when not root), mount and network namespaces."""
    uid, gid = os.getuid(), os.getgid()
    config.stash[SHUT_OUT] = ""
    try:
        syscalls.unshare((syscalls.NEWUSER if uid else 0) | syscalls.NEWNS | syscalls.NEWNET)
        if uid:
            for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                Path(f"/proc/self/{name}").write_text(line)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)  # what tests mount stays with them
        if not uid:  # whatever podroutes keeps on this machine is none of the tests' business
            syscalls.mount("/etc", "/etc", flags=syscalls.MS_BIND)
            syscalls.mount("none", "/etc", flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        config.stash[SHUT_OUT] = f"namespaces cannot be made here: {error}"


SHUT_OUT = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let commands remember what they deleted for one test, and nowhere but in its own directory."""
    monkeypatch.setenv("PODROUTES_STATE_DIR", str(tmp_path_factory.getbasetemp() / f"state-{next(_states)}"))


_states = itertools.count()


class Namespace:
    """A network namespace that the calling thread is in."""

    def ip(self, *commands: str) -> None:
        """Run ip(8) with each of COMMANDS."""
        subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def show(self, words: str = "route show") -> list[str]:
        """Return the lines that ``ip WORDS`` prints."""
        shown = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=True).stdout
        return [line.rstrip() for line in shown.splitlines()]

    def index(self, name: str) -> int:
        """Return the interface index of NAME."""
        return socket.if_nametoindex(name)


@pytest.fixture
def bare(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """Put the test into an empty network namespace."""
    if request.config.stash[SHUT_OUT]:
        pytest.skip(request.config.stash[SHUT_OUT])
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        syscalls.unshare(syscalls.NEWNET)
        yield Namespace()
    finally:
        with suppress(OSError):
            syscalls.setns(home, syscalls.NEWNET)
        os.close(home)


@pytest.fixture
def worker(bare: Namespace) -> Namespace:
    """Put the test onto worker-0: ens18 has 192.168.8.20/24 and fd00::20/64, cni0 is the pods' bridge."""
    bare.ip(
        "link set lo up",
        "link add ens18 type veth peer name wire",
        "link set ens18 addrgenmode none",  # or its link-local address comes and goes in the middle of a test
        "link set wire addrgenmode none",
        "link set wire up",
        "link set ens18 up",
        "addr add 192.168.8.20/24 dev ens18",
        "addr add fd00::20/64 dev ens18 nodad",
    )
    return bare
