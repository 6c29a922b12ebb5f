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
    "neigh": "ip -j neigh show nud all",
    "proxy": "ip -j neigh show proxy",
}
_OPTIONAL = {"rule", "rule6", "nexthop", "neigh"}  # a kernel without policy rules, IPv6 or nexthop objects has none
# What prints nothing was not collected; of all else there is nothing then.
NEEDS_OUTPUT = {"neigh", "proxy"}


def read_here(name: str, reader: Reader, *, neighbours: bool = True) -> Host:
    """Return the state of the current network namespace, under NAME, without its NEIGHBOURS if so wanted.

    Raises TablesError if ip(8) fails.
    """
    commands = {field: words for field, words in COMMANDS.items() if neighbours or field not in NEEDS_OUTPUT}
    sysctls = {"kernel.osrelease": release(os.uname().release), **read_sysctls(HostFiles())}
    return reader.host(
        name,
        Texts(**{field: _printed(field, words) for field, words in commands.items()}),  # type: ignore[arg-type]
        sysctls,
        COMMANDS.__getitem__,
    )


def _printed(field: str, command: str) -> bytes | None:
    words = command.split()
    try:
        ran = run(words)
    except OSError as error:
        raise TablesError(f"cannot run `{command}`: {error.strerror}") from None
    if ran is None:
        raise TablesError(f"cannot run `{command}`: {os.strerror(errno.ENOENT)}; install iproute2")
    if ran.status and _OPTIONAL.isdisjoint(words):
        raise TablesError(f"`{command}` failed: {ran.err.decode(errors='replace').strip()}")
    nothing = None if field in NEEDS_OUTPUT else b"[]"  # a kernel without policy rules, or without IPv6, prints nothing
    return ran.out or nothing
