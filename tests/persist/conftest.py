"""Machines with real network managers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from persist import debian
from persist.machine import Machine
from podroutes.lab import syscalls


@pytest.fixture(scope="session")
def tree(request, tmp_path_factory) -> Iterator[Path]:
    """Unpack the managers into memory; skip where they cannot run or be had."""
    why = debian.possible()
    if why:
        pytest.skip(why)
    memory = tmp_path_factory.mktemp("managers")
    try:
        packages = debian.fetch()
        syscalls.mount("tmpfs", str(memory), "tmpfs", data="mode=755")
    except (debian.UnavailableError, OSError) as error:
        pytest.skip(str(error))
    debian.unpack(packages, memory / "tree")
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
