"""System calls that Python 3.11 lacks: unshare(2), setns(2), mount(2), umount2(2), prctl(2)."""

import ctypes
import os

# linux/sched.h
NEWNS = 0x00020000
NEWUTS = 0x04000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19
_MNT_DETACH = 2
_PR_SET_NAME = 15  # linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


def unshare(flags: int) -> None:
    """Move into new namespaces of the kinds in FLAGS, unshare(2). Raises ``OSError``."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Join the namespaces of FD, a namespace file or (Linux 5.8) a pidfd, setns(2). Raises ``OSError``."""
    _checked(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount SOURCE on TARGET, mount(2). Raises ``OSError`` with the target."""
    options = None if data is None else data.encode()
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options,
    )
    _checked(result, f"mount {target}")


def unmount(target: str) -> None:
    """Unmount TARGET, also while it is in use: umount2(2). Raises ``OSError`` with the target."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def name_process(name: str) -> None:
    """Set the name of this process in ps(1) and top(1), at most 15 bytes: prctl(2)."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
