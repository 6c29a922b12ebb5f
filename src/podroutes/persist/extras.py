"""What else helps routes along after a boot: the name of our protocol, and forwarding."""

from collections.abc import Iterable

from podroutes.model.lasting import File
from podroutes.model.route import PROTOCOL
from podroutes.persist.text import HEADER

PROTOCOL_NAME = "/etc/iproute2/rt_protos.d/podroutes.conf"  # read by ip(8) since iproute2 6.1
FORWARDING = "/etc/sysctl.d/90-podroutes.conf"  # sysctl.d(5): a file that sorts after it may say otherwise
_KEYS = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def protocol_name() -> File:
    """Return the file that makes ip(8) print our protocol by its name."""
    return File(PROTOCOL_NAME, f"{HEADER}{PROTOCOL} podroutes\n")


def forwarding(versions: Iterable[int]) -> File:
    """Return the file that turns on forwarding at boot for IP VERSIONS; without it a node drops what is for its pods."""
    return File(FORWARDING, HEADER + "".join(f"{_KEYS[version]} = 1\n" for version in sorted(versions)))
