"""Run a command as root of a container with an engine's defaults: Docker's capabilities, and a filter of system calls.

It runs on the inner machine, by itself: ``python3 container.py COMMAND [ARG...]``.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
_KEPT = [
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "net_bind_service",
    "net_raw",
    "sys_chroot",
    "mknod",
    "audit_write",
    "setfcap",
]
# What Docker's profile forbids without CAP_SYS_ADMIN and programs here call; asm/unistd.h, linux/audit.h.
_CALLS = {
    "x86_64": (0xC000003E, {"mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308}, 56),
    "aarch64": (0xC00000B7, {"mount": 40, "umount2": 39, "pivot_root": 41, "unshare": 97, "setns": 268}, 220),
}
_CLONE3 = 435  # answered with ENOSYS, as Docker does: libraries then use clone, whose flags a filter can read
_NEW = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
# linux/filter.h, linux/seccomp.h, linux/prctl.h
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _FILTER = 22, 2


def _program() -> bytes:
    arch, forbidden, clone = _CALLS[platform.machine()]
    deny = [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), *deny, (_LOAD, 0, 0, 0)]  # offsets in struct seccomp_data
    for number in forbidden.values():
        code += [(_EQUAL, 0, 1, number), *deny]
    code += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, 16), (_ANY_BIT, 0, 1, _NEW), *deny, (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def main() -> None:
    """Become the command."""
    code = ctypes.create_string_buffer(_program())
    count = (len(code) - 1) // 8
    program = struct.pack("HL", count, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
    kept = ",".join(f"+{name}" for name in _KEPT)
    words = ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}", *sys.argv[1:]]
    os.execvp(words[0], words)  # noqa: S606, no shell on purpose


if __name__ == "__main__":
    main()
