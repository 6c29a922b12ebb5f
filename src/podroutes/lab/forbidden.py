"""Explains why the host forbids namespaces, in one line that names the setting to change."""

import errno
from collections.abc import Callable
from pathlib import Path

_CLONE = "/proc/sys/kernel/unprivileged_userns_clone"  # Debian's patch; absent elsewhere
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"  # Ubuntu 23.10 and later
_LIMITS = "/proc/sys/user/max_{}_namespaces"  # namespaces(7)
_KINDS = ("user", "mnt", "pid", "net", "uts")


def reason(error: OSError, read: Callable[[str], str | None]) -> str:
    """Explain ERROR of unshare(2) or of the files of user_namespaces(7) in one line. READ returns a setting or None."""
    what = "the host does not let this user make namespaces"
    if error.errno == errno.EINVAL:
        return "this kernel was built without user, PID or network namespaces (CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS)"
    exhausted = [kind for kind in _KINDS if read(_LIMITS.format(kind)) == "0"]
    if exhausted:
        name = f"user.max_{exhausted[0]}_namespaces"
        return f"{what}: {name} is 0; set it to 10000 (sudo sysctl -w {name}=10000)"
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return (
            f"{what}: all are in use; end other labs or containers, or raise user.max_net_namespaces and its siblings"
        )
    if read(_CLONE) == "0":
        return f"{what}: allow it (sudo sysctl -w kernel.unprivileged_userns_clone=1), or run as root"
    if read(_APPARMOR) == "1":
        return (
            f"{what}: AppArmor takes the capabilities away; allow it "
            "(sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
        )
    return f"{what} ({error.strerror}): a container's seccomp filter or missing CAP_SYS_ADMIN does that; run on the host itself"


def setting(path: str) -> str | None:
    """Return the kernel setting at PATH, None if this kernel does not have it."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
