"""A tree as a machine: mount, PID, UTS and IPC namespaces of its own, and where programs run, a network of its own, too."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from fresh.host import Host

_ENTER = Path(__file__).with_name("enter.sh")
_ROOT = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_CONTAINER = "/usr/local/lib/container.py"
USER = "stranger"
_USER = {
    "HOME": f"/home/{USER}",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
}  # Debian's /etc/profile


class Done(NamedTuple):
    """What a command came to."""

    status: int
    seconds: float
    cpu: float  # seconds of processor time, its children's included
    output: str


class Machine:
    """A minimal system in TREE; all that is run there writes to LOG."""

    def __init__(self, tree: Path, host: Host, log: Path) -> None:
        self.tree, self._host, self._log = tree, host, log
        log.write_bytes(b"")
        for source, inside in host.files.items():
            target = tree / inside.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
        (tree / "etc/apt/apt.conf.d/80outside").write_text(host.apt)
        (tree / "etc/hostname").write_text("stranger\n")
        (tree / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # installed daemons are not started
        (tree / "usr/sbin/policy-rc.d").chmod(0o755)

    def root(self, directory: str, *words: str, online: bool = False) -> Done:
        """Run WORDS as root in DIRECTORY, with this machine's network but no power over it when ONLINE, else with none."""
        dropped = ["setpriv", "--bounding-set=-net_admin,-sys_admin,-sys_module"] if online else []
        return self._run(directory, [*dropped, *words], _ROOT, "online" if online else "offline")

    def user(self, directory: str, *words: str, online: bool = False) -> Done:
        """Run WORDS as an ordinary user in DIRECTORY."""
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        return self._run(directory, [*become, *words], _USER, "online" if online else "offline")

    def container(self, directory: str, *words: str, online: bool = False) -> Done:
        """Run WORDS as root of a container with an engine's defaults in DIRECTORY; as plain root when ONLINE."""
        if online:
            return self.root(directory, *words, online=True)
        shutil.copyfile(Path(__file__).with_name("container.py"), self.tree / _CONTAINER.lstrip("/"))
        return self._run(directory, ["python3", _CONTAINER, *words], _ROOT, "container")

    def _run(self, directory: str, words: list[str], environment: dict[str, str], kind: str) -> Done:
        online = kind == "online"
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", *["--net"] * (not online)]
        environment = {"TERM": "dumb", **environment, **(self._host.variables if online else {})}
        inside = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        shell = ["sh", "-c", 'cd "$0" && exec "$@"', directory, *words]
        begin, before = time.monotonic(), os.times()
        with self._log.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            done = subprocess.run(
                [*spaces, "sh", str(_ENTER), str(self.tree), *inside, *shell],
                env={"PATH": _ROOT["PATH"], "BINDS": " ".join(self._host.binds), "KIND": kind},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
            seconds, after = time.monotonic() - begin, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            log.seek(0, os.SEEK_END)
            output = self._log.read_bytes()[start:].decode(errors="replace")
            log.write(f"=> {done.returncode} after {seconds:.1f} s ({cpu:.1f} s CPU)\n\n".encode())
        return Done(done.returncode, seconds, cpu, output)

    def packages(self) -> dict[str, int]:
        """Return the installed packages, each with its size in KiB."""
        listed = self.root("/", "dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n").output
        return {name: int(size or 0) for name, _, size in (line.partition(" ") for line in listed.splitlines())}
