"""Reads the tables of this machine from ip(8) and /proc/sys."""

import errno
import os

from podroutes.host import TablesError
from podroutes.host.files import HostFiles
from podroutes.host.iproute_json import Reader, Texts, release
from podroutes.host.sysctls import read_sysctls
from podroutes.host.tools import run
from podroutes.model.host import Host

# The content of each file in a directory of tables; also used for live reading and the documentation.
COMMANDS = {
    "link": "ip -j -d link",
    "addr": "ip -j addr",
    "route": "ip -N -j route show table all",
    "rule": "ip -N -j rule",
    "rule6": "ip -N -j -6 rule",
    "nexthop": "ip -N -j nexthop",
}
_OPTIONAL = {"rule", "rule6", "nexthop"}  # a kernel without policy rules, IPv6 or nexthop objects has none


def read_here(name: str, reader: Reader) -> Host:
    """Return the state of the current network namespace, under NAME. Raises TablesError if ip(8) fails."""
    sysctls = {"kernel.osrelease": release(os.uname().release), **read_sysctls(HostFiles())}
    return reader.host(
        name, Texts(**{field: _printed(words) for field, words in COMMANDS.items()}), sysctls, COMMANDS.__getitem__
    )


def _printed(command: str) -> bytes:
    words = command.split()
    try:
        ran = run(words)
    except OSError as error:
        raise TablesError(f"cannot run `{command}`: {error.strerror}") from None
    if ran is None:
        raise TablesError(f"cannot run `{command}`: {os.strerror(errno.ENOENT)}; install iproute2")
    if ran.status and _OPTIONAL.isdisjoint(words):
        raise TablesError(f"`{command}` failed: {ran.err.decode(errors='replace').strip()}")
    return ran.out or b"[]"  # a kernel without policy rules, or without IPv6, prints nothing
