"""Machines with nft(8), which comes from Debian's packages and is installed nowhere."""

import pytest

from doctor.conftest import filters, unpacked  # noqa: F401  fixtures
from podroutes.host.files import HostFiles


class Machine(HostFiles):
    """The files of a machine in a directory, and the packet filter of the test's own network namespace."""

    def run(self, words, text=""):
        """Run a real tool."""
        return HostFiles().run(words, text)


@pytest.fixture
def machine(bare, filters, tmp_path):  # noqa: F811
    return Machine(tmp_path)
