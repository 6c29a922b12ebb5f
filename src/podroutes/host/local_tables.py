"""Reads the tables of this machine from ip(8) and /proc/sys."""

import os
import subprocess
from pathlib import Path

from podroutes.host import TablesError
from podroutes.host.iproute_json import Reader, Texts, release
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
# Below /proc/sys/net: the settings that decide about receiving, forwarding and neighbour discovery.
SYSCTLS = (
    "ipv4/ip_forward",
    *(f"ipv4/conf/*/{key}" for key in ("forwarding", "rp_filter", "accept_local", "arp_ignore", "proxy_arp")),
    "ipv6/conf/all/forwarding",
    *(f"ipv6/conf/*/{key}" for key in ("force_forwarding", "proxy_ndp", "disable_ipv6")),
)
_PROC = Path("/proc/sys/net")
_OPTIONAL = {"rule", "rule6", "nexthop"}  # a kernel without policy rules, IPv6 or nexthop objects has none


def read_here(name: str, reader: Reader) -> Host:
    """Return the state of the current network namespace, under NAME. Raises TablesError if ip(8) fails."""
    return reader.host(
        name, Texts(**{field: _printed(words) for field, words in COMMANDS.items()}), _sysctls(), COMMANDS.__getitem__
    )


def _printed(command: str) -> bytes:
    words = command.split()
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            check=False,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
        )
    except OSError as error:
        raise TablesError(f"cannot run `{command}`: {error.strerror}; install iproute2") from None
    if done.returncode and _OPTIONAL.isdisjoint(words):
        raise TablesError(f"`{command}` failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout or b"[]"  # a kernel without policy rules, or without IPv6, prints nothing


def _sysctls() -> dict[str, int]:
    found = {"kernel.osrelease": release(os.uname().release)}
    for pattern in SYSCTLS:
        for path in _PROC.glob(pattern):
            try:
                found["net." + str(path.relative_to(_PROC)).replace("/", ".")] = int(path.read_text(encoding="ascii"))
            except (OSError, ValueError):  # a device that was removed meanwhile
                continue
    return found
