"""Real OpenSSH servers, one on each machine of a lab."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.debian import UnavailableError
from support.openssh import Site, unpack
from support.users import others


@pytest.fixture(scope="session")
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sshd and sudo, unpacked; both change users."""
    if why := others():
        pytest.skip(why)
    try:
        return unpack(tmp_path_factory.mktemp("openssh"))
    except UnavailableError as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def module_site(tree: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Make three machines."""
    name = f"push-{os.getpid()}-{request.module.__name__.rpartition('.')[2]}"
    found = Site(name, tree, tmp_path_factory.mktemp("home"), 3)
    yield found
    found.close()


@pytest.fixture
def site(module_site: Site) -> Iterator[Site]:
    """Return three machines without routes of ours; what a test did to their sshd is undone."""
    module_site.forget()
    yield module_site
    module_site.restore()
