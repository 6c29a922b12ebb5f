"""The sysctls of a machine that decide about forwarding: read all, set one. sysctl(8) names, for example net.ipv4.ip_forward."""

import errno
from collections.abc import Sequence

from podroutes.host.files import HostFiles

# Below /proc/sys/net: all that decides whether a packet is taken in, passed on, and found by its next hop's neighbours.
SYSCTLS = (
    "ipv4/ip_forward",
    *(
        f"ipv4/conf/*/{key}"
        for key in ("forwarding", "rp_filter", "accept_local", "arp_ignore", "proxy_arp", "send_redirects")
    ),
    "ipv6/conf/all/forwarding",
    *(f"ipv6/conf/*/{key}" for key in ("force_forwarding", "proxy_ndp", "disable_ipv6")),
)
# What else a plan of the host settings needs.
SETTINGS = ("ipv6/conf/*/accept_ra", "bridge/bridge-nf-call-*")
_NET = "/proc/sys/net/"


def read_sysctls(files: HostFiles, patterns: Sequence[str] = SYSCTLS) -> dict[str, int]:
    """Return the values of the sysctls that match PATTERNS, by name; those of a device that goes meanwhile are left out."""
    values = {}
    for path in (path for pattern in patterns for path in files.glob(f"{_NET}{pattern}")):
        text = (files.peek(path) or "").strip()
        if text.lstrip("-").isdigit():
            values["net." + path.removeprefix(_NET).replace("/", ".")] = int(text)
    return values


def get_sysctl(files: HostFiles, name: str) -> str | None:
    """Return the value of the sysctl NAME, below /proc/sys; None if the kernel has none of this name."""
    text = files.peek(f"/proc/sys/{name}")
    return None if text is None else text.strip()


def set_sysctl(files: HostFiles, name: str, value: str) -> str:
    """Set the sysctl NAME, below /proc/sys, until the next boot; return its value before. Raises OSError where that fails."""
    path = files.path(f"/proc/sys/{name}")
    before = path.read_text(encoding="ascii").strip()
    if before != value:
        path.write_text(f"{value}\n", encoding="ascii")
    if (left := path.read_text(encoding="ascii").strip()) != value:
        raise OSError(errno.EINVAL, f"the kernel left it at {left}")
    return before
