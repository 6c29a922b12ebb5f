"""Machines with real network managers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from persist.machine import Machine
from persist.unpacking import unpack
from podroutes.lab import syscalls
from support import debian


@pytest.fixture(scope="session")
def tree(request, tmp_path_factory) -> Iterator[Path]:
    """Unpack the managers into memory; skip where they cannot run or be had."""
    memory = tmp_path_factory.mktemp("managers")
    try:
        packages = debian.packages("managers")
        syscalls.mount("tmpfs", str(memory), "tmpfs", data="mode=755")
    except (debian.UnavailableError, OSError) as error:
        pytest.skip(str(error))
    unpack(packages, memory / "tree")
    yield memory
    subprocess.run(["umount", "-l", str(memory)], check=True)


@pytest.fixture
def machine(tree, request) -> Iterator[Machine]:
    """Return worker-0, booted, without a manager yet; the test is in its network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    memory = tree / f"machine-{request.node.nodeid.replace('/', '-')[-60:]}"
    memory.mkdir()
    made = Machine(memory, tree / "tree")
    try:
        yield made
    finally:
        made.close()
        syscalls.setns(home, syscalls.NEWNET)
        os.close(home)
