"""Makes a lab's namespaces and their content. Runs inside the holder's mount and PID namespace."""

import errno
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from podroutes.errors import ForbiddenError, LabError
from podroutes.lab import syscalls
from podroutes.lab.paths import LAYERED, MACHINES, NETNS, search_path
from podroutes.lab.plumbing import commands, sysctls
from podroutes.lab.topology import namespaces
from podroutes.model.cluster import Cluster

_HERE = "/proc/self/ns/net"
_DIRECTORIES = ".directories"  # beside the layers of machines; no machine has such a name


def build(cluster: Cluster, *, cni: bool = False) -> None:
    """Make and configure the namespaces of CLUSTER, with CNI without pods; ``ip -n NAME`` finds them in this mount namespace.

    Raises LabError with the namespace and the error of ip(8) or the kernel.
    """
    _own_run_directory()
    for name in namespaces(cluster, cni=cni):
        try:
            _add_namespace(name)
        except OSError as error:
            raise LabError(
                f"cannot make the network namespace of {name}: {error.strerror}; "
                "user.max_net_namespaces or the machine's memory may be the limit"
            ) from None
        for path, value in sysctls(cluster, name, cni=cni).items():
            _write_sysctl(path, value)
    for name, lines in commands(cluster, cni=cni):
        _ip_batch(name, lines)


def _own_run_directory() -> None:
    """Mount an empty /run: a lab's machines see each other's namespaces, and none of the host's services."""
    # The host's later mounts propagate here, ours do not propagate to the host.
    syscalls.mount("none", "/", flags=syscalls.MS_SLAVE | syscalls.MS_REC)
    syscalls.mount("lab", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
    Path(NETNS).mkdir()
    Path(MACHINES).mkdir()
    for directory, layers in LAYERED.items():
        Path(layers).mkdir()
        if Path(directory).stat().st_uid:  # of a user whom this user namespace does not have
            _own_directories(directory, Path(layers, _DIRECTORIES))


def _add_namespace(name: str) -> None:
    Path(MACHINES, name).mkdir()
    for directory, layers in LAYERED.items():
        _own_layer(directory, Path(layers, name))
    Path(NETNS, name).touch(0o444, exist_ok=False)
    syscalls.unshare(syscalls.NEWNET)
    syscalls.mount(_HERE, f"{NETNS}/{name}", flags=syscalls.MS_BIND)


def _own_directories(directory: str, own: Path) -> None:
    """Make all that can be read of the directories in DIRECTORY anew in OWN: the machines' root can make files in these."""
    for path, names, _ in os.walk(directory):
        here = own / os.path.relpath(path, directory)
        here.mkdir(exist_ok=True)
        names[:] = [
            name for name in names if not Path(path, name).is_symlink() and os.access(f"{path}/{name}", os.R_OK)
        ]


def _own_layer(directory: str, own: Path) -> None:
    """Mount an empty overlay on the host's DIRECTORY: files that a machine writes are in OWN, and vanish with the lab."""
    for part in ("", "changes", "work", "all"):
        Path(own, part).mkdir()
    made = own.with_name(_DIRECTORIES)
    lower = f"{made}:{directory}" if made.exists() else directory
    layers = f"lowerdir={lower},upperdir={own}/changes,workdir={own}/work"
    for options in (
        f"{layers},userxattr",
        layers,
    ):  # Linux 5.11: without, a user namespace cannot delete the host's directories
        with suppress(OSError):
            syscalls.mount("overlay", f"{own}/all", "overlay", data=options)
            return


def _write_sysctl(path: str, value: str) -> None:
    """Write a sysctl of the current network namespace. Missing IPv6 sysctls are ignored: the kernel may lack IPv6."""
    where = Path("/proc/sys/net", path)
    try:
        try:
            where.write_text(value, encoding="ascii")
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            syscalls.mount("proc", "/proc", "proc")  # that of the lab's PID namespace, which is writable
            where.write_text(value, encoding="ascii")
    except FileNotFoundError:
        if not path.startswith("ipv6/"):
            raise
    except OSError as error:
        raise ForbiddenError(
            f"cannot set {where} inside the lab ({error.strerror}): containers may mount /proc/sys read-only"
        ) from None


def _ip_batch(namespace: str, lines: Sequence[str]) -> None:
    """Run LINES in one ip(8) process in NAMESPACE. The first failure ends the batch and is reported."""
    command = [shutil.which("ip", path=search_path()) or "ip", "-n", namespace, "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        errors, _, position = done.stderr.strip().partition("\nCommand failed -:")
        line = lines[int(position) - 1] if position.isdigit() else "-batch"
        raise LabError(f"{namespace}: `ip {line}` failed: {' '.join(errors.split()) or 'no reason given'}")
