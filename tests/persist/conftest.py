"""Machines with real network managers, those of this system's release and those of another."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from persist.machine import Machine
from persist.managers import RELEASES
from podroutes.lab import syscalls
from support import debian
from support.unpacked import unpack
from support.users import others


@pytest.fixture(scope="session")
def tree(tmp_path_factory) -> Iterator[Callable[[str], Path]]:
    """Return what unpacks a set of packages into memory, once; it skips where they cannot be had or run."""
    mounted = []

    @cache
    def unpacked(name: str) -> Path | str:
        memory = tmp_path_factory.mktemp(name)
        if why := others():  # daemons have users of their own
            return why
        try:
            packages = debian.packages(name)
            syscalls.mount("tmpfs", str(memory), "tmpfs", data="mode=755")
        except (debian.UnavailableError, OSError) as error:
            return str(error)
        mounted.append(memory)
        unpack(packages, memory / "tree")
        return memory

    def found(name: str) -> Path:
        memory = unpacked(name)
        if isinstance(memory, str):
            pytest.skip(memory)
        return memory

    yield found
    for memory in mounted:
        subprocess.run(["umount", "-l", str(memory)], check=True)


@pytest.fixture(params=RELEASES)
def machine(tree, request) -> Iterator[Machine]:
    """Return worker-0, booted, without a manager yet; the test is in its network namespace."""
    name = RELEASES[request.param]
    top = tree(name)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    memory = top / f"machine-{request.node.nodeid.replace('/', '-')[-60:]}"
    memory.mkdir()
    made = Machine(memory, top / "tree", alone=bool(debian.SETS[name].release))
    try:
        yield made
    finally:
        made.close()
        syscalls.setns(home, syscalls.NEWNET)
        os.close(home)
