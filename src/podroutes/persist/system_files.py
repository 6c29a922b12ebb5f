"""System files besides the routes: the name of our protocol, forwarding, and the paths of the other files that go with them."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles, keyfile
from podroutes.host.sysctls import set_sysctl
from podroutes.model.masquerade import FILE
from podroutes.model.persisted import File
from podroutes.model.route import PROTOCOL
from podroutes.persist.file_format import HEADER

PROTOCOL_NAME = "/etc/iproute2/rt_protos.d/podroutes.conf"  # read by ip(8) since iproute2 6.1
FORWARDING = "/etc/sysctl.d/90-podroutes.conf"  # sysctl.d(5): a file that sorts after it may override it
CNI = "/etc/cni/net.d/10-podroutes.conflist"  # see ``cni_config``
CNI_LOOPBACK = "/etc/cni/net.d/99-podroutes-loopback.conflist"
MASQUERADE = FILE  # see ``masquerade_table``
MASQUERADE_UNIT = "/etc/systemd/system/podroutes-masquerade.service"
MASQUERADE_WANTS = "/etc/systemd/system/multi-user.target.d/51-podroutes-masquerade.conf"
MODULES = "/etc/modules-load.d/podroutes.conf"  # modules-load.d(5)
BRIDGE_MODULE = "br_netfilter"
# With them kube-proxy's rules see packets between two pods of one bridge, so that a Service reaches the other pod.
BRIDGE_SYSCTLS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
_KEYS = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
_WAS = re.compile(r"^# before: (\S+) (\S+)$", re.MULTILINE)  # without "=": the line is a comment for sysctl(8), too


def protocol_name() -> File:
    """Return the file that makes ip(8) print our protocol by its name."""
    return File(PROTOCOL_NAME, f"{HEADER}{PROTOCOL} podroutes\n")


def forwarding_sysctls(versions: Iterable[int]) -> dict[str, str]:
    """Return the sysctls that enable forwarding for IP VERSIONS; without forwarding a node drops packets for its pods."""
    return {_KEYS[version]: "1" for version in sorted(versions)}


def forwarding(sysctls: Mapping[str, str], before: Mapping[str, str] = MappingProxyType({})) -> File:
    """Return the file that sets SYSCTLS at boot. BEFORE are their values before ours, which ``remove`` restores."""
    lines = [f"{key} = {value}\n" for key, value in sysctls.items()]
    lines += [f"# before: {key} {value}\n" for key, value in before.items() if value and value != sysctls.get(key)]
    return File(FORWARDING, HEADER + "".join(lines))


def former(text: str) -> dict[str, str]:
    """Return the values before ours that the file TEXT keeps."""
    return dict(_WAS.findall(text))


def modules() -> File:
    """Return the file that loads the module of the bridge's sysctls at boot."""
    return File(MODULES, f"{HEADER}{BRIDGE_MODULE}\n")


def device_sysctl(version: int, dev: str, key: str) -> str:
    """Return the name of a sysctl of a device. It has slashes: the name of a device may have dots, sysctl.d(5)."""
    return f"net/ipv{version}/conf/{dev}/{key}"


def sysctl_path(name: str) -> str:
    """Return the path below /proc/sys of the sysctl NAME."""
    return name if "/" in name else name.replace(".", "/")


def kept(files: Mapping[str, File]) -> dict[str, str]:
    """Return the sysctls that FILES, by path, set at boot."""
    return keyfile(files[FORWARDING].text) if FORWARDING in files else {}


def switch(root: HostFiles, sysctls: Mapping[str, str]) -> dict[str, str]:
    """Set SYSCTLS now, and return their former values. Raises PersistError if the kernel refuses."""
    had = {}
    for key, value in sysctls.items():
        try:
            had[key] = set_sysctl(root, sysctl_path(key), value)
        except OSError as error:
            raise PersistError(
                f"{key} cannot be {value} now: {error.strerror}; routes and files are as they should be"
            ) from error
    return had
