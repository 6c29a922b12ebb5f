"""System files besides the routes: the name of our protocol, forwarding, and the paths of the CNI configuration."""

from collections.abc import Iterable, Mapping

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles, keyfile
from podroutes.host.sysctls import set_sysctl
from podroutes.model.persisted import File
from podroutes.model.route import PROTOCOL
from podroutes.persist.file_format import HEADER

PROTOCOL_NAME = "/etc/iproute2/rt_protos.d/podroutes.conf"  # read by ip(8) since iproute2 6.1
FORWARDING = "/etc/sysctl.d/90-podroutes.conf"  # sysctl.d(5): a file that sorts after it may override it
CNI = "/etc/cni/net.d/10-podroutes.conflist"  # see ``cni_config``
CNI_LOOPBACK = "/etc/cni/net.d/99-podroutes-loopback.conflist"
_KEYS = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def protocol_name() -> File:
    """Return the file that makes ip(8) print our protocol by its name."""
    return File(PROTOCOL_NAME, f"{HEADER}{PROTOCOL} podroutes\n")


def forwarding(versions: Iterable[int]) -> File:
    """Return the file that enables forwarding at boot for IP VERSIONS; without forwarding a node drops packets for its pods."""
    return File(FORWARDING, HEADER + "".join(f"{_KEYS[version]} = 1\n" for version in sorted(versions)))


def kept(files: Mapping[str, File]) -> dict[str, str]:
    """Return the sysctls that FILES, by path, set at boot."""
    return keyfile(files[FORWARDING].text) if FORWARDING in files else {}


def switch(root: HostFiles, sysctls: Mapping[str, str]) -> dict[str, str]:
    """Set SYSCTLS now, and return their former values. Raises PersistError if the kernel refuses."""
    had = {}
    for key, value in sysctls.items():
        try:
            had[key] = set_sysctl(root, key.replace(".", "/"), value)
        except OSError as error:
            raise PersistError(
                f"{key} cannot be {value} now: {error.strerror}; routes and files are as they should be"
            ) from error
    return had
