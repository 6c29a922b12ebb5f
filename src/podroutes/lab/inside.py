"""Enters a lab: this process into its user and mount namespace, its children into a machine."""

import os
import resource
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from podroutes.errors import LabError
from podroutes.lab import itself, syscalls
from podroutes.lab.paths import COMMANDS, LAYERED, MACHINES, NETNS, RUNTIME, search_path
from podroutes.lab.registry import Lab
from podroutes.lab.topology import namespaces
from podroutes.model.text import escaped, printable

NOT_EXECUTABLE, _NOT_FOUND, SIGNALLED = 126, 127, 128  # exit statuses of shells, POSIX XCU 2.8.2
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")  # variables that curl(1), Go and Python read
_SESSION = ("SSH_CONNECTION", "SSH_CLIENT")  # of a session from outside of the lab's networks
_LONGEST_HOSTNAME = 64  # HOST_NAME_MAX, gethostname(2)


def enter(lab: Lab) -> None:
    """Move this process into LAB, and its future children into the lab's PID namespace. The working directory stays."""
    directory = Path.cwd()
    try:
        flags = syscalls.NEWNS | syscalls.NEWPID
        if not Path("/proc/self/ns/user").samefile(f"/proc/{lab.pid}/ns/user"):
            flags |= syscalls.NEWUSER  # setns(2) refuses to join the current user namespace
        syscalls.setns(lab.pidfd, flags)
    except OSError as error:
        raise LabError(f"cannot enter the lab {printable(lab.name)}: {error.strerror}") from None
    try:
        os.chdir(directory)
    except OSError as error:
        raise LabError(
            f"cannot use the directory {printable(str(directory))} inside the lab: {error.strerror}; change to another"
        ) from None


def join_network(namespace: str) -> None:
    """Move this process, which has entered a lab, into the network namespace of a machine, a pod or the switch."""
    fd = os.open(f"{NETNS}/{namespace}", os.O_RDONLY)
    try:
        syscalls.setns(fd, syscalls.NEWNET)
    finally:
        os.close(fd)


def allow_open_files(count: int) -> None:
    """Raise the limit of open files to COUNT, if it is lower and the hard limit permits it, getrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count and (hard == resource.RLIM_INFINITY or count <= hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def step_into(namespace: str) -> None:
    """Move this process, which has entered a lab, into a machine: its network, files and host name."""
    join_network(namespace)
    syscalls.unshare(syscalls.NEWNS | syscalls.NEWUTS)
    _own_sight(namespace)


def known(lab: Lab, name: str) -> str:
    """Return NAME if LAB has it. Otherwise raises LabError, which suggests a similar name and lists the machines."""
    everything = namespaces(lab.cluster, cni=lab.cni)
    if name in everything or ("@" in name and Path(f"/proc/{lab.pid}/root{NETNS}/{name}").exists()):
        return name
    import difflib  # noqa: PLC0415  for this message only

    near = difflib.get_close_matches(name, everything, 1)
    machines = [node.name for node in lab.cluster.nodes]
    listed = ", ".join(machines[:8]) + (f" … {machines[-1]}" if len(machines) > 8 else "")
    raise LabError(
        f"the lab {printable(lab.name)} has no machine {printable(name)}{f'; did you mean {near[0]}?' if near else '.'} "
        f"It has {listed}, each one's pod as pod@NAME, and switch"
    )


def run(namespace: str, command: list[str]) -> int:
    """Run COMMAND in NAMESPACE of the entered lab, on our terminal; return its status like a shell."""
    sys.stdout.flush()
    foreground = _foreground() == os.getpgrp()
    child = os.fork()
    if child == 0:
        try:
            become(namespace, command)
        finally:
            os._exit(NOT_EXECUTABLE)
    try:
        return _status(child)
    finally:
        if foreground:
            _take_terminal_back()


def become(namespace: str, command: list[str]) -> NoReturn:
    """Replace this process, which has entered a lab, by COMMAND on a machine. On failure the process exits."""
    try:
        step_into(namespace)
    except OSError as error:
        _die(f"cannot enter {namespace}: {error.strerror}", NOT_EXECUTABLE)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and ignored signals survive exec
        signal.signal(number, signal.SIG_DFL)
    _install_command()
    environment = _environment()
    name = command[0]
    program = name if "/" in name else shutil.which(name, path=environment["PATH"])
    try:
        os.execve(program or "", command, environment)  # noqa: S606  no shell on purpose
    except FileNotFoundError:
        _die(f"{escaped(name)}: command not found", _NOT_FOUND)
    except OSError as error:
        _die(f"cannot run {escaped(name)}: {error.strerror}", NOT_EXECUTABLE)


def _environment() -> dict[str, str]:
    """Return our environment without proxies, which a lab cannot reach, and with each machine's own state directory."""
    outside = {name for name in os.environ if name.lower() in _PROXIES or name in _SESSION}
    kept = {name: value for name, value in os.environ.items() if name not in outside}
    return {"PODROUTES_STATE_DIR": f"{RUNTIME}/state", **kept, "PATH": f"{COMMANDS}{os.pathsep}{search_path()}"}


def _install_command() -> None:
    """Install this program as a command inside the lab."""
    directory = Path(COMMANDS)
    with suppress(OSError):  # everything else works without it
        directory.mkdir(exist_ok=True)
        syscalls.mount("commands", COMMANDS, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
        file = directory / itself.NAME
        file.write_text(itself.wrapper(), encoding="utf-8")
        file.chmod(0o755)


def _die(message: str, status: int) -> NoReturn:
    print(f"podroutes: {message}", file=sys.stderr, flush=True)
    os._exit(status)


def _own_sight(namespace: str) -> None:
    """Give a machine its host name, /sys with its devices, the lab's /proc, /run/podroutes, and overlays of /etc and /var/lib."""
    import socket  # noqa: PLC0415  for one call, in the child only

    socket.sethostname(os.fsdecode(os.fsencode(namespace)[:_LONGEST_HOSTNAME]))
    syscalls.mount("none", "/", flags=syscalls.MS_SLAVE | syscalls.MS_REC)
    with suppress(OSError):  # forbidden if parts of the host's /sys are covered: mount_namespaces(7)
        syscalls.mount("sysfs", "/sys", "sysfs", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    with suppress(OSError):  # the same for /proc; without it a process finds others under the numbers of its peers
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    Path(RUNTIME).mkdir(exist_ok=True)
    syscalls.mount(f"{MACHINES}/{namespace}", RUNTIME, flags=syscalls.MS_BIND)
    for directory, layers in LAYERED.items():
        own = Path(layers, namespace, "all")
        if os.path.ismount(own):
            syscalls.mount(str(own), directory, flags=syscalls.MS_BIND)
        else:  # no overlayfs: read-only, so that the host's files never change
            syscalls.mount(directory, directory, flags=syscalls.MS_BIND)
            syscalls.mount("none", directory, flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)


def _status(child: int) -> int:
    """Wait for CHILD, which owns the terminal: Ctrl-C goes to it, and signals to us are forwarded."""
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    passed_on = {
        number: signal.signal(number, lambda received, _frame: os.kill(child, received))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    }
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        for number, handler in (*ignored.items(), *passed_on.items()):
            signal.signal(number, handler)
    return status if status >= 0 else SIGNALLED - status


def _foreground() -> int | None:
    """Return the foreground process group of the terminal on standard input, None if it is not a terminal."""
    try:
        return os.tcgetpgrp(0)
    except OSError:
        return None


def _take_terminal_back() -> None:
    """Become the foreground group again after a shell inside made its own, unless that group still exists."""
    group = _foreground()
    if group is None:
        return
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(OSError):
            os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, before)
    except PermissionError:
        pass
